import type { DriverError } from '#driver';

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** Milliseconds before each next probe; the last one goes on for ever. */
  readonly probeMs: readonly number[];
  /** 0 to below 1. Tests replace it. */
  readonly random: () => number;
}

/** After EdgeX #828: a dead device costs the others nothing, and one that is back is seen soon. */
export const breakerLimits: BreakerLimits = {
  failures: 3,
  probeMs: [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000],
  random: Math.random,
};

/** Share by which the time of a probe is moved, so that thirty dead devices are not probed at once. */
const jitter = 0.1;

/**
 * Keeps a device that does not answer from taking the time of its link. Closed: it is polled.
 * Open: only one of its points is asked for, at growing intervals, until it answers. A refusal is
 * an answer.
 */
export class Breaker {
  readonly #limits: BreakerLimits;
  #state: 'closed' | 'open' | 'probing' = 'closed';
  #failures = 0;
  #probes = 0;
  #probeAt = Number.POSITIVE_INFINITY;
  #error: DriverError | undefined;

  constructor(limits: BreakerLimits) {
    this.#limits = limits;
  }

  get state(): 'closed' | 'open' | 'probing' {
    return this.#state;
  }

  /** Failures since the last answer. */
  get failures(): number {
    return this.#failures;
  }

  /** Why the last read failed; undefined after an answer. */
  get error(): DriverError | undefined {
    return this.#error;
  }

  /** Monotonic time at which the next probe is due; infinite while closed or probing. */
  get probeAt(): number {
    return this.#state === 'open' ? this.#probeAt : Number.POSITIVE_INFINITY;
  }

  /** The device answered. True when that ends an outage. */
  answered(): boolean {
    const wasOpen = this.#state !== 'closed';
    this.#state = 'closed';
    this.#failures = 0;
    this.#probes = 0;
    this.#error = undefined;
    return wasOpen;
  }

  /** The device did not answer. True when that opens the breaker. */
  failed(error: DriverError, now: number): boolean {
    this.#failures += 1;
    this.#error = error;
    if (this.#state === 'closed') {
      if (this.#failures < this.#limits.failures) return false;
      this.#await(now);
      return true;
    }
    this.#await(now);
    return false;
  }

  /** Opens it without counting: the device cannot be used at all. True unless it was open. */
  trip(error: DriverError, now: number): boolean {
    const wasClosed = this.#state === 'closed';
    this.#failures += 1;
    this.#error = error;
    this.#await(now);
    return wasClosed;
  }

  /** The way to the device is open again: perhaps it was not the device that was silent. */
  probeSoon(now: number): void {
    this.#probes = 0;
    this.#probeAt = now;
  }

  /** A probe is on its way. */
  probe(): void {
    this.#state = 'probing';
  }

  /** The probe was not sent, or ended without telling anything about the device: it is due again. */
  probeAgain(now: number): void {
    if (this.#state === 'probing') this.#await(now);
  }

  #await(now: number): void {
    const { probeMs, random } = this.#limits;
    const wait = probeMs[Math.min(this.#probes, probeMs.length - 1)] ?? 0;
    this.#state = 'open';
    this.#probes += 1;
    this.#probeAt = now + wait * (1 - jitter + 2 * jitter * random());
  }
}

/** Keeps the probes of all dead devices of a link below a share of its time. */
export class ProbeBudget {
  readonly #share: number;
  readonly #maxSavedMs: number;
  #savedMs = 0;
  #at: number;

  constructor(share: number, maxSavedMs: number, now: number) {
    this.#share = share;
    this.#maxSavedMs = maxSavedMs;
    this.#at = now;
  }

  /** Milliseconds until a probe may be sent; 0 when it may be sent now. */
  waitMs(now: number): number {
    this.#accrue(now);
    return this.#savedMs >= 0 ? 0 : -this.#savedMs / this.#share;
  }

  /** A probe took this long. */
  spent(ms: number, now: number): void {
    this.#accrue(now);
    this.#savedMs -= ms;
  }

  #accrue(now: number): void {
    this.#savedMs = Math.min(this.#maxSavedMs, this.#savedMs + (now - this.#at) * this.#share);
    this.#at = now;
  }
}
