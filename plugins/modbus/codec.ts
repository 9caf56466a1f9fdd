import type { PointValue, Reason } from '#driver';
import { holdsBits } from './address.ts';
import { places, reorder, swapsBytes } from './byte-order.ts';
import { isTi081Unset, readTi081, readUnixSeconds } from './device-date.ts';
import { type ByteType, isByte, type ModbusPoint, type PointType } from './point.ts';
import { shortestFloat16, shortestFloat32 } from './shortest-decimal.ts';

/** What registers say: a value, possibly with a doubt, or the reason why there is none. */
export type Decoded =
  | { readonly value: PointValue; readonly doubt?: Reason; readonly detail?: string }
  | { readonly value?: undefined; readonly missing: Reason; readonly detail: string };

/** Reads one point from the data of an answer; `start` counts bytes, or bits in a table of bits. */
export type Decoder = (data: Buffer, start: number) => Decoded;

/** Prepares the reading of a point, so that each reading only moves bytes. */
export function decoderOf(point: ModbusPoint): Decoder {
  if (holdsBits(point.table)) {
    return (data, start) =>
      named(point, ((data[start >> 3] ?? 0) & (1 << (start & 7))) === 0 ? 0n : 1n, Boolean);
  }
  if (point.type === 'string' || point.type === 'bytes') return textDecoder(point);
  const size = (point.count * 2) as 2 | 4 | 8;
  const order = places(point.order, size) ?? undefined;
  const decode = point.type.startsWith('date')
    ? dateDecoder(point)
    : isByte(point.type)
      ? byteDecoder(point)
      : numberDecoder(point, size);
  if (order === undefined) return decode;
  const natural = Buffer.alloc(size);
  return (data, start) => {
    reorder(data, start, natural, 0, order);
    return decode(natural, 0);
  };
}

/** Multiplies by a power of ten without leaving binary dust: -2 divides by 100. */
export function scaleByPower(value: PointValue, power: number): PointValue {
  if (typeof value === 'bigint') {
    if (power >= 0) return value * 10n ** BigInt(power);
    const divisor = 10n ** BigInt(-power);
    return value % divisor === 0n ? asNumber(value / divisor) : Number(value) / Number(divisor);
  }
  if (typeof value !== 'number') return value;
  const scaled = power >= 0 ? value * 10 ** power : value / 10 ** -power;
  // Counters of 64 bits: a product above 2^53 would silently lose its last digits.
  if (Number.isInteger(value) && power > 0 && !Number.isSafeInteger(scaled)) {
    return BigInt(value) * 10n ** BigInt(power);
  }
  return scaled;
}

/** A number as long as it is exact, a bigint beyond 2^53. */
export function asNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function numberDecoder(point: ModbusPoint, size: 2 | 4 | 8): Decoder {
  const sentinels = point.notAvailable.raw;
  const decode = typedDecoder(point, size);
  if (sentinels.size === 0) return decode;
  return (data, start) => {
    if (sentinels.has(unsigned(data, start, size))) {
      return noValue();
    }
    return decode(data, start);
  };
}

function typedDecoder(point: ModbusPoint, size: 2 | 4 | 8): Decoder {
  const { bit, mask, shift, flags } = point;
  if (bit !== undefined) {
    return (data, start) =>
      named(point, (unsigned(data, start, size) >> BigInt(bit)) & 1n, Boolean);
  }
  if (mask !== undefined) {
    const places = BigInt(shift);
    return (data, start) => integer(point, (unsigned(data, start, size) & mask) >> places);
  }
  if (flags !== undefined) return (data, start) => flagNames(flags, unsigned(data, start, size));
  if (point.type === 'bool') {
    return (data, start) => named(point, unsigned(data, start, size) === 0n ? 0n : 1n, Boolean);
  }
  const read = readers[point.type as NumberType];
  const { nan, infinite } = point.notAvailable;
  return (data, start) => {
    const value = read(data, start);
    if (typeof value === 'bigint') return named(point, value, asNumber);
    if (Number.isFinite(value)) return point.states === undefined ? { value } : state(point, value);
    return (Number.isNaN(value) ? nan : infinite)
      ? missing('not-available', `the device sent ${value}`)
      : notANumber(value);
  };
}

function byteDecoder(point: ModbusPoint): Decoder {
  const place = point.type.endsWith('h') ? 0 : 1;
  const isSigned = !point.type.startsWith('u');
  const sentinels = point.notAvailable.raw;
  return (data, start) => {
    const byte = BigInt(data[start + place] ?? 0);
    if (sentinels.has(byte)) return noValue();
    return named(point, isSigned ? BigInt.asIntN(8, byte) : byte, asNumber);
  };
}

function dateDecoder(point: ModbusPoint): Decoder {
  if (point.type === 'date-unix') {
    return (data, start) =>
      data.readUInt32BE(start) === 0 ? noValue() : { value: readUnixSeconds(data, start) };
  }
  return (data, start) => {
    const date = readTi081(data, start);
    if (date === undefined) return missing('not-a-number', 'the registers hold no date');
    if (isTi081Unset(data, start)) {
      return missing('not-available', 'the device says that its clock is not set');
    }
    return { value: date };
  };
}

