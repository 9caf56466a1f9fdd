/** A is the most significant byte; the letters stand in the order in which they arrive. */
export type ByteOrder =
  | 'AB'
  | 'BA'
  | 'ABCD'
  | 'DCBA'
  | 'BADC'
  | 'CDAB'
  | 'ABCDEFGH'
  | 'HGFEDCBA'
  | 'BADCFEHG'
  | 'GHEFCDAB';

/** Every order that a point may name. */
export const byteOrders: readonly ByteOrder[] = [
  'AB',
  'BA',
  'ABCD',
  'DCBA',
  'BADC',
  'CDAB',
  'ABCDEFGH',
  'HGFEDCBA',
  'BADCFEHG',
  'GHEFCDAB',
];

// What an order says about a value of 2, 4 and 8 bytes, so that a device states it once for all.
const shapes: Readonly<Record<string, readonly [two: string, four: string, eight: string]>> = {
  AB: ['AB', 'ABCD', 'ABCDEFGH'],
  BA: ['BA', 'BADC', 'BADCFEHG'],
  ABCD: ['AB', 'ABCD', 'ABCDEFGH'],
  CDAB: ['AB', 'CDAB', 'GHEFCDAB'],
  BADC: ['BA', 'BADC', 'BADCFEHG'],
  DCBA: ['BA', 'DCBA', 'HGFEDCBA'],
};

/** Whether the two bytes inside each register arrive with the low one first. */
export function swapsBytes(order: ByteOrder): boolean {
  return order === 'BA' || order === 'BADC' || order === 'BADCFEHG' || order.endsWith('BA');
}

/**
 * For each arriving byte its place in the natural, big-endian value; undefined if nothing has to
 * move, or null if the order cannot describe a value of this size.
 */
export function places(order: ByteOrder, size: 2 | 4 | 8): readonly number[] | undefined | null {
  const letters =
    order.length === 8
      ? size === 8
        ? order
        : undefined
      : shapes[order]?.[size === 2 ? 0 : size === 4 ? 1 : 2];
  if (letters === undefined) return null;
  const found = Array.from(letters, (letter) => letter.charCodeAt(0) - 65);
  return found.every((place, index) => place === index) ? undefined : found;
}

/**
 * Copies one value from its wire order to its natural order. Each order is its own inverse, so the
 * same function brings a value into wire order: reading and writing cannot disagree.
 */
export function reorder(
  from: Uint8Array,
  fromOffset: number,
  to: Uint8Array,
  toOffset: number,
  order: readonly number[],
): void {
  for (const [index, place] of order.entries()) {
    to[toOffset + place] = from[fromOffset + index] ?? 0;
  }
}
