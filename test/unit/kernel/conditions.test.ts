import test from 'ava';
import { ConditionBook, type ConditionBookParts } from '../../../src/kernel/conditions.ts';
import { type ConditionCode, conditionKinds } from '../../../src/model/condition.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function open(options: Partial<ConditionBookParts> & { clock?: ManualClock } = {}) {
  const clock = options.clock ?? new ManualClock();
  const told: string[] = [];
  const noted: string[] = [];
  const book = new ConditionBook({
    bus: {
      emit: (name, ...args) => {
        const [condition] = args as unknown as [{ code: string; subject: string }];
        told.push(`${name} ${condition.code} ${condition.subject}`);
      },
    },
    notes: {
      conditionRaised: ({ code, subject }) => noted.push(`raised ${code} ${subject}`),
      conditionCleared: ({ code, subject }) => noted.push(`cleared ${code} ${subject}`),
    },
    ...options,
    clock,
  });
  const shown = () => book.list().map(({ code, subject }) => `${code} ${subject}`);
  return { book, clock, told, noted, shown };
}

test('a condition is announced once when raised and once when cleared, whatever is refreshed between', (t) => {
  const { book, told, noted, shown } = open();
  book.raise('device-offline', 'meter-1', 'no answer for 10 s');
  book.raise('device-offline', 'meter-1', 'no answer for 20 s');

  t.is(book.list()[0]!.text, 'no answer for 20 s');
  t.deepEqual(told, ['condition-raised device-offline meter-1']);

  book.clear('device-offline', 'meter-1');
  book.clear('device-offline', 'meter-1');

  t.deepEqual(shown(), []);
  t.deepEqual(told, [
    'condition-raised device-offline meter-1',
    'condition-cleared device-offline meter-1',
  ]);
  t.deepEqual(noted, ['raised device-offline meter-1', 'cleared device-offline meter-1']);
});

test('a condition that passes before its time is never told', (t) => {
  const { book, clock, told, shown } = open();
  book.raise('link-down', 'rtu-1', 'cannot open');
  clock.advance(4_999);
  t.deepEqual(shown(), []);

  book.clear('link-down', 'rtu-1');
  clock.advance(60_000);
  t.deepEqual(told, []);
});

test('a condition that lasts is told when its time comes, and a jump of the wall clock does not hasten it', (t) => {
  const { book, clock, told } = open();
  book.raise('link-down', 'rtu-1', 'cannot open');
  clock.jumpWall(86_400_000);
  clock.advance(4_999);
  t.deepEqual(told, []);

  clock.advance(1);
  t.deepEqual(told, ['condition-raised link-down rtu-1']);
});

test('thirty dead devices behind one dead link are shown as one dead link', (t) => {
  const { book, clock, told, shown } = open();
  book.raise('link-down', 'rtu-1', 'cannot open', { under: ['modbus'] });
  for (let unit = 1; unit <= 30; unit += 1) {
    book.raise('device-offline', `unit-${unit}`, 'no answer', { under: ['rtu-1', 'modbus'] });
  }
  book.raise('device-offline', 'elsewhere', 'no answer', { under: ['rtu-2', 'modbus'] });
  clock.advance(5_000);

  t.deepEqual(shown(), ['link-down rtu-1', 'device-offline elsewhere']);
  t.is(told.length, 2);
});

test('a device stays on the list until the link that explains it is on the list', (t) => {
  const { book, clock, told, shown } = open();
  book.raise('device-offline', 'unit-1', 'no answer', { under: ['rtu-1'] });
  book.raise('link-down', 'rtu-1', 'cannot open');
  t.deepEqual(shown(), ['device-offline unit-1']);

  clock.advance(5_000);
  t.deepEqual(shown(), ['link-down rtu-1']);

  book.clear('link-down', 'rtu-1');
  t.deepEqual(shown(), ['device-offline unit-1']);
  t.is(told.filter((line) => line.startsWith('condition-raised device-offline')).length, 1);

  book.clear('device-offline', 'unit-1');
  t.is(told.filter((line) => line.startsWith('condition-cleared device-offline')).length, 1);
});

