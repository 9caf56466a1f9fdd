import test from 'ava';
import { ReadingsIntake } from '../../../src/field/readings-intake.ts';
import {
  eventually,
  fakeDevice,
  fakeLink,
  KeepingSink,
  startField,
} from '../../support/field-bench.ts';
import { FakeClock } from '../../support/field-fake-clock.ts';

const isGood = (result: { readonly quality: string }) => result.quality === 'good';
const never = new AbortController().signal;

const readings = (batch: number, value: number, device = 'd') => ({
  t: 'readings' as const,
  batch,
  link: 'l',
  dropped: 0,
  groups: [
    {
      device,
      lane: 'live' as const,
      results: [{ pointId: 'p', time: 1, value, quality: 'good' as const }],
    },
  ],
});

function intakeBench() {
  const clock = new FakeClock();
  const sink = new KeepingSink();
  const acks: number[] = [];
  const intake = new ReadingsIntake({
    sink,
    clock,
    owns: (device) => device === 'd',
    ack: (batch) => acks.push(batch),
  });
  intake.begin();
  return { clock, sink, acks, intake };
}

test('a batch is acked when it is committed, not before', async (t) => {
  const { clock, sink, acks, intake } = intakeBench();
  const gate = Promise.withResolvers<void>();
  sink.gate = gate.promise;
  intake.take(readings(1, 1));
  intake.take(readings(2, 2));
  await clock.advance(10_000);
  t.deepEqual(acks, []);
  gate.resolve();
  await clock.advance(0);
  t.is(acks.at(-1), 2);
});

test('a refused batch is tried again until it is accepted, and nothing overtakes it', async (t) => {
  const { clock, sink, acks, intake } = intakeBench();
  sink.refuse = true;
  intake.take(readings(1, 1));
  await clock.advance(1);
  intake.take(readings(2, 2));
  await clock.advance(60_000);
  t.deepEqual(acks, []);
  t.true(sink.refusals > 3 && sink.refusals < 40);
  sink.refuse = false;
  await clock.advance(11_000);
  t.deepEqual(
    sink.results.map(({ value }) => value),
    [1, 2],
  );
  t.is(acks.at(-1), 2);
});

test('what an ended process has sent is committed, and its successor is not acked for it', async (t) => {
  const { clock, sink, acks, intake } = intakeBench();
  sink.refuse = true;
  intake.take(readings(1, 1));
  await clock.advance(1);
  intake.begin();
  intake.take(readings(1, 2));
  sink.refuse = false;
  await clock.advance(11_000);
  t.deepEqual(
    sink.results.map(({ value }) => value),
    [1, 2],
  );
  t.deepEqual(acks, [1]);
});

test("readings of a device that is not the plugin's are left out", async (t) => {
  const { clock, sink, acks, intake } = intakeBench();
  t.deepEqual(intake.take(readings(1, 1, 'neighbour')), []);
  await clock.advance(0);
  t.is(sink.results.length, 0);
  t.deepEqual(acks, [1]);
});

test('a result that is none ends the trust in the driver', (t) => {
  const bad = [
    { pointId: 7, time: 1, value: 1, quality: 'good' },
    { pointId: 'p', time: 'now', value: 1, quality: 'good' },
    { pointId: 'p', time: 1, value: null, quality: 'good' },
    { pointId: 'p', time: 1, value: 1, quality: 'fine' },
    { pointId: 'p', time: 1, value: 0, quality: 'bad', error: { kind: 'timeout' } },
    { pointId: 'p', time: 1, quality: 'bad', error: { kind: 'mystery' } },
  ];
  for (const result of bad) {
    const { intake } = intakeBench();
    const message = {
      ...readings(1, 1),
      groups: [{ device: 'd', lane: 'live', results: [result] }],
    };
    t.throws(() => intake.take(message as never), { instanceOf: TypeError });
  }
  const { intake } = intakeBench();
  t.throws(() => intake.take(readings(2, 1)), { message: /out of order/ });
});

