import type { Json } from '#driver';
import { holdsBits, PointError, parseAddress, type Table, tables } from './address.ts';
import { type ByteOrder, byteOrders, places } from './byte-order.ts';

/** How the registers of a point are read. */
export type PointType =
  | 'bool'
  | 'int8h'
  | 'int8l'
  | 'uint8h'
  | 'uint8l'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float16'
  | 'float32'
  | 'float64'
  | 'bcd16'
  | 'bcd32'
  | 'mod10k'
  | 'date-ti081'
  | 'date-unix'
  | 'string'
  | 'bytes';

/** A number of 8 bits in the high or the low byte of one register. */
export type ByteType = 'int8h' | 'int8l' | 'uint8h' | 'uint8l';

/** How the bytes of a text are read. */
export type TextEncoding = 'ascii' | 'utf8' | 'latin1' | 'utf16';

/** Raw values that mean "no value". */
export interface Sentinels {
  readonly nan: boolean;
  readonly infinite: boolean;
  /** Unsigned, as the bytes stand in natural order. */
  readonly raw: ReadonlySet<bigint>;
}

/** A point of a profile, checked, with everything that is left out filled in. */
export interface ModbusPoint {
  readonly id: string;
  readonly table: Table;
  /** As on the wire: the first register or bit is 0. */
  readonly address: number;
  /** Registers, or bits in the tables of bits. */
  readonly count: number;
  readonly type: PointType;
  readonly order: ByteOrder;
  readonly bit?: number;
  readonly mask?: bigint;
  readonly shift: number;
  readonly encoding: TextEncoding;
  /** Only this byte of each register holds a character. */
  readonly half?: 'high' | 'low';
  /** Whether blanks around a text are left out. */
  readonly trim: boolean;
  readonly states?: ReadonlyMap<bigint, string>;
  readonly flags?: ReadonlyMap<number, string>;
  readonly notAvailable: Sentinels;
  /** Id of the point that holds the power of ten. */
  readonly scaleFrom?: string;
  readonly readAlone: boolean;
  readonly readGroup?: string;
}

/** Registers of each type; 0 where the point says it. */
export const registersOf: Readonly<Record<PointType, 0 | 1 | 2 | 4>> = {
  bool: 1,
  int8h: 1,
  int8l: 1,
  uint8h: 1,
  uint8l: 1,
  int16: 1,
  uint16: 1,
  int32: 2,
  uint32: 2,
  int64: 4,
  uint64: 4,
  float16: 1,
  float32: 2,
  float64: 4,
  bcd16: 1,
  bcd32: 2,
  mod10k: 2,
  'date-ti081': 4,
  'date-unix': 2,
  string: 0,
  bytes: 0,
};

/** Whether the value is one of the two bytes of a register. */
export function isByte(type: PointType): type is ByteType {
  return type === 'int8h' || type === 'int8l' || type === 'uint8h' || type === 'uint8l';
}

/** Whether the point shares its registers with others: it cannot be written without them. */
export function isPart(point: Pick<ModbusPoint, 'type' | 'bit' | 'mask' | 'flags'>): boolean {
  return (
    isByte(point.type) ||
    point.bit !== undefined ||
    point.mask !== undefined ||
    point.flags !== undefined
  );
}

const types = Object.keys(registersOf) as PointType[];
const encodings: readonly TextEncoding[] = ['ascii', 'utf8', 'latin1', 'utf16'];
const withoutNumber: readonly PointType[] = ['string', 'bytes', 'bool', 'date-ti081', 'date-unix'];

type Keys = Readonly<Record<string, Json | undefined>>;

