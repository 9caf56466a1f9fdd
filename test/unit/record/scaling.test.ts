import test from 'ava';
import { scaled, textValueMaxLength } from '../../../src/record/scaling.ts';

test('a scale of 0.1 leaves no rounding noise behind', (t) => {
  t.is(scaled({ scale: 0.1 }, 229), 22.9);
  t.is(scaled({ scale: 0.01 }, 2290), 22.9);
  t.is(scaled({ scale: 0.001 }, 7), 0.007);
  t.is(scaled({ scale: 1.1 }, 3), 3.3);
  t.is(scaled({ scale: 0.1, offset: -40 }, 633), 23.3);
});

test('a scale below zero turns the sign and never gives minus zero', (t) => {
  t.is(scaled({ scale: -0.1 }, 229), -22.9);
  t.true(Object.is(scaled({ scale: -1 }, 0), 0));
  t.true(Object.is(scaled({}, -0), 0));
});

test('a 64-bit integer beyond 2^53 keeps all its digits', (t) => {
  t.is(scaled({}, 18446744073709551615n), '18446744073709551615');
  t.is(scaled({}, 12n), 12);
  t.is(scaled({ scale: 0.001 }, 9_007_199_254_741_000n), 9_007_199_254_741);
});

test('what is no finite number is no value', (t) => {
  t.is(scaled({}, Number.NaN), undefined);
  t.is(scaled({}, Number.POSITIVE_INFINITY), undefined);
  t.is(scaled({ scale: 1e300 }, 1e300), undefined);
});

test('text and states pass unscaled, and a text of a megabyte is cut', (t) => {
  t.is(scaled({ scale: 0.1 }, 'running'), 'running');
  t.is(scaled({ scale: 0.1 }, true), true);
  t.is(scaled({}, 'x'.repeat(1_000_000)), 'x'.repeat(textValueMaxLength));
});
