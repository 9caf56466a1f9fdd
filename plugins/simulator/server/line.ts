import { type Runtime, Timers } from './runtime.ts';

/** One turn on the line. It calls `done` once, at once or later. */
export type Turn = (done: () => void) => void;

/**
 * A medium that carries one conversation at a time: turns run one after the other, in order. How
 * many may wait is the business of the connections, each of which stops reading at its limit.
 */
export class Line {
  readonly #timers: Timers;
  #waiting: Turn[] = [];
  #busy = false;
  #running = false;

  constructor(runtime: Pick<Runtime, 'setTimeout'>) {
    this.#timers = new Timers(runtime);
  }

  take(turn: Turn): void {
    this.#waiting.push(turn);
    this.#run();
  }

  /** A wait of the current turn. */
  after(ms: number, run: () => void): void {
    this.#timers.after(ms, run);
  }

  /** Forgets all turns; none of them is continued. */
  clear(): void {
    this.#timers.clear();
    this.#waiting = [];
  }

  /** A loop and not a recursion, because thousands of turns may end at once. */
  #run(): void {
    if (this.#running) return;
    this.#running = true;
    while (!this.#busy) {
      const turn = this.#waiting.shift();
      if (turn === undefined) break;
      this.#busy = true;
      turn(() => {
        this.#busy = false;
        this.#run();
      });
    }
    this.#running = false;
  }
}
