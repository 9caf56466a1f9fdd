import type { Clock } from '../model/clock.ts';

/** The event loop is looked at this often. */
const tickMs = 500;
/** A stall of this length is a failure… */
const maxLagMs = 2_000;
/** …that is remembered this long, so that a question asked right after it hears of it. */
const rememberMs = 1_000;

/** What live() found. */
export interface Liveness {
  readonly live: boolean;
  /** Longest recent stall of the event loop, milliseconds. */
  readonly lagMs: number;
  /** Heartbeats that are overdue. */
  readonly overdue: readonly string[];
}

interface Heartbeat {
  readonly maxAgeMs: number;
  at: number;
}

/**
 * Whether the gateway works at all: its event loop turns and its store answers. An upstream that is
 * away or a dead device never matters here, because a restart would not help.
 */
export class HealthLoop {
  readonly #clock: Clock;
  readonly #heartbeats = new Map<string, Heartbeat>();
  #timer: Disposable | undefined;
  #due = 0;
  #worst = { lagMs: 0, at: Number.NEGATIVE_INFINITY };
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  start(): void {
    if (this.#timer === undefined && !this.#closed) this.#arm();
  }

  /**
   * Adds a heartbeat: the returned function has to be called at least every `maxAgeMs`. The first
   * one is due that long from now.
   */
  watch(name: string, maxAgeMs: number): () => void {
    const heartbeat = { maxAgeMs, at: this.#clock.monotonic() };
    this.#heartbeats.set(name, heartbeat);
    return () => {
      heartbeat.at = this.#clock.monotonic();
    };
  }

  /** Asked by the watchdog and by /livez. */
  live(): boolean {
    return this.check().live;
  }

  check(): Liveness {
    const now = this.#clock.monotonic();
    const lagMs = this.#lag(now);
    const overdue = [...this.#heartbeats]
      .filter(([, { at, maxAgeMs }]) => now - at > maxAgeMs)
      .map(([name]) => name);
    return { live: lagMs < maxLagMs && overdue.length === 0, lagMs, overdue };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#due = this.#clock.monotonic() + tickMs;
    this.#timer = this.#clock.setTimeout(() => {
      const now = this.#clock.monotonic();
      const lagMs = now - this.#due;
      if (lagMs >= this.#lag(now)) this.#worst = { lagMs, at: now };
      this.#arm();
    }, tickMs);
  }

  /** The tick that is overdue right now counts, too: after a stall, whoever comes first asks. */
  #lag(now: number): number {
    const pending = this.#timer === undefined ? 0 : Math.max(0, now - this.#due);
    const remembered = now - this.#worst.at <= rememberMs ? this.#worst.lagMs : 0;
    return Math.max(pending, remembered);
  }
}
