import test from 'ava';
import type { CounterRule } from '../../../src/model/point.ts';
import { CounterGuard } from '../../../src/record/counter-guard.ts';

function judged(rule: CounterRule, values: readonly number[]): (number | string)[] {
  const guard = new CounterGuard(rule);
  return values.map((value) => {
    const verdict = guard.judge(value);
    return verdict.suspect ? `held ${verdict.value}` : verdict.value;
  });
}

test('a zero after a value is withheld, and forgotten when the counter comes back', (t) => {
  t.deepEqual(judged({}, [100, 0, 0, 101]), [100, 'held 100', 'held 100', 101]);
});

test('a fall that three readings confirm is believed', (t) => {
  t.deepEqual(judged({}, [100, 5, 6, 7, 8]), [100, 'held 100', 'held 100', 7, 8]);
});

test('readings that fall and fall again do not confirm each other', (t) => {
  t.deepEqual(judged({}, [100, 50, 40, 30, 20]), [
    100,
    'held 100',
    'held 100',
    'held 100',
    'held 100',
  ]);
});

test('a glitch backwards within the tolerance is never believed', (t) => {
  t.deepEqual(judged({ tolerancePct: 1 }, [1000, 995, 995, 995, 995, 1001]), [
    1000,
    'held 1000',
    'held 1000',
    'held 1000',
    'held 1000',
    1001,
  ]);
});

test('a rollover of a 16-bit counter is believed at once', (t) => {
  t.deepEqual(judged({ rollover: 65536 }, [65530, 3]), [65530, 3]);
  t.deepEqual(judged({ rollover: 65536 }, [40000, 3]), [40000, 'held 40000']);
});

test('a daily counter may begin at zero each night', (t) => {
  t.deepEqual(judged({ resets: 'daily' }, [812, 0, 3]), [812, 0, 3]);
});

test('zero is a value: a counter that stands at zero is good', (t) => {
  t.deepEqual(judged({}, [0, 0, 1]), [0, 0, 1]);
});
