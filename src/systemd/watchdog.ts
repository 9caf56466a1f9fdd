import type { Clock } from '../model/clock.ts';

/** While the gateway is not well it is asked again this often. */
const askAgainMs = 1_000;

export interface WatchdogParts {
  readonly clock: Pick<Clock, 'setTimeout'>;
  readonly notifier: { alive(): Promise<void> };
  /** From WatchdogSec=; undefined: no watchdog. */
  readonly watchdogMs: number | undefined;
  /** HealthLoop.live(). */
  readonly live: () => boolean;
}

/**
 * Tells systemd at half of its time-out that the gateway is alive, as long as it is: a gateway that
 * hangs, or whose store hangs, falls silent and is restarted. An upstream that is away is no reason.
 */
export class Watchdog {
  readonly #parts: WatchdogParts;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(parts: WatchdogParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#parts.watchdogMs !== undefined && this.#timer === undefined) this.#ask();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #ask(): void {
    const { clock, notifier, watchdogMs, live } = this.#parts;
    if (this.#closed || watchdogMs === undefined) return;
    const alive = live();
    // The notifier notes its own failures.
    if (alive) void notifier.alive();
    const half = watchdogMs / 2;
    this.#timer = clock.setTimeout(() => this.#ask(), alive ? half : Math.min(askAgainMs, half));
  }
}
