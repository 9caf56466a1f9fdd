import type { Clock } from '../model/clock.ts';

/** How often something may happen: so many times a second, with a few seconds' worth saved up. */
export class Quota {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #saved: number;
  #at: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#saved = perSecond * savedSeconds;
    this.#at = clock.monotonic();
  }

  /** Whether take() would say false. */
  get isEmpty(): boolean {
    this.#accrue();
    return this.#saved < 1;
  }

  /** False when it has happened too often. */
  take(): boolean {
    if (this.isEmpty) return false;
    this.#saved -= 1;
    return true;
  }

  #accrue(): void {
    const now = this.#clock.monotonic();
    const most = this.#perSecond * savedSeconds;
    this.#saved = Math.min(most, this.#saved + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
  }
}

const savedSeconds = 3;
