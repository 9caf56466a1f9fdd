import { type ByteOrder, places, reorder } from '../byte-order.ts';
import { shortestFloat32 } from '../shortest-decimal.ts';

/** The four ways in which two or more registers are put together. */
export const shownOrders = ['ABCD', 'CDAB', 'BADC', 'DCBA'] as const satisfies readonly ByteOrder[];

/** What some registers would mean as one type, in each order. */
export interface TypeReading {
  readonly type: string;
  /** By order; one of 16 bits has only ABCD and BADC (its two bytes swapped). */
  readonly values: Readonly<Partial<Record<(typeof shownOrders)[number], number | string>>>;
  /** Orders in which the value is one that a device may well measure. */
  readonly plausible: readonly string[];
}

interface NumberType {
  readonly name: string;
  readonly size: 2 | 4 | 8;
  read(data: Buffer): number | bigint;
  plausible(value: number): boolean;
}

const counts = (most: number) => (value: number) => value !== 0 && Math.abs(value) <= most;
const measures = (value: number) =>
  Number.isFinite(value) && Math.abs(value) >= 1e-3 && Math.abs(value) < 1e7;

const types: readonly NumberType[] = [
  { name: 'uint16', size: 2, read: (data) => data.readUInt16BE(), plausible: counts(65_000) },
  { name: 'int16', size: 2, read: (data) => data.readInt16BE(), plausible: counts(32_000) },
  { name: 'uint32', size: 4, read: (data) => data.readUInt32BE(), plausible: counts(1e8) },
  { name: 'int32', size: 4, read: (data) => data.readInt32BE(), plausible: counts(1e8) },
  {
    name: 'float32',
    size: 4,
    read: (data) => shortestFloat32(data.readFloatBE()),
    plausible: measures,
  },
  { name: 'uint64', size: 8, read: (data) => data.readBigUInt64BE(), plausible: counts(1e12) },
  { name: 'int64', size: 8, read: (data) => data.readBigInt64BE(), plausible: counts(1e12) },
  { name: 'float64', size: 8, read: (data) => data.readDoubleBE(), plausible: measures },
];

/** What the first registers of some data would mean as every type that fits into them. */
export function readingsOf(data: Buffer): readonly TypeReading[] {
  return types
    .filter(({ size }) => size <= data.length)
    .map(({ name, size, read, plausible }) => {
      const values: Record<string, number | string> = {};
      const likely: string[] = [];
      const raw = data.subarray(0, size);
      const isBlank = raw.every((byte) => byte === 0) || raw.every((byte) => byte === 0xff);
      for (const order of shownOrders) {
        if (size === 2 && (order === 'CDAB' || order === 'DCBA')) continue;
        const value = read(inOrder(raw, order, size));
        values[order] = shown(value);
        if (!isBlank && plausible(Number(value))) likely.push(order);
      }
      return { type: name, values, plausible: likely };
    });
}

function inOrder(raw: Buffer, order: ByteOrder, size: 2 | 4 | 8): Buffer {
  const moves = places(order, size);
  if (moves === undefined || moves === null) return raw;
  const natural = Buffer.alloc(size);
  reorder(raw, 0, natural, 0, moves);
  return natural;
}

/** Short enough for a table of four columns; what is no number of JSON as text. */
function shown(value: number | bigint): number | string {
  const number = Number(value);
  if (!Number.isFinite(number)) return String(number);
  const text = String(value);
  return text.length <= 11 && Number.isSafeInteger(Math.trunc(number))
    ? number
    : number.toPrecision(5);
}
