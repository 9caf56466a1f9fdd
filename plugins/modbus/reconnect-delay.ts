const firstMs = 1000;
const longestMs = 60_000;

/**
 * When a lost connection may be opened again: at once after the first failure, then after 1, 2, 4 …
 * 60 s, each spread by a quarter, so that gateways do not come back in step after a power cut.
 */
export class ReconnectDelay {
  readonly #random: () => number;
  readonly #longest: number;
  #failures = 0;
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(random: () => number = Math.random, longest = longestMs) {
    this.#random = random;
    this.#longest = longest;
  }

  /** A connection failed, or ended without a single good answer. `now` in monotonic ms. */
  failed(now: number): void {
    this.#failures += 1;
    if (this.#failures < 2) return;
    const ms = Math.min(firstMs * 2 ** (this.#failures - 2), this.#longest);
    this.#notBefore = now + ms * (0.75 + this.#random() * 0.5);
  }

  /** The device answered: the next loss counts as the first one. */
  succeeded(): void {
    this.#failures = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
  }

  /** Milliseconds until the next try, 0 if it may be made now. */
  remaining(now: number): number {
    return Math.max(0, this.#notBefore - now);
  }
}