/** Checks the protocol's keys of a point. Throws a PointError that names the wrong key. */
export function parsePoint(id: string, source: Json): ModbusPoint {
  if (source === null || typeof source !== 'object' || Array.isArray(source)) {
    throw new PointError('addr', 'the point has no address; give it table, addr and type');
  }
  const keys = source as Keys;
  const table = oneOf('table', keys.table, tables);
  const base = oneOf('addressBase', keys.addressBase, [0, 1] as const) ?? 0;
  const place = parseAddress(keys.addr, table, base);
  const bits = holdsBits(place.table);
  // The type that a profile gives as default is meant for its registers.
  const type = bits ? 'bool' : oneOf('type', keys.type, types);
  if (type === undefined) {
    throw new PointError('type', `the type is missing; use one of ${types.join(', ')}`);
  }
  const count = bits ? 1 : registerCount(type, keys.len);
  if (place.address + count > 0x1_0000) {
    throw new PointError(
      'addr',
      `${count} registers from ${place.address} on go past the last address 65535`,
    );
  }
  const order = oneOf('order', keys.order, byteOrders) ?? 'ABCD';
  checkOrder(order, type, count);
  const width = count * 16;
  const bit = numberIn('bit', keys.bit, 0, width - 1);
  const mask = numberIn('mask', keys.mask, 1, Number.MAX_SAFE_INTEGER);
  checkPicking(type, bits, bit, mask, width, keys);
  const states = namesOf('enum', keys.enum);
  const flags = namesOf('flags', keys.flags);
  const half = oneOf('half', keys.half, ['high', 'low'] as const);
  if (half !== undefined && type !== 'string') {
    throw new PointError(
      'half',
      'half is for texts; a number of one byte is int8h, uint8l and so on',
    );
  }
  const readGroup = text('readGroup', keys.readGroup);
  const scaleFrom = scalePoint(keys.scale);
  return {
    id,
    ...place,
    count,
    type,
    order,
    ...(bit !== undefined && { bit }),
    ...(mask !== undefined && { mask: BigInt(mask) }),
    shift: numberIn('shift', keys.shift, 0, 63) ?? 0,
    encoding: oneOf('encoding', keys.encoding, encodings) ?? 'utf8',
    ...(half !== undefined && { half }),
    trim: keys.trim !== false,
    ...(states !== undefined && { states }),
    ...(flags !== undefined && { flags: flagBits(flags, width) }),
    notAvailable: sentinels(keys.notAvailable, type, count),
    ...(scaleFrom !== undefined && { scaleFrom }),
    readAlone: keys.readAlone === true,
    ...(readGroup !== undefined && { readGroup }),
  };
}

function registerCount(type: PointType, len: Json | undefined): number {
  const given = numberIn('len', len, 1, 125);
  const own = registersOf[type];
  if (own === 0) {
    if (given !== undefined) return given;
    throw new PointError('len', `${type} needs its length in registers, such as len: 8`);
  }
  if (given !== undefined && given !== own) {
    throw new PointError('len', `${type} has ${own} registers, not ${given}; leave len out`);
  }
  return own;
}

function checkOrder(order: ByteOrder, type: PointType, count: number): void {
  if (type === 'string' || type === 'bytes') return;
  const size = (count * 2) as 2 | 4 | 8;
  if (places(order, size) !== null) return;
  const fitting = size === 2 ? 'AB or BA' : size === 4 ? 'ABCD, CDAB, BADC or DCBA' : 'ABCD';
  throw new PointError(
    'order',
    `order ${order} has 8 bytes, but ${type} has ${size}; use ${fitting}`,
  );
}

function checkPicking(
  type: PointType,
  bits: boolean,
  bit: number | undefined,
  mask: number | undefined,
  width: number,
  keys: Keys,
): void {
  const picked = bit !== undefined ? 'bit' : mask !== undefined ? 'mask' : undefined;
  if (picked !== undefined && bits) {
    throw new PointError(picked, `a coil or discrete input is one bit; leave ${picked} out`);
  }
  if (bit !== undefined && mask !== undefined) {
    throw new PointError('mask', 'bit and mask exclude each other; keep one');
  }
  const whole = type === 'bool' || (type.includes('int') && !isByte(type));
  if (picked !== undefined && !whole) {
    throw new PointError(picked, `${picked} needs bool or an integer type such as uint16`);
  }
  if (mask !== undefined && BigInt(mask) >> BigInt(width) !== 0n) {
    throw new PointError('mask', `mask 0x${mask.toString(16)} is wider than the ${width} bits`);
  }
  if (keys.shift !== undefined && mask === undefined) {
    throw new PointError('shift', 'shift works together with mask, such as mask: 0x0F00, shift: 8');
  }
  const isText = type === 'string' || type === 'bytes' || type.startsWith('date');
  if (keys.enum !== undefined && isText) {
    throw new PointError('enum', `enum names numbers, but ${type} is none`);
  }
  if (keys.flags !== undefined && (!whole || type === 'bool')) {
    throw new PointError('flags', `flags need an integer type such as uint16, not ${type}`);
  }
  if (scalePoint(keys.scale) !== undefined && withoutNumber.includes(type)) {
    throw new PointError('scale', `${type} cannot be scaled`);
  }
}

