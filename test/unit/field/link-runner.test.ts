import test from 'ava';
import type { DriverError, PointResult } from '#driver';
import { breakerLimits } from '../../../src/field/host/breaker.ts';
import { type LinkLimits, linkLimits } from '../../../src/field/host/limits.ts';
import { LinkRunner } from '../../../src/field/host/link-runner.ts';
import { FakeClock } from '../../support/field-fake-clock.ts';
import { FakeDriver } from '../../support/field-fake-driver.ts';

const timeout: DriverError = { kind: 'timeout', message: 'unit did not answer' };

function bench(
  options: { readonly concurrency?: number; readonly limits?: Partial<LinkLimits> } = {},
) {
  const clock = new FakeClock();
  const driver = new FakeDriver(clock);
  const results: (PointResult & { readonly device: string; readonly at: number })[] = [];
  const events: string[] = [];
  const runner = new LinkRunner({
    link: 'l1',
    driver,
    config: {},
    concurrency: options.concurrency ?? 1,
    clock,
    limits: { ...linkLimits, breaker: { ...breakerLimits, random: () => 0.5 }, ...options.limits },
    released: () => undefined,
    listener: {
      results: (device, _lane, some) => {
        for (const result of some) results.push({ ...result, device, at: clock.monotonic() });
      },
      opened: () => events.push('opened'),
      failed: (error) => events.push(`failed ${error.kind}`),
      lost: (error) => events.push(`lost ${error.kind}`),
      changed: () => undefined,
    },
  });
  const add = async (id: string, everyMs: number, points = 1, group = 'g') => {
    driver.units.set(id, driver.units.get(id) ?? { takesMs: 20 });
    const added = runner.setDevice({ id, address: {}, options: { profile: {}, points: [] } });
    const list = Array.from({ length: points }, (_, n) => ({
      pointId: `${group}${n}`,
      address: n,
    }));
    runner.plan({ device: id, name: group, everyMs, points: list });
    await added;
  };
  const readsOf = (id: string) => driver.reads.filter(({ device }) => device === id);
  return { clock, driver, results, events, runner, add, readsOf };
}

test('thirty units on one link, five of them dead: the healthy ones keep at least 95 % of their schedule', async (t) => {
  const { clock, driver, runner, add, readsOf } = bench();
  runner.open();
  for (let n = 0; n < 30; n += 1) {
    driver.units.set(`u${n}`, n < 5 ? { takesMs: 1_000, fails: timeout } : { takesMs: 100 });
    await add(`u${n}`, 5_000);
  }
  await clock.advance(60_000);
  const before = driver.reads.length;
  const deadBefore = driver.reads.filter(({ device }) => Number(device.slice(1)) < 5).length;
  await clock.advance(600_000);
  for (let n = 5; n < 30; n += 1) {
    const kept = readsOf(`u${n}`).filter(({ at }) => at > 60_000).length / 120;
    t.true(kept >= 0.95, `u${n} kept ${Math.round(kept * 100)} % of its schedule`);
  }
  t.true(driver.reads.length > before);
  const dead = driver.reads.filter(({ device }) => Number(device.slice(1)) < 5).length;
  const probingMs = (dead - deadBefore) * 1_000;
  t.true(probingMs <= 0.06 * 600_000, `probes took ${probingMs} ms of 600000`);
  t.true(dead > deadBefore, 'the dead ones are still probed');
});

test('failed probes use five percent of a link at most, and all of it when nobody else is there', async (t) => {
  const breaker = { ...breakerLimits, random: () => 0.5, probeMs: [1_000] };
  const share = async (alive: number) => {
    const { clock, driver, runner, add } = bench({ limits: { breaker } });
    runner.open();
    for (let n = 0; n < 10; n += 1) {
      driver.units.set(`u${n}`, n < alive ? { takesMs: 10 } : { takesMs: 1_000, fails: timeout });
      await add(`u${n}`, 10_000);
    }
    await clock.advance(100_000);
    const before = driver.reads.length;
    await clock.advance(400_000);
    const probes = driver.reads
      .slice(before)
      .filter(({ device }) => Number(device.slice(1)) >= alive);
    return (probes.length * 1_000) / 400_000;
  };
  const shared = await share(5);
  t.true(shared > 0.03 && shared <= 0.055, `probes took ${shared} of the time`);
  t.true((await share(0)) > 0.9);
});

