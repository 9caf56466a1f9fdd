import type { RawResult } from '../model/field.ts';
import type { Point } from '../model/point.ts';
import type { Reading } from '../model/reading.ts';
import type { Reason } from '../model/reason.ts';
import { ChangeFilter } from './change-filter.ts';
import { CounterGuard } from './counter-guard.ts';
import { scaled } from './scaling.ts';

/** What the record knows of one point: its rules, and what was told of it. */
export class PointRecord {
  readonly point: Point;
  /** Milliseconds between polls; undefined when it is read on demand only. */
  readonly intervalMs: number | undefined;
  readonly #filter: ChangeFilter;
  readonly #counter: CounterGuard | undefined;
  /** Newest reading, told or not. */
  latest: Reading | undefined;
  /** When it came, by the monotonic clock. */
  latestAt = 0;

  constructor(point: Point, intervalMs: number | undefined) {
    this.point = point;
    this.intervalMs = intervalMs;
    this.#filter = new ChangeFilter(point.deadband);
    this.#counter = point.class === 'counter' ? new CounterGuard(point.counter ?? {}) : undefined;
  }

  /** Scales and judges a result. Keeps it as the latest. */
  take(result: RawResult, now: number): Reading {
    const reading = this.#judge(result);
    this.latest = reading;
    this.latestAt = now;
    return reading;
  }

  /** Whether the reading is worth telling; if so it counts as told. */
  worthTelling(reading: Reading, now: number): boolean {
    return this.#filter.pass(
      { value: reading.value, quality: reading.quality, reason: reading.reason },
      now,
    );
  }

  #judge(result: RawResult): Reading {
    const { time } = result;
    if (result.quality === 'bad' || result.value === undefined) {
      return this.#bad(time, result.error?.kind ?? 'internal');
    }
    const value = scaled(this.point, result.value);
    if (value === undefined) return this.#bad(time, 'not-a-number');
    if (result.quality === 'uncertain') {
      return this.#reading(time, value, result.error?.kind ?? 'internal');
    }
    if (typeof value !== 'number') return this.#reading(time, value);
    // A wild value must not become what a counter is compared with.
    if (this.#outOfRange(value)) return this.#reading(time, value, 'out-of-range');
    const verdict = this.#counter?.judge(value);
    if (verdict?.suspect === true) return this.#reading(time, verdict.value, 'suspect');
    return this.#reading(time, value);
  }

  #outOfRange(value: number): boolean {
    const range = this.point.range;
    return range !== undefined && (value < range[0] || value > range[1]);
  }

  #reading(time: number, value: Reading['value'], reason?: Reason): Reading {
    const { id, device, tenant, lane } = this.point;
    return reason === undefined
      ? { point: id, device, tenant, lane, time, value, quality: 'good' }
      : {
          point: id,
          device,
          tenant,
          lane,
          time,
          value,
          quality: value === null ? 'bad' : 'uncertain',
          reason,
        };
  }

  #bad(time: number, reason: Reason): Reading {
    return this.#reading(time, null, reason);
  }
}
