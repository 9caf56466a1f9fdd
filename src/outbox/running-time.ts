/**
 * Milliseconds that gateways with this file have been running, all of them together. Ages are
 * measured in it, because the wall clock of a box without a battery jumps by years.
 */
export class RunningTime {
  /** Running time at which this process began; everything stored by it is at or above. */
  readonly sessionStart: number;
  readonly #monotonicAtStart: number;
  #latest: number;

  constructor(sessionStart: number, monotonic: number) {
    this.sessionStart = sessionStart;
    this.#monotonicAtStart = monotonic;
    this.#latest = sessionStart;
  }

  /** Running time at a reading of Clock.monotonic(). */
  at(monotonic: number): number {
    const run = this.sessionStart + Math.max(0, monotonic - this.#monotonicAtStart);
    this.#latest = Math.max(this.#latest, run);
    return run;
  }

  /** The newest that was asked for. */
  get latest(): number {
    return this.#latest;
  }

  /** Clock.monotonic() at a running time, if it was in this process. */
  monotonicAt(run: number): number | undefined {
    return run < this.sessionStart ? undefined : run - this.sessionStart + this.#monotonicAtStart;
  }
}
