import type { Clock } from '../model/clock.ts';

/** Notices that the disk does not answer. */
export class StallWatch {
  readonly #clock: Pick<Clock, 'setTimeout'>;
  readonly #ms: number;
  readonly #stalled: () => void;
  #timer: Disposable | undefined;
  #isStalled = false;

  constructor(clock: Pick<Clock, 'setTimeout'>, ms: number, stalled: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#stalled = stalled;
  }

  /** Something was asked of the disk. */
  begin(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#isStalled = true;
      this.#stalled();
    }, this.#ms);
  }

  /** It has answered. Returns whether that took too long. */
  end(): boolean {
    this.#timer?.[Symbol.dispose]();
    const wasStalled = this.#isStalled;
    this.#isStalled = false;
    return wasStalled;
  }
}
