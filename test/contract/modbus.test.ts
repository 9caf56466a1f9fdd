import path from 'node:path';
import type { DeviceConfig, Json, PointWrite } from '#driver';
import modbusTcp from '../../plugins/modbus/index.ts';
import { freePort } from '../support/free-port.ts';
import { keepsDriverContract } from './driver-contract.ts';
import { startTcpPeer, type Wire } from './tcp-peer.ts';

/** Modbus TCP: `modbus-tcp` against a peer that answers rightly, wrongly and not at all. */

const timeoutMs = 120;
/** Registers from here on are refused with exception 2. */
const lastRegister = 20_000;
/** Words that are easily read as something else, from register 8192 on. */
const oddWords = [0x7fc0, 0, 0x7f80, 0, 0x8000, 0, 0x0020, 0, 0, 1];
const oddFrom = 8_192;

const word = (unit: number, register: number, salt: number) =>
  oddWords[register - oddFrom] ?? (register + unit * 100 + salt) & 0xffff;
const writeSingle = 6;
/** Writes to it are confirmed and have no effect. */
const ignoredRegister = 301;
const isWrite = (request: Buffer) => request.readUInt8(7) === writeSingle;

/** Units whose registers can be written. */
const wireOfUnits = (written = new Map<number, number>()): Wire => ({
  split(bytes) {
    const requests: Buffer[] = [];
    let rest = bytes;
    while (rest.length >= 6 && rest.length >= 6 + rest.readUInt16BE(4)) {
      const length = 6 + rest.readUInt16BE(4);
      requests.push(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
    return { requests, rest };
  },
  answer(request, salt) {
    const unit = request.readUInt8(6);
    const fc = request.readUInt8(7);
    const from = request.readUInt16BE(8);
    const count = request.readUInt16BE(10);
    if (fc === writeSingle) {
      if (from !== ignoredRegister) written.set(from, count);
      return request;
    }
    const refused = fc !== 3 || from + count > lastRegister;
    const pdu = Buffer.alloc(refused ? 2 : 2 + count * 2);
    pdu[0] = refused ? fc | 0x80 : fc;
    pdu[1] = refused ? 2 : count * 2;
    for (let n = 0; n < count && !refused; n += 1) {
      pdu.writeUInt16BE(written.get(from + n) ?? word(unit, from + n, salt), 2 + n * 2);
    }
    const head = Buffer.from(request.subarray(0, 7));
    head.writeUInt16BE(pdu.length + 1, 4);
    return Buffer.concat([head, pdu]);
  },
});

const point = (pointId: string, addr: number, type = 'uint16') => ({
  pointId,
  address: { table: 'holding', addr, type } as Json,
});

const writeTo = (addr: number): PointWrite => ({
  pointId: `setpoint-${addr}`,
  address: { table: 'holding', addr, type: 'uint16', write: { fc: writeSingle } },
  value: 12,
  verify: true,
  commandId: 'c1',
});

/** Two near ones and one that takes a request of its own. */
const registers: Readonly<Record<string, number>> = { near: 10, next: 11, far: 700 };

function device(n: number): DeviceConfig {
  const points = Object.entries(registers).map(([id, addr]) => ({
    ...point(id, addr),
    everyMs: 1_000,
  }));
  return { id: `unit-${n + 1}`, address: { unit: n + 1 }, options: { profile: {}, points } };
}

const linkTo = (port: number): Json => ({
  host: '127.0.0.1',
  port,
  timeoutMs,
  connectTimeoutMs: 500,
});

keepsDriverContract('modbus-tcp', modbusTcp, {
  folder: path.resolve('plugins/modbus'),
  driver: 'modbus-tcp',
  device,
  expected: (n, pointId, salt) => word(n + 1, registers[pointId] ?? 0, salt),
  badPoints: [
    point('beyond', 30_000),
    point('impossible', 70_000),
    { pointId: 'empty', address: {} },
  ],
  oddPoints: [
    { request: point('nan', oddFrom, 'float32'), expected: 'flagged' },
    { request: point('infinite', oddFrom + 2, 'float32'), expected: 'flagged' },
    { request: point('minus-zero', oddFrom + 4, 'float32'), expected: -0 },
    { request: point('long', oddFrom + 6, 'uint64'), expected: 9_007_199_254_740_993n },
  ],
  nowhere: async () => linkTo(await freePort()),
  startPeer: (t) => startTcpPeer(t, wireOfUnits(), linkTo),
  write: { write: writeTo(300), ignored: writeTo(ignoredRegister), isWrite },
});
