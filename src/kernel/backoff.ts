export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
  /** 0 to below 1. Tests replace it. */
  readonly random?: () => number;
}

/**
 * How long to wait before trying again: doubling, with full jitter applied after the cap, so that
 * a thousand gateways do not come back in the same second.
 */
export class Backoff {
  readonly #limits: BackoffLimits;
  #attempt = 0;

  constructor(limits: BackoffLimits) {
    this.#limits = limits;
  }

  /** Attempts since the last reset. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Milliseconds to wait, between minMs and the cap of this attempt. */
  next(): number {
    const { minMs, maxMs, random = Math.random } = this.#limits;
    const cap = Math.min(maxMs, minMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt += 1;
    return minMs + Math.round(random() * (cap - minMs));
  }

  reset(): void {
    this.#attempt = 0;
  }
}
