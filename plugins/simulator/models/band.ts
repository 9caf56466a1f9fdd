/** What a point of one simulated device can ever say; anything else is a wrong value. */
export type Band =
  | {
      readonly kind: 'interval';
      readonly min: number;
      readonly max: number;
      /** No other lane (seed modulo 32) has a value of this interval: a neighbour's value shows. */
      readonly distinct: boolean;
    }
  | { readonly kind: 'one-of'; readonly values: ReadonlyArray<number | boolean | string> }
  /** The device has no such sensor and says so. */
  | { readonly kind: 'not-available' };

/** Bands by point id. */
export type Bands = Readonly<Record<string, Band>>;

/** Final values by point id; null stands for "not available". */
export type Values = Readonly<Record<string, number | boolean | string | null>>;

/** Devices whose seeds differ modulo this number have no value in common at distinct points. */
export const lanes = 32;

/** The highest seed. Counters start at a multiple of it and must fit a JSON number. */
export const highestSeed = 4095;

/** When every simulated device was put into service: 2026-01-01T00:00:00Z. */
export const inServiceSince = 1_767_225_600_000;

/** Until when counters stay inside their bands: 2036-01-01T00:00:00Z. */
export const countersValidUntil = 2_082_758_400_000;

/** Hours since the device was put into service; never negative, even with a wrong clock. */
export function hoursInService(time: number): number {
  return Math.max(0, time - inServiceSince) / 3_600_000;
}

/** Rounds to a number of decimals so that the result prints as that decimal. */
export function roundTo(value: number, decimals: number): number {
  const factor = 10 ** decimals;
  return Math.round(value * factor) / factor;
}
