/// <reference lib="esnext.float16" />

import type { PointValue } from '#driver';
import { places, reorder, swapsBytes } from './byte-order.ts';
import { inTextOrder, type NumberType } from './codec.ts';
import { writeTi081, writeUnixSeconds } from './device-date.ts';
import { isByte, isPart, type ModbusPoint, registersOf } from './point.ts';

/**
 * The registers of a value, as a device sends them: the inverse of decoding. Throws a RangeError if
 * the value does not fit. A part of a register (bit, mask, flags) cannot be encoded alone.
 */
export function encode(point: ModbusPoint, value: PointValue): Buffer {
  if (isPart(point)) throw new RangeError(`${point.id} is a part of a register`);
  if (point.type === 'bytes' || point.type === 'string') {
    return inTextOrder(point, textBytes(point, String(value)));
  }
  const size = (registersOf[point.type] * 2) as 2 | 4 | 8;
  const natural = Buffer.alloc(size);
  writeNatural(point, natural, value);
  const order = places(point.order, size) ?? undefined;
  if (order === undefined) return natural;
  const wire = Buffer.alloc(size);
  reorder(natural, 0, wire, 0, order);
  return wire;
}

function writeNatural(point: ModbusPoint, natural: Buffer, value: PointValue): void {
  if (point.type === 'date-ti081') writeTi081(natural, String(value));
  else if (point.type === 'date-unix') writeUnixSeconds(natural, String(value));
  else writers[point.type as NumberType](natural, stateNumber(point, value));
}

/** What FC 22 (mask write) needs to change one part of a register: `register AND and OR or`. */
export interface MaskedRegister {
  readonly and: number;
  readonly or: number;
}

/**
 * The change of a part of one register, in wire order. Throws a RangeError if the value does not fit
 * into the part, or if the point is none or is wider than one register.
 */
export function encodePart(point: ModbusPoint, value: PointValue): MaskedRegister {
  if (!isPart(point) || point.count !== 1) {
    throw new RangeError(`${point.id} is not a part of one register`);
  }
  const { bits, shift } = partOf(point);
  const number =
    point.flags === undefined ? BigInt(stateNumber(point, value)) : flagsOf(point, value);
  const isSigned = isByte(point.type) && !point.type.startsWith('u');
  const placed = (isSigned ? BigInt.asUintN(8, number) : number) << BigInt(shift);
  const fits = isSigned ? BigInt.asIntN(8, number) === number : number >= 0n;
  if (!fits || (placed & ~BigInt(bits)) !== 0n) {
    throw new RangeError(`${value} does not fit into this part of the register`);
  }
  const swap = swapsBytes(point.order);
  const wire = (natural: number) => (swap ? ((natural & 0xff) << 8) | (natural >> 8) : natural);
  return { and: wire(0xffff & ~bits), or: wire(Number(placed)) };
}

/** The bits of its register that a part has, in natural order, and the place of its lowest one. */
function partOf(point: ModbusPoint): { readonly bits: number; readonly shift: number } {
  if (isByte(point.type)) {
    return point.type.endsWith('h') ? { bits: 0xff00, shift: 8 } : { bits: 0xff, shift: 0 };
  }
  if (point.bit !== undefined) return { bits: 1 << point.bit, shift: point.bit };
  if (point.mask !== undefined) return { bits: Number(point.mask), shift: point.shift };
  let bits = 0;
  for (const bit of point.flags?.keys() ?? []) bits |= 1 << bit;
  return { bits, shift: 0 };
}

function flagsOf(point: ModbusPoint, value: PointValue): bigint {
  let bits = 0n;
  for (const name of String(value)
    .split(',')
    .filter((name) => name !== '')) {
    const found = [...(point.flags ?? [])].find(([, known]) => known === name);
    if (found === undefined) throw new RangeError(`${point.id} has no flag "${name}"`);
    bits |= 1n << BigInt(found[0]);
  }
  return bits;
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

const writers: Readonly<Record<NumberType | 'bool', NumberWriter>> = {
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
  if (point.half !== undefined) return spread(point, bytes, value);
  if (bytes.length > point.count * 2) throw new RangeError(`"${value}" does not fit`);
  return Buffer.concat([bytes], point.count * 2);
}

/** One character for each register, in its high or low byte. */
function spread({ half, count }: ModbusPoint, bytes: Buffer, value: string): Buffer {
  if (bytes.length > count) throw new RangeError(`"${value}" does not fit`);
  const wide = Buffer.alloc(count * 2);
  for (const [index, byte] of bytes.entries()) wide[index * 2 + (half === 'high' ? 0 : 1)] = byte;
  return wide;
}