/** Some meters send the numbers of states as floats. */
function state(point: ModbusPoint, value: number): Decoded {
  if (Number.isInteger(value)) return named(point, BigInt(value), asNumber);
  return { value, doubt: 'unknown-state', detail: `${value} is no number of a state` };
}

/** Types that are one number of whole registers. */
export type NumberType = Exclude<
  PointType,
  ByteType | 'bool' | 'string' | 'bytes' | 'date-ti081' | 'date-unix'
>;

type NumberReader = (data: Buffer, start: number) => number | bigint;

const readers: Readonly<Record<NumberType, NumberReader>> = {
  int16: (data, start) => data.readInt16BE(start),
  uint16: (data, start) => data.readUInt16BE(start),
  int32: (data, start) => data.readInt32BE(start),
  uint32: (data, start) => data.readUInt32BE(start),
  int64: (data, start) => data.readBigInt64BE(start),
  uint64: (data, start) => data.readBigUInt64BE(start),
  float16: (data, start) => shortestFloat16(float16(data.readUInt16BE(start))),
  float32: (data, start) => shortestFloat32(data.readFloatBE(start)),
  float64: (data, start) => data.readDoubleBE(start),
  bcd16: (data, start) => bcd(data, start, 2),
  bcd32: (data, start) => bcd(data, start, 4),
  mod10k: (data, start) => mod10k(data.readUInt16BE(start), data.readUInt16BE(start + 2)),
};

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function bcd(data: Buffer, start: number, bytes: number): number {
  let value = 0;
  for (let index = start; index < start + bytes; index++) {
    const high = (data[index] ?? 0xff) >> 4;
    const low = (data[index] ?? 0xff) & 15;
    if (high > 9 || low > 9) return Number.NaN;
    value = value * 100 + high * 10 + low;
  }
  return value;
}

function mod10k(high: number, low: number): number {
  return high > 9999 || low > 9999 ? Number.NaN : high * 10000 + low;
}

function unsigned(data: Buffer, start: number, size: 2 | 4 | 8): bigint {
  if (size === 2) return BigInt(data.readUInt16BE(start));
  if (size === 4) return BigInt(data.readUInt32BE(start));
  return data.readBigUInt64BE(start);
}

function integer(point: ModbusPoint, value: bigint): Decoded {
  if (point.flags !== undefined) return flagNames(point.flags, value);
  return named(point, value, asNumber);
}

function named(point: ModbusPoint, state: bigint, plain: (state: bigint) => PointValue): Decoded {
  if (point.states === undefined) return { value: plain(state) };
  const name = point.states.get(state);
  if (name !== undefined) return { value: name };
  return {
    value: asNumber(state),
    doubt: 'unknown-state',
    detail: `the profile has no name for state ${state}`,
  };
}

function flagNames(flags: ReadonlyMap<number, string>, value: bigint): Decoded {
  const names: string[] = [];
  let unknown = value;
  for (const [bit, name] of flags) {
    const place = 1n << BigInt(bit);
    if ((value & place) !== 0n) names.push(name);
    unknown &= ~place;
  }
  if (unknown === 0n) return { value: names.join(',') };
  const nameless: string[] = [];
  for (let bit = 0; unknown !== 0n; bit++, unknown >>= 1n) {
    if ((unknown & 1n) === 1n) nameless.push(`bit ${bit}`);
  }
  return {
    value: [...names, ...nameless].join(','),
    doubt: 'unknown-state',
    detail: `the profile has no name for ${nameless.join(', ')}`,
  };
}

function textDecoder(point: ModbusPoint): Decoder {
  const size = point.count * 2;
  return (data, start) => {
    const bytes = halves(point, inTextOrder(point, data.subarray(start, start + size)));
    if (point.type === 'bytes') return { value: bytes.toString('hex') };
    if (bytes.every((byte) => byte === 0)) {
      return missing('not-available', 'the text is empty');
    }
    return { value: textOf(point, bytes) };
  };
}

/** Text has no most significant byte: of its order only the swap inside each register counts. */
export function inTextOrder(point: ModbusPoint, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  return swapsBytes(point.order) ? copy.swap16() : copy;
}

function halves({ half }: ModbusPoint, bytes: Buffer): Buffer {
  if (half === undefined) return bytes;
  const place = half === 'high' ? 0 : 1;
  return bytes.filter((_, index) => index % 2 === place) as Buffer;
}

function textOf(point: ModbusPoint, bytes: Buffer): string {
  const whole =
    point.encoding === 'utf16'
      ? Buffer.from(bytes).swap16().toString('utf16le')
      : bytes.toString(point.encoding === 'ascii' ? 'latin1' : point.encoding);
  const end = whole.indexOf('\0');
  const text = (end < 0 ? whole : whole.slice(0, end)).replaceAll(/\p{Cc}/gu, '').toWellFormed();
  return point.trim ? text.trim() : text;
}

function noValue(): Decoded {
  return missing('not-available', 'the device sent the value that stands for "no value"');
}

function missing(reason: Reason, detail: string): Decoded {
  return { missing: reason, detail };
}

function notANumber(value: number): Decoded {
  return missing(
    'not-a-number',
    Number.isNaN(value)
      ? 'the registers do not hold a number of this type'
      : `the registers hold ${value}`,
  );
}
