import { exceptions, type UnitMemory } from '../models/unit.ts';
import { emptyAnswer, exceptionAnswer, type Frame, headerBytes } from './frame.ts';
import { identification } from './identification.ts';

/**
 * Carries out a request on a unit and gives the whole answer, header included. Limits and order
 * of checks as in the Modbus application protocol 1.1b3, §6: function, quantity, address.
 */
export function answerRequest(unit: UnitMemory, frame: Frame, time: number): Buffer {
  const { pdu } = frame;
  switch (pdu[0] ?? 0) {
    case 1:
      return readBits(unit, frame, 'coil', time);
    case 2:
      return readBits(unit, frame, 'discrete', time);
    case 3:
      return readRegisters(unit, frame, 'holding', time);
    case 4:
      return readRegisters(unit, frame, 'input', time);
    case 5:
      return writeCoil(unit, frame);
    case 6:
      return pdu.length === 5
        ? written(frame, unit.writeRegisters(pdu.readUInt16BE(1), pdu.subarray(3)), 5)
        : refuse(frame, exceptions.illegalValue);
    case 15:
      return writeCoils(unit, frame);
    case 16:
      return writeRegisters(unit, frame);
    case 22:
      return maskRegister(unit, frame, time);
    case 23:
      return writeThenRead(unit, frame, time);
    case 43:
      return identification(unit, frame);
    default:
      return refuse(frame, exceptions.illegalFunction);
  }
}

function readBits(
  unit: UnitMemory,
  frame: Frame,
  table: 'coil' | 'discrete',
  time: number,
): Buffer {
  const { pdu } = frame;
  const count = pdu.length === 5 ? pdu.readUInt16BE(3) : 0;
  if (count < 1 || count > 2000) return refuse(frame, exceptions.illegalValue);
  const address = pdu.readUInt16BE(1);
  const bytes = (count + 7) >> 3;
  const adu = withByteCount(frame, bytes);
  return inside(address, count) && unit.readBits(table, address, count, time, adu, headerBytes + 2)
    ? adu
    : refuse(frame, exceptions.illegalAddress);
}

function readRegisters(
  unit: UnitMemory,
  frame: Frame,
  table: 'input' | 'holding',
  time: number,
): Buffer {
  const { pdu } = frame;
  const count = pdu.length === 5 ? pdu.readUInt16BE(3) : 0;
  if (count < 1 || count > 125) return refuse(frame, exceptions.illegalValue);
  return registers(unit, frame, table, pdu.readUInt16BE(1), count, time);
}

function registers(
  unit: UnitMemory,
  frame: Frame,
  table: 'input' | 'holding',
  address: number,
  count: number,
  time: number,
): Buffer {
  const adu = withByteCount(frame, count * 2);
  return inside(address, count) &&
    unit.readRegisters(table, address, count, time, adu, headerBytes + 2)
    ? adu
    : refuse(frame, exceptions.illegalAddress);
}

function writeCoil(unit: UnitMemory, frame: Frame): Buffer {
  const { pdu } = frame;
  const value = pdu.length === 5 ? pdu.readUInt16BE(3) : -1;
  if (value !== 0 && value !== 0xff00) return refuse(frame, exceptions.illegalValue);
  return written(frame, unit.writeCoils(pdu.readUInt16BE(1), [value !== 0]), 5);
}

function writeCoils(unit: UnitMemory, frame: Frame): Buffer {
  const { pdu } = frame;
  const count = pdu.length >= 6 ? pdu.readUInt16BE(3) : 0;
  const bytes = (count + 7) >> 3;
  if (count < 1 || count > 1968 || pdu[5] !== bytes || pdu.length !== 6 + bytes) {
    return refuse(frame, exceptions.illegalValue);
  }
  const address = pdu.readUInt16BE(1);
  if (!inside(address, count)) return refuse(frame, exceptions.illegalAddress);
  const values: boolean[] = [];
  for (let n = 0; n < count; n++) values.push((((pdu[6 + (n >> 3)] ?? 0) >> (n & 7)) & 1) === 1);
  return written(frame, unit.writeCoils(address, values), 5);
}

function writeRegisters(unit: UnitMemory, frame: Frame): Buffer {
  const { pdu } = frame;
  const count = pdu.length >= 6 ? pdu.readUInt16BE(3) : 0;
  if (count < 1 || count > 123 || pdu[5] !== count * 2 || pdu.length !== 6 + count * 2) {
    return refuse(frame, exceptions.illegalValue);
  }
  const address = pdu.readUInt16BE(1);
  if (!inside(address, count)) return refuse(frame, exceptions.illegalAddress);
  return written(frame, unit.writeRegisters(address, pdu.subarray(6)), 5);
}

function maskRegister(unit: UnitMemory, frame: Frame, time: number): Buffer {
  const { pdu } = frame;
  if (pdu.length !== 7) return refuse(frame, exceptions.illegalValue);
  const address = pdu.readUInt16BE(1);
  const word = Buffer.alloc(2);
  if (!unit.readRegisters('holding', address, 1, time, word, 0)) {
    return refuse(frame, exceptions.illegalAddress);
  }
  const and = pdu.readUInt16BE(3);
  const or = pdu.readUInt16BE(5);
  word.writeUInt16BE((word.readUInt16BE() & and) | (or & ~and & 0xffff));
  return written(frame, unit.writeRegisters(address, word), 7);
}

function writeThenRead(unit: UnitMemory, frame: Frame, time: number): Buffer {
  const { pdu } = frame;
  const readCount = pdu.length >= 10 ? pdu.readUInt16BE(3) : 0;
  const writeCount = pdu.length >= 10 ? pdu.readUInt16BE(7) : 0;
  const sizesFit = pdu[9] === writeCount * 2 && pdu.length === 10 + writeCount * 2;
  if (readCount < 1 || readCount > 125 || writeCount < 1 || writeCount > 121 || !sizesFit) {
    return refuse(frame, exceptions.illegalValue);
  }
  const readAddress = pdu.readUInt16BE(1);
  const writeAddress = pdu.readUInt16BE(5);
  // Looked at before the write, because a refused request must not have changed anything.
  const refused = registers(unit, frame, 'holding', readAddress, readCount, time);
  if (refused[headerBytes] !== pdu[0]) return refused;
  if (!inside(writeAddress, writeCount)) return refuse(frame, exceptions.illegalAddress);
  const outcome = unit.writeRegisters(writeAddress, pdu.subarray(10));
  if (outcome !== 0) return refuse(frame, outcome);
  return registers(unit, frame, 'holding', readAddress, readCount, time);
}

function withByteCount(frame: Frame, bytes: number): Buffer {
  const adu = emptyAnswer(frame, 2 + bytes);
  adu[headerBytes] = frame.pdu[0] ?? 0;
  adu[headerBytes + 1] = bytes;
  return adu;
}

/** The answer to a write repeats the first bytes of the request. */
function written(frame: Frame, outcome: number, bytes: number): Buffer {
  if (outcome !== 0) return refuse(frame, outcome);
  const adu = emptyAnswer(frame, bytes);
  frame.pdu.copy(adu, headerBytes, 0, bytes);
  return adu;
}

function refuse(frame: Frame, code: number): Buffer {
  return exceptionAnswer(frame, code);
}

function inside(address: number, count: number): boolean {
  return address + count <= 0x1_0000;
}
