/// <reference lib="esnext.float16" />

const float16 = new DataView(new ArrayBuffer(2));

/** The nearest number that a 16-bit float can hold. */
function roundToFloat16(value: number): number {
  float16.setFloat16(0, value);
  return float16.getFloat16(0);
}

/**
 * The shortest decimal that is the same 32-bit float: a meter that sends 230.2 is shown as 230.2,
 * not as 230.1999969482422.
 */
export function shortestFloat32(value: number): number {
  return shortest(value, Math.fround, 2 ** -126, 6, 9);
}

/** The shortest decimal that is the same 16-bit float. */
export function shortestFloat16(value: number): number {
  return shortest(value, roundToFloat16, 2 ** -14, 3, 5);
}

// 6 digits survive the way through a float32 and 9 always name it (IEEE 754, 5.12.2); 3 and 5 for
// a float16. Below the smallest normal number the digits thin out down to one.
function shortest(
  value: number,
  round: (value: number) => number,
  smallestNormal: number,
  sure: number,
  most: number,
): number {
  if (Number.isInteger(value) && Math.abs(value) < 10 ** sure) return value;
  for (let digits = Math.abs(value) < smallestNormal ? 1 : sure; digits < most; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (round(candidate) === value) return candidate;
  }
  return Number(value.toPrecision(most));
}
