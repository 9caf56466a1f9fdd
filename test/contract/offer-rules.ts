import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Capability, DriverError, PointResult } from '#driver';
import type { Kit, Rule } from './driver-bench.ts';
import { DriverSession, inTime, never, settled } from './driver-session.ts';
import { notJsonSafe } from './json-safe.ts';

const offers = (capability: Capability) => (kit: Kit) =>
  kit.description.capabilities.includes(capability);

/** What only some drivers can: C10, C11 and C18. */
export const offerRules: readonly Rule[] = [
  {
    id: 'C10',
    title:
      'sends a write once, and says "unknown" when nothing answers, "not-verified" when it had no effect',
    concerns: offers('write'),
    run: writesOnce,
  },
  {
    id: 'C11',
    title: 'subscribes with a lease, delivers, and tells the end exactly once',
    concerns: offers('subscribe'),
    run: subscribesWithLease,
  },
  {
    id: 'C18',
    title: 'discovers no faster and no more than it is allowed, and stops when told',
    concerns: offers('discover'),
    run: discoversWithinLimits,
  },
];

async function writesOnce(t: ExecutionContext, kit: Kit) {
  const { write: bench } = kit.bench;
  if (bench === undefined) return t.fail('the bench needs write');
  const session = await DriverSession.open(t, kit);
  const { id } = kit.bench.device(0);
  const writesSeen = () => session.peer.log.filter((request) => bench.isWrite(request)).length;
  const write = (what = bench.write) =>
    settled(session.driver.write?.(id, what, never()) ?? Promise.reject(noMethod('write')));
  const right = await write();
  t.like(right, { outcome: 'done', result: { outcome: 'done' } }, JSON.stringify(right));
  t.is(writesSeen(), 1);
  session.peer.mood = 'silent';
  const silent = await write();
  inTime(t, silent, 5_000);
  if (silent.outcome === 'done') t.is(silent.result.outcome, 'unknown');
  else t.is(silent.outcome, 'failed');
  session.peer.mood = 'right';
  await session.recover(t);
  t.is(writesSeen(), 2);
  if (bench.ignored === undefined) return;
  const ignored = await write(bench.ignored);
  t.like(ignored, { result: { outcome: 'not-verified' } }, JSON.stringify(ignored));
  t.is(writesSeen(), 3);
}

async function subscribesWithLease(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  const { id, options } = kit.bench.device(0);
  const arrived: PointResult[] = [];
  const ends: DriverError[] = [];
  const first = Promise.withResolvers<void>();
  const sink = {
    readings: (batch: readonly PointResult[]) => {
      arrived.push(...batch);
      first.resolve();
    },
    onEnd: (reason: DriverError) => {
      ends.push(reason);
    },
  };
  const call = await settled(
    session.driver.subscribe?.(id, options.points, sink, never()) ??
      Promise.reject(noMethod('subscribe')),
  );
  if (call.outcome !== 'done') return t.fail(JSON.stringify(call));
  t.true(call.result.leaseSeconds > 0);
  t.is((await settled(first.promise)).outcome, 'done', 'no reading was delivered');
  t.deepEqual(notJsonSafe(arrived), []);
  await session.driver.close();
  await delay(100);
  t.is(ends.length, 1, 'onEnd comes exactly once');
  await call.result[Symbol.asyncDispose]();
  t.is(ends.length, 1);
}

async function discoversWithinLimits(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit, 0);
  if (session.driver.discover === undefined) return t.fail(noMethod('discover').message);
  const limits = { maxDevices: 2, maxRequestsPerSecond: 20 };
  const before = session.requests;
  const start = performance.now();
  const found: unknown[] = [];
  const discover = async (signal: AbortSignal, most: number) => {
    const devices = session.driver.discover?.({ limits, hints: null }, signal);
    if (devices === undefined) throw noMethod('discover');
    for await (const device of devices) {
      found.push(device);
      if (found.length > most) return;
    }
  };
  const call = await settled(discover(AbortSignal.timeout(5_000), limits.maxDevices));
  t.not(call.outcome, 'hung');
  t.true(found.length <= limits.maxDevices, `${found.length} devices were found`);
  t.deepEqual(notJsonSafe(found), []);
  const seconds = (performance.now() - start) / 1_000;
  const asked = session.requests - before;
  t.true(asked <= limits.maxRequestsPerSecond * seconds + limits.maxRequestsPerSecond / 2);
  found.length = 0;
  const stopped = await settled(discover(AbortSignal.abort(), 0));
  inTime(t, stopped);
  t.is(found.length, 0, 'it goes on after its abort');
}

const noMethod = (name: string): DriverError => ({
  kind: 'internal',
  message: `the manifest promises it, but the driver has no ${name}()`,
});