function sentinels(source: Json | undefined, type: PointType, count: number): Sentinels {
  const list = source === undefined ? [] : source;
  if (!Array.isArray(list)) {
    throw new PointError('notAvailable', 'give a list, such as [0x8000] or [nan]');
  }
  const raw = new Set<bigint>();
  // Defaults of a profile reach its texts and bits too, where no number can stand for "no value".
  if (!withoutNumber.includes(type)) {
    for (const item of list) {
      if (item === 'nan' || item === 'inf') continue;
      raw.add(sentinel(item, type, isByte(type) ? 8 : count * 16));
    }
  }
  return { nan: list.includes('nan'), infinite: list.includes('inf'), raw };
}

function sentinel(item: Json, type: PointType, width: number): bigint {
  const digits = width / 4;
  if (typeof item === 'string' && /^0x[0-9a-f]+$/i.test(item)) {
    if (item.length - 2 === digits) return BigInt(item);
    throw new PointError(
      'notAvailable',
      `${item} has ${item.length - 2} digits, but ${type} has ${digits}; write 0x${item.slice(2).padStart(digits, '0').slice(-digits)} if that is meant`,
    );
  }
  if (typeof item !== 'number' || !Number.isInteger(item)) {
    throw new PointError('notAvailable', `${JSON.stringify(item)} is not like 0x8000, nan or inf`);
  }
  const value = BigInt(item);
  const unsigned = BigInt.asUintN(width, value);
  if (value !== unsigned && value !== BigInt.asIntN(width, value)) {
    throw new PointError('notAvailable', `${item} does not fit into the ${width} bits of ${type}`);
  }
  return unsigned;
}

function namesOf(key: string, source: Json | undefined): ReadonlyMap<bigint, string> | undefined {
  if (source === undefined) return undefined;
  if (source === null || typeof source !== 'object' || Array.isArray(source)) {
    throw new PointError(key, 'give names by number, such as { 0: off, 1: running }');
  }
  const names = new Map<bigint, string>();
  for (const [number, name] of Object.entries(source)) {
    if (!/^(-?\d{1,20}|0x[0-9a-f]{1,16})$/i.test(number) || typeof name !== 'string') {
      throw new PointError(key, `"${number}" is not like 3: running`);
    }
    names.set(BigInt(number), name);
  }
  return names;
}

function flagBits(names: ReadonlyMap<bigint, string>, width: number): ReadonlyMap<number, string> {
  const flags = new Map<number, string>();
  for (const [bit, name] of [...names].sort(([a], [b]) => Number(a - b))) {
    if (bit < 0n || bit >= BigInt(width)) {
      throw new PointError('flags', `bit ${bit} is outside 0 to ${width - 1}`);
    }
    flags.set(Number(bit), name);
  }
  return flags;
}

function scalePoint(source: Json | undefined): string | undefined {
  if (source === null || typeof source !== 'object' || Array.isArray(source)) return undefined;
  const point = (source as Keys).point;
  if (typeof point === 'string') return point;
  throw new PointError('scale', 'name the point with the power of ten, such as { point: a.sf }');
}

function oneOf<T extends Json>(
  key: string,
  value: Json | undefined,
  allowed: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw new PointError(key, `${JSON.stringify(value)} is not one of ${allowed.join(', ')}`);
}

function numberIn(
  key: string,
  value: Json | undefined,
  min: number,
  max: number,
): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw new PointError(key, `${JSON.stringify(value)} is not a whole number from ${min} to ${max}`);
}

function text(key: string, value: Json | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new PointError(key, `${JSON.stringify(value)} is not a text`);
}