test('an identical configuration sends nothing, and a changed device leaves the others alone', async (t) => {
  const { field, sink, noted } = startField(t, { isolation: 'inline' });
  const link = fakeLink('l1', 'steady');
  const still = () => fakeDevice('still', 'l1', { points: 1 });
  await field.apply([link], [still(), fakeDevice('other', 'l1')]);
  await eventually(t, 'values', () => sink.of('still').length > 3);
  await field.apply(
    [fakeLink('l1', 'steady')],
    [still(), fakeDevice('other', 'l1', { points: 5 })],
  );
  await eventually(t, 'the new points', () => sink.of('other').some((r) => r.pointId === 'p4'));
  await field.apply([link], [still()]);
  const others = sink.of('other').length;
  await eventually(t, 'more values', () => sink.of('still').length > 12);
  t.true(sink.of('other').length <= others + 5, 'a removed device is not read any more');
  const counts = sink.of('still').map(({ value }) => value);
  t.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
    'the driver was neither restarted nor told of the unchanged device again',
  );
  const told = noted
    .filter(({ facts }) => facts.message === 'reconfigured')
    .map(({ facts }) => (facts.fields as { readonly device: string }).device);
  t.deepEqual(told, ['other']);
  t.is(field.drivers()[0]?.restarts, 0);
});

test('a plugin is started when a link needs it and ended when none does', async (t) => {
  const { field, sink } = startField(t, { isolation: 'inline' });
  await field.apply([], []);
  t.deepEqual(field.drivers(), []);
  await field.apply([fakeLink('l1', 'steady')], [fakeDevice('d', 'l1')]);
  await eventually(t, 'values', () => sink.results.some(isGood));
  await field.apply([], []);
  t.deepEqual(field.drivers(), []);
  t.deepEqual(field.links(), []);
  await field.apply([fakeLink('l1', 'steady')], [fakeDevice('d', 'l1')]);
  const before = sink.results.length;
  await eventually(t, 'values again', () => sink.results.length > before + 4);
});

test('points are read on demand, and what is not there is named', async (t) => {
  const { field, sink } = startField(t, { isolation: 'inline' });
  await field.apply(
    [fakeLink('l1', 'steady')],
    [fakeDevice('d', 'l1', { pointAddress: (n) => ({ refused: n === 1 }) })],
  );
  await eventually(t, 'values', () => sink.results.length > 0);
  const results = await field.read('d', ['p0', 'p1'], never);
  t.deepEqual(
    results.map(({ pointId, quality, error }) => [pointId, quality, error?.kind]),
    [
      ['p0', 'good', undefined],
      ['p1', 'bad', 'refused'],
    ],
  );
  await t.throwsAsync(field.read('x', ['p0'], never), { code: 'DEVICE_UNKNOWN' });
  await t.throwsAsync(field.read('d', ['p9'], never), { code: 'POINT_UNKNOWN' });
  await t.throwsAsync(field.read('d', ['p0'], AbortSignal.abort(new Error('enough'))), {
    message: 'enough',
  });
});

test('a device with refused points is degraded, and it says so', async (t) => {
  const { field, conditions, states } = startField(t, { isolation: 'inline' });
  await field.apply(
    [fakeLink('l1', 'steady')],
    [fakeDevice('d', 'l1', { pointAddress: (n) => ({ refused: n === 1 }) })],
  );
  await eventually(t, 'the condition', () => conditions.has('device-refuses-points', 'd'));
  t.is(field.devices()[0]?.state, 'degraded');
  t.regex(field.devices()[0]?.detail ?? '', /^p1 was refused by its device/);
  t.deepEqual(states, ['d degraded']);
});

test('a dead device is offline, and back when it answers', async (t) => {
  const { field, conditions, states, sink, noted } = startField(t, { isolation: 'inline' });
  const link = fakeLink('l1', 'faulty');
  await field.apply([link], [fakeDevice('d', 'l1', { address: { fault: 'silent' } })]);
  await eventually(t, 'the condition', () => conditions.has('device-offline', 'd'));
  t.is(field.devices()[0]?.state, 'offline');
  t.true(sink.results.some(({ error }) => error?.kind === 'offline'));
  await field.apply([link], [fakeDevice('d', 'l1', { address: { fault: 'none' } })]);
  await eventually(t, 'good values', () => field.devices()[0]?.state === 'online');
  t.false(conditions.has('device-offline', 'd'));
  t.deepEqual(states.slice(-2), ['d offline', 'd online']);
  t.true(noted.some(({ name }) => name === 'deviceOnline'));
});

