import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { asksDevices, type Kit, type Rule } from './driver-bench.ts';
import {
  DriverSession,
  descriptors,
  inTime,
  kindOf,
  resources,
  settled,
} from './driver-session.ts';
import { foreignUses } from './driver-sources.ts';

const rounds = 1_000;
/** Other tests of the process open files meanwhile; a driver that leaks one each time leaks 1000. */
const foreignDescriptors = 300;
/** Long enough for a frame that should not be sent. */
const quietMs = 250;

/** Opening and closing: C1 to C4, C7 and C13. */
export const linkRules: readonly Rule[] = [
  {
    id: 'C1',
    title: `connects and closes ${rounds} times and leaves no descriptor, timer or listener`,
    run: connectsOftenWithoutGrowth,
  },
  {
    id: 'C2',
    title: 'rejects a link that leads nowhere, in time and leaving nothing open',
    run: rejectsNowhere,
  },
  {
    id: 'C3',
    title: 'rejects an open read with "closed" within 500 ms when it is closed',
    concerns: asksDevices,
    run: closesDuringRead,
  },
  {
    id: 'C4',
    title: 'settles each call within 500 ms of its abort and sends nothing after it',
    concerns: asksDevices,
    run: obeysAbort,
  },
  {
    id: 'C4',
    title: 'opens nothing for a call that is aborted before it begins',
    run: opensNothingWhenAborted,
  },
  {
    id: 'C7',
    title:
      'gives up on a peer that takes the connection and never answers, and finds it again later',
    concerns: asksDevices,
    run: survivesHalfDeadPeer,
  },
  {
    id: 'C13',
    title: 'uses nothing but its DriverHost: no console, no clock, timer or process of its own',
    run: usesOnlyItsHost,
  },
  {
    id: 'C13',
    title: 'leaves no timer behind after a read that failed and a close',
    run: leavesNoTimer,
  },
];

async function connectsOftenWithoutGrowth(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.create(t, kit);
  const { signal } = new AbortController();
  const round = async () => {
    await session.connect(signal);
    await session.driver.close();
  };
  for (let n = 0; n < 20; n += 1) await round();
  await delay(quietMs);
  const before = { descriptors: descriptors(), resources: resources() };
  for (let n = 0; n < rounds; n += 1) await round();
  await delay(quietMs);
  t.is(session.host.timers, 0);
  t.is(getEventListeners(signal, 'abort').length, 0);
  t.true(descriptors() < before.descriptors + foreignDescriptors);
  for (const [kind, count] of Object.entries(resources())) {
    t.true(count <= (before.resources[kind] ?? 0) + 2, `${count} of ${kind} are open`);
  }
  if (kit.asks) t.is(session.peer.connections, 0);
}

async function rejectsNowhere(t: ExecutionContext, kit: Kit) {
  const { host, driver } = await DriverSession.create(t, kit);
  const before = resources();
  const deadlineMs = 2_000;
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error('deadline')), deadlineMs);
  const call = await settled(driver.connect(await kit.bench.nowhere(t), controller.signal));
  clearTimeout(timer);
  t.true(['link-down', 'timeout', 'closed'].includes(kindOf(t, call)));
  inTime(t, call, deadlineMs);
  t.is(host.timers, 0);
  t.is(getEventListeners(controller.signal, 'abort').length, 0);
  await driver.close();
  await delay(quietMs);
  const left = resources();
  // What nowhere() itself holds open belongs to the bench.
  t.true((left.TCPSocketWrap ?? 0) <= (before.TCPSocketWrap ?? 0), JSON.stringify(left));
}

async function closesDuringRead(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  session.peer.mood = 'silent';
  const read = session.read();
  await delay(20);
  const closing = settled(session.driver.close());
  const call = await read;
  t.is(kindOf(t, call), 'closed');
  inTime(t, call);
  const closed = await closing;
  t.is(closed.outcome, 'done');
  inTime(t, closed);
  t.is((await settled(session.driver.close())).outcome, 'done', 'close() may come twice');
  t.is(session.host.timers, 0);
  t.is(kindOf(t, await session.read()), 'closed');
}

async function obeysAbort(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  for (const mood of ['silent', 'slow'] as const) {
    session.peer.mood = mood;
    const controller = new AbortController();
    const read = session.read(0, [], controller.signal);
    await delay(10);
    controller.abort();
    const sent = session.requests;
    const call = await read;
    inTime(t, call);
    session.peer.mood = 'right';
    await delay(quietMs);
    t.is(session.requests, sent, `frames were sent after the abort of a read (${mood})`);
    t.is(getEventListeners(controller.signal, 'abort').length, 0);
  }
  session.peer.salt += 1;
  await session.recover(t);
}

async function opensNothingWhenAborted(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.create(t, kit);
  const { host, driver } = session;
  const aborted = AbortSignal.abort();
  const connecting = await settled(session.connect(aborted));
  kindOf(t, connecting);
  inTime(t, connecting);
  t.is(host.timers, 0);
  if (kit.asks) t.is(session.peer.connections, 0);
  await driver.close();
  await session.connect();
  await session.add(kit.bench.device(0));
  const before = session.requests;
  const read = await session.read(0, [], aborted);
  kindOf(t, read);
  inTime(t, read);
  inTime(t, await settled(driver.addDevice(kit.bench.device(1), aborted)));
  inTime(t, await settled(driver.reconfigure({ link: session.link }, aborted)));
  await delay(50);
  t.is(session.requests, before);
}

async function survivesHalfDeadPeer(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.create(t, kit);
  session.peer.mood = 'silent';
  const connecting = await settled(session.connect());
  t.not(connecting.outcome, 'hung');
  await session.add(kit.bench.device(0));
  if (connecting.outcome === 'done') {
    const read = await session.read();
    t.is(kindOf(t, read), 'timeout');
    inTime(t, read, 2_000);
  }
  session.peer.mood = 'right';
  session.peer.salt += 1;
  await session.recover(t);
}

async function usesOnlyItsHost(t: ExecutionContext, kit: Kit) {
  t.deepEqual(foreignUses(kit.bench.folder, kit.description.module), []);
}

async function leavesNoTimer(t: ExecutionContext, kit: Kit) {
  const before = resources();
  const session = await DriverSession.open(t, kit);
  await session.read();
  if (kit.asks) {
    session.peer.mood = 'silent';
    await session.read();
  }
  await session.driver.close();
  t.is(session.host.timers, 0);
  await delay(quietMs);
  const { Timeout: timers = 0 } = resources();
  t.true(timers <= (before.Timeout ?? 0) + 1, `${timers} timers are left`);
}