test('three time-outs in a row open the breaker; its points are told offline once, then at each probe', async (t) => {
  const { clock, driver, runner, add, results, readsOf } = bench();
  runner.open();
  driver.units.set('dead', { takesMs: 100, fails: timeout });
  await add('dead', 1_000, 2);
  await clock.advance(7_000);
  const kinds = results.map(({ error }) => error?.kind);
  t.deepEqual(kinds, ['timeout', 'timeout', 'timeout', 'timeout', 'offline', 'offline']);
  t.is(readsOf('dead').length, 3);
  await clock.advance(2_000);
  t.is(readsOf('dead').length, 4, 'the first probe comes after 5 s');
  t.deepEqual(readsOf('dead')[3]?.points, ['g0'], 'a probe asks for one point');
  t.is(results.length, 8);
  await clock.advance(7_000);
  t.is(readsOf('dead').length, 4, 'the second probe comes 10 s after the first');
  await clock.advance(3_500);
  t.is(readsOf('dead').length, 5);

  driver.units.set('dead', { takesMs: 100 });
  await clock.advance(21_000);
  t.is(runner.report().devices[0]?.breaker, 'closed');
  const good = results.filter(({ quality }) => quality === 'good');
  t.true(good.length >= 2, 'all its points are read as soon as it is back');
});

test('a refusal is an answer: it opens no breaker and closes an open one', async (t) => {
  const { clock, driver, runner, add } = bench();
  runner.open();
  driver.units.set('d', { takesMs: 10, fails: { kind: 'refused', message: 'exception 2' } });
  await add('d', 1_000);
  await clock.advance(10_000);
  t.is(runner.report().devices[0]?.breaker, 'closed');
  driver.units.set('d', { takesMs: 10, fails: timeout });
  await clock.advance(5_000);
  t.is(runner.report().devices[0]?.breaker, 'open');
  driver.units.set('d', { takesMs: 10, fails: { kind: 'refused', message: 'exception 2' } });
  await clock.advance(20_000);
  t.is(runner.report().devices[0]?.breaker, 'closed');
});

test('a group that overruns skips ticks, is counted, and never queues', async (t) => {
  const { clock, driver, runner, add, readsOf } = bench();
  runner.open();
  driver.units.set('slow', { takesMs: 3_500 });
  await add('slow', 1_000);
  await clock.advance(35_000);
  t.is(driver.mostOpen, 1);
  t.true(readsOf('slow').length <= 10);
  t.true(runner.report().skippedTicks >= 20);
});

test('the cadence does not drift, whatever a read takes', async (t) => {
  const { clock, driver, runner, add, readsOf } = bench();
  runner.open();
  driver.units.set('d', { takesMs: 377 });
  await add('d', 1_000);
  await clock.advance(1_000_000);
  const [, second, ...rest] = readsOf('d').map(({ at }) => at);
  t.true(rest.length >= 995);
  t.true(rest.every((at, index) => at === (second ?? 0) + (index + 1) * 1_000));
});

test('groups of one device that are due together are read together', async (t) => {
  const { clock, runner, add, readsOf } = bench();
  runner.open();
  await add('d', 1_000, 1, 'fast');
  await add('d', 10_000, 1, 'slow');
  await clock.advance(60_000);
  const both = readsOf('d').filter(({ points }) => points.length === 2).length;
  const slow = readsOf('d').filter(({ points }) => points.includes('slow0')).length;
  t.true(both >= 6);
  t.true(slow - both <= 1, 'the slow group never costs a request of its own');
});

test('a device is asked one thing at a time, a link as many as its driver allows', async (t) => {
  const { clock, driver, runner, add } = bench({ concurrency: 3 });
  runner.open();
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    driver.units.set(id, { takesMs: 900 });
    await add(id, 1_000);
  }
  await clock.advance(20_000);
  t.is(driver.mostOpen, 3);
  for (const id of ['a', 'b', 'c', 'd', 'e']) {
    const reads = driver.reads.filter(({ device }) => device === id);
    const apart = reads.slice(1).map(({ at }, index) => at - (reads[index]?.at ?? 0));
    t.true(Math.min(...apart) >= 900, `${id} was asked twice at once`);
  }
});

