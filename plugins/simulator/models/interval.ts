import { roundTo } from './band.ts';

/** A closed interval. */
export interface Interval {
  readonly min: number;
  readonly max: number;
}

/** Slots of equal width side by side, with a gap between neighbours. */
export interface Slots {
  readonly first: number;
  readonly step: number;
  readonly width: number;
}

/** The slot with this index. */
export function slotOf({ first, step, width }: Slots, index: number): Interval {
  const min = roundTo(first + index * step, 3);
  return { min, max: roundTo(min + width, 3) };
}

/** Maps a wave in [-1, 1] into the interval. */
export function within({ min, max }: Interval, wave: number): number {
  return min + ((wave + 1) / 2) * (max - min);
}

/** The middle of the interval. */
export function middle({ min, max }: Interval): number {
  return (min + max) / 2;
}
