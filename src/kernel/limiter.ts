import type { Clock } from '../model/clock.ts';

export interface LimiterLimits {
  /** What may be taken per second in the long run. */
  readonly perSecond: number;
  /** What may be taken at once after a rest. */
  readonly burst: number;
}

/** How much of something may be used per second: a token bucket that fills by running time. */
export class Limiter {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #limits: LimiterLimits;
  #tokens: number;
  #at: number;

  constructor(limits: LimiterLimits, clock: Pick<Clock, 'monotonic'>) {
    this.#limits = limits;
    this.#clock = clock;
    this.#tokens = limits.burst;
    this.#at = clock.monotonic();
  }

  /** Takes all that is asked for, or nothing. What is larger than the burst is never given. */
  tryTake(cost = 1): boolean {
    this.#fill();
    if (cost > this.#tokens) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Milliseconds until so much can be taken; 0 when now, Infinity when never. */
  msUntil(cost = 1): number {
    this.#fill();
    if (cost <= this.#tokens) return 0;
    if (cost > this.#limits.burst || this.#limits.perSecond <= 0) return Number.POSITIVE_INFINITY;
    return Math.ceil(((cost - this.#tokens) / this.#limits.perSecond) * 1_000);
  }

  #fill(): void {
    const now = this.#clock.monotonic();
    const { perSecond, burst } = this.#limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) / 1_000) * perSecond);
    this.#at = now;
  }
}
