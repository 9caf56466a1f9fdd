"""A Modbus TCP server of pymodbus on a free port of 127.0.0.1, unit 1.

Reads one line of JSON from standard input, a list of {table, addr, type, order, value}, encodes the
values with pymodbus' own payload builder, prints its port, and serves until standard input ends.
Addresses that are not in the list do not exist.
"""
import asyncio
import importlib.machinery
import json
import logging
import os
import sys
import threading
import types


def without_serial_port(name, **members):
    """pymodbus imports the serial modules even for TCP; Debian only recommends them."""
    try:
        __import__(name)
    except ImportError:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__dict__.update(members)
        sys.modules[name] = module


without_serial_port("serial")
without_serial_port("serial_asyncio", create_serial_connection=None)

from pymodbus.constants import Endian  # noqa: E402
from pymodbus.datastore import (  # noqa: E402
    ModbusServerContext,
    ModbusSlaveContext,
    ModbusSparseDataBlock,
)
from pymodbus.payload import BinaryPayloadBuilder  # noqa: E402
from pymodbus.server.async_io import ModbusTcpServer  # noqa: E402

ORDERS = {
    "ABCD": (Endian.Big, Endian.Big),
    "CDAB": (Endian.Big, Endian.Little),
    "BADC": (Endian.Little, Endian.Big),
    "DCBA": (Endian.Little, Endian.Little),
}
ADDERS = {
    "int16": "add_16bit_int",
    "uint16": "add_16bit_uint",
    "int32": "add_32bit_int",
    "uint32": "add_32bit_uint",
    "int64": "add_64bit_int",
    "uint64": "add_64bit_uint",
    "float16": "add_16bit_float",
    "float32": "add_32bit_float",
    "float64": "add_64bit_float",
    "string": "add_string",
}


def registers(point):
    if point["type"] == "words":
        return point["value"]
    if point["type"] == "bool":
        return [1 if point["value"] else 0]
    byte_order, word_order = ORDERS[point["order"]]
    builder = BinaryPayloadBuilder(byteorder=byte_order, wordorder=word_order)
    value = point["value"]
    if point["type"] in ("int64", "uint64"):
        value = int(value)
    getattr(builder, ADDERS[point["type"]])(value)
    return [int.from_bytes(word, "big") for word in builder.build()]


def blocks(points):
    tables = {"coil": {}, "discrete": {}, "holding": {}, "input": {}}
    for point in points:
        for place, register in enumerate(registers(point)):
            tables[point["table"]][point["addr"] + place] = register
    return {name: ModbusSparseDataBlock(values or {65535: 0}) for name, values in tables.items()}


async def serve(points):
    data = blocks(points)
    unit = ModbusSlaveContext(
        co=data["coil"], di=data["discrete"], hr=data["holding"], ir=data["input"], zero_mode=True
    )
    context = ModbusServerContext(slaves={1: unit}, single=False)
    server = ModbusTcpServer(context, address=("127.0.0.1", 0))
    running = asyncio.get_running_loop().create_task(server.serve_forever())
    await server.serving
    print(server.server.sockets[0].getsockname()[1], flush=True)
    await running


def end_with_input():
    sys.stdin.read()
    os._exit(0)


# Refused addresses and ended connections are what the tests are about.
logging.disable(logging.ERROR)
line = sys.stdin.readline()
threading.Thread(target=end_with_input, daemon=True).start()
asyncio.run(serve(json.loads(line)))
