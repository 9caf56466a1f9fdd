import type { Deadband } from '../model/point.ts';
import type { Quality, Value } from '../model/reading.ts';
import type { Reason } from '../model/reason.ts';

/** Without a change a point is told this often, unless its deadband says otherwise. */
export const defaultMaxIntervalMs = 15 * 60_000;

export interface Told {
  readonly value: Value | null;
  readonly quality: Quality;
  readonly reason: Reason | undefined;
}

/**
 * Decides whether a reading is worth telling: the first, every change of quality or reason, a
 * change beyond the deadband, and one at least every maxIntervalMs.
 *
 * With both abs and pct a change has to pass both: abs is the floor for small values, pct for large
 * ones. A suppressed change is not forgotten: the next reading is compared with the last told.
 */
export class ChangeFilter {
  readonly #deadband: Deadband | undefined;
  #told: Told | undefined;
  #toldAt = 0;

  constructor(deadband: Deadband | undefined) {
    this.#deadband = deadband;
  }

  /** @param now milliseconds of the monotonic clock */
  pass(next: Told, now: number): boolean {
    const worthTelling = this.#worthTelling(next, now);
    if (worthTelling) {
      this.#told = next;
      this.#toldAt = now;
    }
    return worthTelling;
  }

  #worthTelling(next: Told, now: number): boolean {
    const told = this.#told;
    if (told === undefined) return true;
    if (next.quality !== told.quality || next.reason !== told.reason) return true;
    const age = now - this.#toldAt;
    if (age >= (this.#deadband?.maxIntervalMs ?? defaultMaxIntervalMs)) return true;
    if (age < (this.#deadband?.minIntervalMs ?? 0)) return false;
    // A device that stays silent has nothing new to say with each poll.
    if (next.value === null) return false;
    if (this.#deadband === undefined) return true;
    if (typeof next.value !== 'number' || typeof told.value !== 'number')
      return next.value !== told.value;
    return this.#moved(told.value, next.value);
  }

  #moved(told: number, next: number): boolean {
    const { abs, pct } = this.#deadband ?? {};
    if (abs === undefined && pct === undefined) return true;
    const threshold = Math.max(abs ?? 0, (Math.abs(told) * (pct ?? 0)) / 100);
    const change = Math.abs(next - told);
    // A change of exactly the deadband counts, and 20.2 − 20 is a little less than 0.2.
    return change > 0 && change >= threshold * (1 - 1e-9);
  }
}
