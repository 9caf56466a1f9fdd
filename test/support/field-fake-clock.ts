import type { Clock } from '../../src/model/clock.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that moves only when a test says so. */
export class FakeClock implements Clock {
  readonly bootId = 'test-boot';
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  wall(): number {
    return 1_795_167_660_000 + this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  synced(): boolean {
    return true;
  }

  setTimeout(fn: () => void, ms: number): Disposable {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order, fn };
    this.#order += 1;
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => this.#timers.delete(timer) };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Moves time on, timer by timer, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#next(until);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.fn();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > until) continue;
      const first =
        next === undefined ||
        timer.at < next.at ||
        (timer.at === next.at && timer.order < next.order);
      if (first) next = timer;
    }
    return next;
  }
}

/** Lets everything that is ready run: promises, and what was put off to the next turn. */
async function settle(): Promise<void> {
  for (let i = 0; i < 2; i += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
