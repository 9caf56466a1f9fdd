import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { Kit, Rule } from './driver-bench.ts';
import { DriverSession, kindOf, never, settled } from './driver-session.ts';
import { seededRandom } from './seeded-random.ts';

const devices = 6;
const changes = 60;
const seed = 20_261_120;
/** Long enough for a frame that should not be sent. */
const quietMs = 100;

/** Devices that come, go and change, and asking the driver how it is: C8, C9 and C12. */
export const deviceRules: readonly Rule[] = [
  {
    id: 'C8',
    title: `is after ${changes} random additions and removals of devices as if only the last had been made`,
    run: addsAndRemoves,
  },
  {
    id: 'C9',
    title: 'applies a configuration that is the same without a reopening and without traffic',
    run: reconfiguresToTheSame,
  },
  {
    id: 'C12',
    title: 'says how it is at any time without traffic',
    run: tellsHealthQuietly,
  },
];

async function addsAndRemoves(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit, 0);
  const random = seededRandom(seed);
  const present = new Set<number>();
  for (let change = 0; change < changes; change += 1) {
    const n = Math.floor(random() * devices);
    const device = kit.bench.device(n);
    if (random() < 0.5) {
      await session.driver.addDevice(device, never());
      present.add(n);
    } else {
      await session.driver.removeDevice(device.id);
      present.delete(n);
    }
  }
  // A driver that lost the order would show it only if both kinds are there at the end.
  present.add(0);
  await session.driver.addDevice(kit.bench.device(0), never());
  present.delete(1);
  await session.driver.removeDevice(kit.bench.device(1).id);
  for (let n = 0; n < devices; n += 1) {
    const read = await session.read(n);
    if (!present.has(n)) {
      kindOf(t, read);
      continue;
    }
    if (read.outcome !== 'done') return t.fail(`device ${n}: ${JSON.stringify(read)}`);
    for (const { pointId, quality, value } of read.result) {
      t.is(quality, 'good', `device ${n}, ${pointId}`);
      if (kit.asks) t.is(value, kit.bench.expected(n, pointId, 0));
    }
  }
  const ids = [...present].map((n) => kit.bench.device(n).id);
  const told = Object.keys(session.driver.health().devices ?? {});
  t.deepEqual(
    told.filter((id) => !ids.includes(id)),
    [],
  );
}

async function reconfiguresToTheSame(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit, 2);
  const before = session.requests;
  const link = structuredClone(session.link);
  const device = structuredClone(kit.bench.device(0));
  for (const change of [{ link }, { device }, { link, device }]) {
    const call = await settled(session.driver.reconfigure(change, never()));
    t.like(call, { outcome: 'done', result: 'applied' }, JSON.stringify(Object.keys(change)));
  }
  await delay(quietMs);
  t.is(session.requests, before);
  if (kit.asks) t.is(session.peer.connections, 1);
  t.is((await session.read()).outcome, 'done');
}

async function tellsHealthQuietly(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.create(t, kit);
  t.is(session.driver.health().status, 'down');
  await session.connect();
  await session.add(kit.bench.device(0));
  await session.read();
  t.is(session.driver.health().status, 'ok');
  await delay(quietMs);
  const before = session.requests;
  for (let n = 0; n < 1_000; n += 1) session.driver.health();
  await delay(quietMs);
  t.is(session.requests, before);
  await session.driver.close();
  t.is(session.driver.health().status, 'down');
}
