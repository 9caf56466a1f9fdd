import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/model/clock.ts';

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it. Running time and wall time are independent. */
export class ManualClock implements Clock {
  bootId: string;
  #monotonic: number;
  #wall: number;
  #synced: boolean;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(
    options: {
      readonly monotonic?: number;
      readonly wall?: number;
      readonly synced?: boolean;
      readonly bootId?: string;
    } = {},
  ) {
    this.#monotonic = options.monotonic ?? 1_000;
    this.#wall = options.wall ?? Date.UTC(2026, 10, 20, 9, 0, 0);
    this.#synced = options.synced ?? true;
    this.bootId = options.bootId ?? 'boot-1';
  }

  wall(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  synced(): boolean {
    return this.#synced;
  }

  setTimeout(fn: () => void, ms: number): Disposable {
    this.#order += 1;
    const timer: Timer = { due: this.#monotonic + Math.max(0, ms), order: this.#order, fn };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  /** Timers that have not fired. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass; timers fire in the order in which they are due, those that they set included. */
  advance(ms: number): void {
    const end = this.#monotonic + ms;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#fire(timer);
    }
    this.#moveTo(end);
  }

  /** Like advance(), but promises settle before the first timer, after each, and at the end. */
  async pass(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await setImmediate();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#fire(timer);
      await setImmediate();
    }
    this.#moveTo(end);
    await setImmediate();
  }

  /** Somebody sets the wall clock; running time and timers do not notice. */
  jumpWall(ms: number): void {
    this.#wall += ms;
  }

  setSynced(synced: boolean): void {
    this.#synced = synced;
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due > end) continue;
      if (
        first === undefined ||
        timer.due < first.due ||
        (timer.due === first.due && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }

  #fire(timer: Timer): void {
    this.#timers.delete(timer);
    this.#moveTo(Math.max(timer.due, this.#monotonic));
    timer.fn();
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }
}