test('a link that cannot be opened is a condition of the link, not of its devices', async (t) => {
  const { field, conditions } = startField(t, { isolation: 'inline' });
  await field.apply([fakeLink('l1', 'steady', { refuse: true })], [fakeDevice('d', 'l1')]);
  await eventually(t, 'the condition', () => conditions.has('link-down', 'l1'));
  t.is(conditions.texts.get('link-down l1'), 'nobody listens there');
  t.deepEqual([field.devices()[0]?.state, field.devices()[0]?.reason], ['offline', 'link-down']);
  t.false(conditions.has('device-offline', 'd'));
});

test('a change that the driver refuses leaves the old one in use, and is told', async (t) => {
  const { field, noted, sink } = startField(t, { isolation: 'inline' });
  const link = fakeLink('l1', 'faulty');
  await field.apply([link], [fakeDevice('d', 'l1', { address: { fault: 'none' } })]);
  await eventually(t, 'values', () => sink.results.some(isGood));
  await field.apply([link], [fakeDevice('d', 'l1', { address: { fault: 'refuse-change' } })]);
  const told = () =>
    noted.find(({ facts }) => String(facts.message).includes('this change is refused'));
  await eventually(t, 'the refusal', () => told() !== undefined);
  const before = sink.results.length;
  await eventually(t, 'more values', () => sink.results.length > before + 4);
  t.true(sink.results.every(isGood));
});

test('a driver looks at a configuration in its own process and opens nothing', async (t) => {
  const { field } = startField(t, { isolation: 'inline' });
  const issues = await field.checkLink('steady', { slow: true, refuse: true }, [
    fakeDevice('lucky', 'l1'),
    fakeDevice('unlucky', 'l1', { address: { unit: 13 } }),
  ]);
  t.deepEqual(issues, [
    { path: '/link/slow', message: 'this link is slow', severity: 'warning' },
    {
      path: '/devices/unlucky/address/unit',
      message: 'unit 13 brings bad luck',
      severity: 'error',
      code: 'UNLUCKY',
    },
  ]);
  t.deepEqual(field.drivers(), []);
  await t.throwsAsync(field.checkLink('unheard-of', {}, []), { code: 'DRIVER_UNKNOWN' });
});

test('a link of many large devices is checked as a whole, although it does not fit into a frame', async (t) => {
  const { field } = startField(t, { isolation: 'inline' });
  const devices = Array.from({ length: 60 }, (_, n) =>
    fakeDevice(`d${n}`, 'l1', { points: 1_000, address: { unit: 13 } }),
  );
  const issues = await field.checkLink('steady', {}, devices);
  t.is(new Set(issues.map(({ path }) => path)).size, 60);
});

test('a configuration that comes while another one is applied is the one that counts', async (t) => {
  const { field, sink } = startField(t, { isolation: 'inline' });
  const link = fakeLink('l1', 'steady');
  await field.apply([link], [fakeDevice('d', 'l1')]);
  await eventually(t, 'values', () => sink.results.length > 0);
  const left = field.apply([], []);
  // Waits until the process that is leaving has let go of its links.
  const overtaken = field.apply([link], [fakeDevice('overtaken', 'l1')]);
  await Promise.all([left, overtaken, field.apply([], [])]);
  t.deepEqual(field.drivers(), []);
});

test('an action streams its rows, and ends when nobody reads on', async (t) => {
  const { field, sink } = startField(t, { isolation: 'inline' });
  await field.apply([fakeLink('l1', 'steady')], [fakeDevice('d', 'l1')]);
  await eventually(t, 'values', () => sink.results.length > 0);
  const rows: unknown[] = [];
  for await (const output of field.runAction('steady', 'count', { to: 2_000 }, never)) {
    if (output.kind === 'row') rows.push(output.row.n);
  }
  t.is(rows.length, 2_000);
  for await (const output of field.runAction('steady', 'count', { to: 1e9 }, never)) {
    if (output.kind === 'row' && output.row.n === 5) break;
  }
  await t.throwsAsync(
    async () => {
      for await (const _ of field.runAction('steady', 'unheard-of', {}, never)) t.fail();
    },
    { message: /has no action unheard-of/ },
  );
});

test('a link whose driver is not installed is reported, and the others are read', async (t) => {
  const { field, conditions, sink } = startField(t, { isolation: 'inline' });
  await field.apply(
    [fakeLink('l1', 'steady'), fakeLink('l2', 'bacnet')],
    [fakeDevice('d', 'l1'), fakeDevice('e', 'l2')],
  );
  await eventually(t, 'values', () => sink.of('d').some(isGood));
  t.regex(conditions.texts.get('link-down l2') ?? '', /no installed plugin has a driver bacnet/);
});
