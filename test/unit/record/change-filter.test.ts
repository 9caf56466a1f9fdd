import test from 'ava';
import type { Deadband } from '../../../src/model/point.ts';
import { ChangeFilter, defaultMaxIntervalMs } from '../../../src/record/change-filter.ts';

/** Indices of the readings that were told. `at` in milliseconds. */
function told(
  deadband: Deadband | undefined,
  readings: readonly {
    readonly at: number;
    readonly value: number | string | null;
    readonly reason?: 'timeout' | 'refused';
  }[],
): number[] {
  const filter = new ChangeFilter(deadband);
  return readings.flatMap(({ at, value, reason }, index) =>
    filter.pass({ value, quality: value === null ? 'bad' : 'good', reason }, at) ? [index] : [],
  );
}
const at = (...values: number[]) => values.map((value, index) => ({ at: index * 1000, value }));

test('without a deadband every value is told', (t) => {
  t.deepEqual(told(undefined, at(1, 1, 1)), [0, 1, 2]);
});

test('a change of exactly the deadband is told, a smaller one is not', (t) => {
  t.deepEqual(told({ abs: 0.2 }, at(20, 20.2, 20.3, 20.39, 20.4)), [0, 1, 4]);
});

test('small steps add up: each is compared with the last told value', (t) => {
  t.deepEqual(told({ abs: 1 }, at(0, 0.4, 0.8, 1.2, 1.6)), [0, 3]);
});

test('with both abs and pct a change has to pass both', (t) => {
  t.deepEqual(told({ abs: 5, pct: 1 }, at(10_000, 10_050, 10_100)), [0, 2]);
  t.deepEqual(told({ abs: 5, pct: 1 }, at(100, 102, 105)), [0, 2]);
});

test('percent of zero is zero: any change from zero is told', (t) => {
  t.deepEqual(told({ pct: 10 }, at(0, 0, 0.001)), [0, 2]);
});

test('a change of quality is told at once, even within minIntervalMs', (t) => {
  t.deepEqual(
    told({ abs: 1, minIntervalMs: 60_000 }, [
      { at: 0, value: 1 },
      { at: 10, value: null, reason: 'timeout' },
      { at: 20, value: null, reason: 'timeout' },
      { at: 30, value: null, reason: 'refused' },
      { at: 40, value: 1 },
    ]),
    [0, 1, 3, 4],
  );
});

test('a silent device is told again only after maxIntervalMs', (t) => {
  t.deepEqual(
    told(undefined, [
      { at: 0, value: null, reason: 'timeout' },
      { at: 1_000, value: null, reason: 'timeout' },
      { at: defaultMaxIntervalMs, value: null, reason: 'timeout' },
    ]),
    [0, 2],
  );
});

test('minIntervalMs thins out, maxIntervalMs repeats', (t) => {
  t.deepEqual(
    told({ abs: 0.1, minIntervalMs: 2_500, maxIntervalMs: 5_000 }, at(1, 2, 3, 4, 4, 4, 4, 4, 4)),
    [0, 3, 8],
  );
});

test('a state is told when it changes', (t) => {
  t.deepEqual(
    told({ abs: 1 }, [
      { at: 0, value: 'off' },
      { at: 1, value: 'off' },
      { at: 2, value: 'on' },
    ]),
    [0, 2],
  );
});
