/** Whole numbers from `from` to `to`, both included. */
export type Interval = readonly [from: number, to: number];

/** A set of whole numbers as sorted intervals that do not touch, bounded in how many there are. */
export class IntervalSet {
  readonly #limit: number;
  #intervals: Interval[] = [];

  constructor(limit: number, intervals: readonly Interval[] = []) {
    this.#limit = limit;
    this.#intervals = [...intervals];
  }

  get intervals(): readonly Interval[] {
    return this.#intervals;
  }

  /** Parts of an interval that are not in the set. */
  missing([from, to]: Interval): readonly Interval[] {
    const parts: Interval[] = [];
    let next = from;
    for (const [first, last] of this.#intervals) {
      if (last < next) continue;
      if (first > to) break;
      if (first > next) parts.push([next, first - 1]);
      next = last + 1;
    }
    if (next <= to) parts.push([next, to]);
    return parts;
  }

  /** Adds an interval; false, and nothing changed, when that would make too many. */
  add([from, to]: Interval): boolean {
    const before = this.#intervals.filter(([, last]) => last < from - 1);
    const after = this.#intervals.filter(([first]) => first > to + 1);
    if (before.length + 1 + after.length > this.#limit) return false;
    const touched = this.#intervals.slice(before.length, this.#intervals.length - after.length);
    const merged: Interval = [
      Math.min(from, touched[0]?.[0] ?? from),
      Math.max(to, touched.at(-1)?.[1] ?? to),
    ];
    this.#intervals = [...before, merged, ...after];
    return true;
  }

  /** Takes out everything up to a number and what goes on from there; returns the end of it. */
  takeThrough(through: number): number {
    let end = through;
    while (this.#intervals[0] !== undefined && this.#intervals[0][0] <= end + 1) {
      end = Math.max(end, this.#intervals[0][1]);
      this.#intervals.shift();
    }
    return end;
  }

  /** Takes out the interval that begins at a number and returns its end. */
  takeFrom(from: number): number | undefined {
    const [first] = this.#intervals;
    if (first === undefined || first[0] !== from) return undefined;
    this.#intervals.shift();
    return first[1];
  }
}
