/// <reference lib="esnext.float16" />

import type { PointValue } from '#driver';
import { places, reorder } from './byte-order.ts';
import { inTextOrder } from './codec.ts';
import { type ModbusPoint, type PointType, registersOf } from './point.ts';

/**
 * The registers of a value, as a device sends them: the inverse of decoding. Throws a RangeError if
 * the value does not fit. A part of a register (bit, mask, flags) cannot be encoded alone.
 */
export function encode(point: ModbusPoint, value: PointValue): Buffer {
  if (point.bit !== undefined || point.mask !== undefined || point.flags !== undefined) {
    throw new RangeError(`${point.id} is a part of a register`);
  }
  if (point.type === 'bytes' || point.type === 'string') {
    return inTextOrder(point, textBytes(point, String(value)));
  }
  const size = (registersOf[point.type] * 2) as 2 | 4 | 8;
  const natural = Buffer.alloc(size);
  writers[point.type](natural, stateNumber(point, value));
  const order = places(point.order, size) ?? undefined;
  if (order === undefined) return natural;
  const wire = Buffer.alloc(size);
  reorder(natural, 0, wire, 0, order);
  return wire;
}

function stateNumber(point: ModbusPoint, value: PointValue): number | bigint {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') return value;
  for (const [number, name] of point.states ?? []) {
    if (name === value) return number;
  }
  throw new RangeError(`${point.id} has no state "${value}"`);
}

type NumberWriter = (to: Buffer, value: number | bigint) => void;

const writers: Readonly<Record<Exclude<PointType, 'string' | 'bytes'>, NumberWriter>> = {
  bool: (to, value) => to.writeUInt16BE(Number(value)),
  int16: (to, value) => to.writeInt16BE(whole(value)),
  uint16: (to, value) => to.writeUInt16BE(whole(value)),
  int32: (to, value) => to.writeInt32BE(whole(value)),
  uint32: (to, value) => to.writeUInt32BE(whole(value)),
  int64: (to, value) => to.writeBigInt64BE(BigInt(value)),
  uint64: (to, value) => to.writeBigUInt64BE(BigInt(value)),
  float16: (to, value) =>
    new DataView(to.buffer, to.byteOffset, to.length).setFloat16(0, Number(value)),
  float32: (to, value) => to.writeFloatBE(Number(value)),
  float64: (to, value) => to.writeDoubleBE(Number(value)),
  bcd16: (to, value) => writeBcd(to, whole(value)),
  bcd32: (to, value) => writeBcd(to, whole(value)),
  mod10k: (to, value) => writeMod10k(to, whole(value)),
};

function whole(value: number | bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new RangeError(`${value} is not a whole number`);
}

function writeBcd(to: Buffer, value: number): void {
  const digits = String(value).padStart(to.length * 2, '0');
  if (value < 0 || digits.length > to.length * 2) throw new RangeError(`${value} does not fit`);
  to.write(digits, 'hex');
}

function writeMod10k(to: Buffer, value: number): void {
  if (value < 0 || value > 99_999_999) throw new RangeError(`${value} does not fit`);
  to.writeUInt16BE(Math.trunc(value / 10000), 0);
  to.writeUInt16BE(value % 10000, 2);
}

function textBytes(point: ModbusPoint, value: string): Buffer {
  const bytes =
    point.type === 'bytes'
      ? Buffer.from(value, 'hex')
      : point.encoding === 'utf16'
        ? Buffer.from(value, 'utf16le').swap16()
        : Buffer.from(value, point.encoding === 'ascii' ? 'latin1' : point.encoding);
  if (bytes.length > point.count * 2) throw new RangeError(`"${value}" does not fit`);
  return Buffer.concat([bytes], point.count * 2);
}
