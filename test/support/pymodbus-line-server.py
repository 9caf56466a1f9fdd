"""A Modbus server of pymodbus' framers: RTU or ASCII on a serial port, or frames of TCP over UDP.

    pymodbus-line-server.py rtu|ascii PATH DELAY_MS     on a serial port, DELAY_MS for each byte
    pymodbus-line-server.py udp                         on a free port of 127.0.0.1

Unit 1, 600 registers of each table with their own address as value, coils by its lowest bit.
Prints "ready" or the port, and serves until it is ended.
"""
import importlib.machinery
import logging
import os
import socket
import sys
import time
import tty
import types


def without_serial_port(name, **members):
    """pymodbus imports the serial modules; here the port is a plain file."""
    try:
        __import__(name)
    except ImportError:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__dict__.update(members)
        sys.modules[name] = module


without_serial_port("serial")
without_serial_port("serial_asyncio", create_serial_connection=None)

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusSlaveContext  # noqa: E402
from pymodbus.factory import ServerDecoder  # noqa: E402
from pymodbus.transaction import (  # noqa: E402
    ModbusAsciiFramer,
    ModbusRtuFramer,
    ModbusSocketFramer,
)

logging.disable(logging.ERROR)
numbers = list(range(600))
bits = [number % 2 == 1 for number in numbers]
store = ModbusSlaveContext(
    hr=ModbusSequentialDataBlock(0, numbers),
    ir=ModbusSequentialDataBlock(0, numbers),
    co=ModbusSequentialDataBlock(0, bits),
    di=ModbusSequentialDataBlock(0, bits),
    zero_mode=True,
)


def serve(framer, receive, send):
    def answer(request):
        response = request.execute(store)
        response.transaction_id = request.transaction_id
        response.unit_id = request.unit_id
        send(framer.buildPacket(response))

    while True:
        framer.processIncomingPacket(receive(), answer, [1], single=False)


if sys.argv[1] == "udp":
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.bind(("127.0.0.1", 0))
    print(port.getsockname()[1], flush=True)
    peer = []

    def receive():
        data, sender = port.recvfrom(300)
        peer[:] = [sender]
        return data

    serve(ModbusSocketFramer(ServerDecoder()), receive, lambda data: port.sendto(data, peer[0]))
else:
    line = os.open(sys.argv[2], os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line)
    delay = float(sys.argv[3]) / 1000

    def send(data):
        if delay == 0:
            os.write(line, data)
            return
        for byte in data:
            os.write(line, bytes([byte]))
            time.sleep(delay)

    print("ready", flush=True)
    kind = ModbusAsciiFramer if sys.argv[1] == "ascii" else ModbusRtuFramer
    serve(kind(ServerDecoder()), lambda: os.read(line, 300), send)
