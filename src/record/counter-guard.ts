import type { CounterRule } from '../model/point.ts';

/** Readings that must agree before a suspect value is believed, unless the rule says otherwise. */
const defaultConfirm = 3;
/** A fall from the last tenth of a counter's span into its first tenth is a rollover. */
const rolloverMargin = 0.1;

export interface CounterVerdict {
  readonly value: number;
  readonly suspect: boolean;
}

/**
 * Withholds falls and sudden zeros of a counter until several readings agree, so that a device
 * that wakes up with zero does not invent a day's energy (Home Assistant issues sigenergy #313 and
 * solaredge #128 are the cases). A withheld reading repeats the last value that was confirmed.
 */
export class CounterGuard {
  readonly #rule: CounterRule;
  #confirmed: number | undefined;
  #candidate = 0;
  #agreeing = 0;

  constructor(rule: CounterRule) {
    this.#rule = rule;
  }

  judge(value: number): CounterVerdict {
    const before = this.#confirmed;
    if (before === undefined || this.#plausible(before, value)) return this.#believe(value);
    // Readings agree when they go on from each other, as a replaced or reset counter does.
    this.#agreeing = this.#agreeing > 0 && value >= this.#candidate ? this.#agreeing + 1 : 1;
    this.#candidate = value;
    if (this.#withinTolerance(before, value)) this.#agreeing = 0;
    if (this.#agreeing >= (this.#rule.confirm ?? defaultConfirm)) return this.#believe(value);
    return { value: before, suspect: true };
  }

  #believe(value: number): CounterVerdict {
    this.#confirmed = value;
    this.#agreeing = 0;
    return { value, suspect: false };
  }

  #plausible(before: number, value: number): boolean {
    const { decrease = 'suspect', zeroAfterNonZero = 'suspect', resets, rollover } = this.#rule;
    if (value >= before) return true;
    if (resets === 'daily') return true;
    if (
      rollover !== undefined &&
      before >= rollover * (1 - rolloverMargin) &&
      value <= rollover * rolloverMargin
    ) {
      return true;
    }
    return value === 0 ? zeroAfterNonZero === 'accept' : decrease === 'accept';
  }

  /** A glitch backwards of less than the tolerance never becomes true by repetition. */
  #withinTolerance(before: number, value: number): boolean {
    const { tolerancePct = 0 } = this.#rule;
    return value !== 0 && before - value <= (Math.abs(before) * tolerancePct) / 100;
  }
}
