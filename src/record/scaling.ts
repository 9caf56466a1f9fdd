import type { Point } from '../model/point.ts';
import type { Value } from '../model/reading.ts';

/** Fifteen significant digits: all that a double can promise, and none of its rounding noise. */
const significantDigits = 15;

/** Longest text value that is told; a device that sends more is cut, not believed. */
export const textValueMaxLength = 1024;

/**
 * value = raw × scale + offset. Undefined when the result is no finite number.
 *
 * Multiplying by 0.1 or 0.01 would give 22.900000000000002, so a scale whose reciprocal is whole
 * divides instead. A 64-bit integer beyond 2^53 without scale keeps all its digits, as text.
 */
export function scaled(
  point: Pick<Point, 'scale' | 'offset'>,
  raw: number | boolean | string | bigint,
): Value | undefined {
  if (typeof raw === 'boolean') return raw;
  if (typeof raw === 'string')
    return raw.length > textValueMaxLength ? raw.slice(0, textValueMaxLength) : raw;
  const { scale = 1, offset = 0 } = point;
  if (typeof raw === 'bigint') {
    if (scale === 1 && offset === 0 && !fitsDouble(raw)) return raw.toString();
    return scaled(point, Number(raw));
  }
  if (scale === 1 && offset === 0) return Number.isFinite(raw) ? unsignedZero(raw) : undefined;
  const product = times(raw, scale);
  const sum = tidy(product + offset);
  return Number.isFinite(sum) ? unsignedZero(sum) : undefined;
}

function fitsDouble(raw: bigint): boolean {
  return raw <= BigInt(Number.MAX_SAFE_INTEGER) && raw >= BigInt(Number.MIN_SAFE_INTEGER);
}

function times(raw: number, scale: number): number {
  const divisor = 1 / scale;
  if (Math.abs(scale) < 1 && Math.abs(divisor - Math.round(divisor)) < 1e-9)
    return raw / Math.round(divisor);
  return raw * scale;
}

function tidy(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(significantDigits));
}

/** JSON has no −0, and nobody wants one. */
function unsignedZero(value: number): number {
  return value === 0 ? 0 : value;
}