test('a read that never settles is charged to the driver, and after three the link is opened anew', async (t) => {
  const { clock, driver, runner, add, results, events } = bench();
  runner.open();
  driver.units.set('stuck', { takesMs: 1, never: true });
  await add('stuck', 1_000);
  await clock.advance(30_000);
  t.is(results[0]?.error?.kind, 'timeout');
  t.regex(results[0]?.error?.message ?? '', /did not end a read/);
  await clock.advance(30_000);
  t.deepEqual(events.slice(0, 3), ['opened', 'lost timeout', 'opened']);
  t.true(driver.calls.includes('close'));
});

test('a link that cannot be opened is tried again with growing waits, and its points are told', async (t) => {
  const { clock, driver, runner, add, events, results, readsOf } = bench();
  driver.refuse = { kind: 'link-down', message: 'connection refused' };
  await add('d', 1_000);
  runner.open();
  await clock.advance(120_000);
  t.true(events.length >= 5 && events.length <= 12, `${events.length} attempts in two minutes`);
  t.is(results[0]?.error?.kind, 'link-down');
  driver.refuse = undefined;
  await clock.advance(60_000);
  t.true(readsOf('d').length > 0);
  t.is(runner.report().state, 'open');
});

test('what a device is told while its link is down reaches the driver when it is open', async (t) => {
  const { clock, driver, runner, add, results } = bench();
  await add('gone', 1_000);
  await runner.removeDevice('gone');
  await add('kept', 1_000);
  runner.open();
  await clock.advance(5_000);
  t.true(driver.calls.includes('add kept'));
  t.false(driver.calls.includes('add gone'));
  t.deepEqual([...new Set(results.map(({ device }) => device))], ['kept']);
});

test('an on-demand read goes past the plan and past an open breaker', async (t) => {
  const { clock, driver, runner, add } = bench();
  runner.open();
  driver.units.set('d', { takesMs: 10, fails: timeout });
  await add('d', 1_000);
  await clock.advance(6_000);
  t.is(runner.report().devices[0]?.breaker, 'open');
  driver.units.set('d', { takesMs: 10 });
  const never = new AbortController().signal;
  const asked = runner.readNow('d', [{ pointId: 'x', address: 7 }], 1_000, never);
  await clock.advance(50);
  t.is((await asked)[0]?.value, 1);
  t.is(runner.report().devices[0]?.breaker, 'closed');
});

test('on-demand reads leave three of four turns to the polls', async (t) => {
  const { clock, driver, runner, add, readsOf } = bench();
  runner.open();
  for (let n = 0; n < 20; n += 1) {
    driver.units.set(`u${n}`, { takesMs: 50 });
    await add(`u${n}`, 1_000);
  }
  await clock.advance(5_000);
  const start = clock.monotonic();
  const never = new AbortController().signal;
  for (let n = 0; n < 200; n += 1) {
    runner.readNow('u0', [{ pointId: 'x', address: 7 }], 5_000, never).catch(() => undefined);
  }
  await clock.advance(10_000);
  const since = driver.reads.filter(({ at }) => at >= start);
  const asked = since.filter(({ points }) => points[0] === 'x').length;
  t.true(asked >= 40 && asked <= 0.3 * since.length, `${asked} of ${since.length} were on demand`);
  t.true(readsOf('u7').some(({ at }) => at > start + 8_000));
});

test('closing ends open reads and leaves no timer behind', async (t) => {
  const { clock, driver, runner, add } = bench();
  runner.open();
  driver.units.set('d', { takesMs: 5_000 });
  await add('d', 1_000);
  await clock.advance(2_000);
  t.is(driver.open, 1);
  const closed = runner.close();
  await clock.advance(0);
  await closed;
  t.is(driver.open, 0);
  t.is(clock.waiting, 0);
});
