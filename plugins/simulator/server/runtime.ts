import type { DriverHost } from '#driver';

/** What a simulated site needs of its surroundings. A DriverHost is one. */
export type Runtime = Pick<DriverHost, 'log' | 'now' | 'monotonic' | 'setTimeout' | 'setInterval'>;

/** Running timers of one owner, which ends them together. */
export class Timers {
  readonly #runtime: Pick<Runtime, 'setTimeout'>;
  readonly #running = new Set<Disposable>();

  constructor(runtime: Pick<Runtime, 'setTimeout'>) {
    this.#runtime = runtime;
  }

  after(ms: number, run: () => void): void {
    const timer = this.#runtime.setTimeout(() => {
      this.#running.delete(timer);
      run();
    }, ms);
    this.#running.add(timer);
  }

  clear(): void {
    for (const timer of this.#running) timer[Symbol.dispose]();
    this.#running.clear();
  }
}