test('what a cause hid is shown when it does not recover with the cause', (t) => {
  const { book, clock, shown } = open();
  book.raise('driver-failed', 'modbus', 'exits at once');
  book.raise('device-offline', 'unit-1', 'no answer', { under: ['rtu-1', 'modbus'] });
  book.raise('device-offline', 'unit-2', 'no answer', { under: ['rtu-1', 'modbus'] });
  clock.advance(1_000);
  book.clear('driver-failed', 'modbus');
  book.clear('device-offline', 'unit-1');
  t.deepEqual(shown(), []);

  clock.advance(2_000);
  t.deepEqual(shown(), ['device-offline unit-2']);
});

test('an overloaded link is explained by a dead device on it', (t) => {
  const { book, clock, shown } = open();
  book.raise('device-offline', 'unit-1', 'no answer', { under: ['rtu-1', 'modbus'] });
  book.raise('link-overloaded', 'rtu-1', '130 %', { under: ['modbus'] });
  clock.advance(60_000);
  t.deepEqual(shown(), ['device-offline unit-1']);

  book.clear('device-offline', 'unit-1');
  clock.advance(60_000);
  t.deepEqual(shown(), ['link-overloaded rtu-1']);
});

test('a condition of the whole gateway explains those of each tenant', (t) => {
  const { book, clock, shown } = open();
  book.raise('upstream-off', '', 'uplink.url is empty');
  book.raise('outbox-growing', 'acme', 'oldest 2 h');
  clock.advance(60_000);
  t.deepEqual(shown(), ['upstream-off ']);
});

test('the worst comes first, and of equal ones the oldest', (t) => {
  const { book, clock, shown } = open();
  book.raise('config-not-applied', '', 'outbox.maxBytes');
  clock.advance(10);
  book.raise('device-offline', 'b', 'no answer');
  clock.advance(10);
  book.raise('device-offline', 'a', 'no answer');
  t.deepEqual(shown(), ['device-offline b', 'device-offline a', 'config-not-applied ']);
  t.is(book.worst(), 'error');
});

test('a thousand dead devices leave room for a full disk', (t) => {
  const { book, shown } = open({ limit: 1_000 });
  for (let n = 0; n < 1_500; n += 1) book.raise('device-offline', `device-${n}`, 'no answer');
  book.raise('disk-low', '', '1 % free');

  t.is(shown().length, 1_001);
  t.is(book.overflow, 500);
  t.true(book.has('disk-low', ''));
});

test('a beginning that was noted before the clock was set is corrected once it is', (t) => {
  const clock = new ManualClock({ synced: false, wall: 0 });
  const { book } = open({ clock });
  book.raise('disk-low', '', '1 % free');
  t.is(book.list()[0]!.since, 0);

  clock.advance(60_000);
  clock.jumpWall(Date.UTC(2026, 10, 20));
  clock.setSynced(true);
  t.is(book.list()[0]!.since, Date.UTC(2026, 10, 20));
});

test('a subject that is removed takes its conditions with it', (t) => {
  const { book, shown } = open();
  book.raise('device-offline', 'unit-1', 'no answer');
  book.raise('disk-low', '', '1 % free');
  book.forget('unit-1');
  t.deepEqual(shown(), ['disk-low ']);
});

test('no condition depends on itself, however indirectly', (t) => {
  const reaches = (from: ConditionCode, seen: readonly ConditionCode[]): boolean =>
    (conditionKinds[from].dependsOn ?? []).some(
      (code) => seen.includes(code) || reaches(code, [...seen, code]),
    );
  for (const code of Object.keys(conditionKinds) as ConditionCode[]) {
    t.false(reaches(code, [code]), code);
  }
});
