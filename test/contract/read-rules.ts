import type { ExecutionContext } from 'ava';
import type { PointResult } from '#driver';
import { asksDevices, type Kit, type Rule } from './driver-bench.ts';
import { DriverSession, inTime, settled } from './driver-session.ts';
import { heapAfterCollection } from './heap.ts';
import { notJsonSafe } from './json-safe.ts';
import type { Mood } from './tcp-peer.ts';

const fuzzFrames = 10_000;
/** Waiting is over so many times sooner while answers are fuzzed. */
const fuzzSpeed = 100;
const soakReads = 20_000;
/** 20 000 reads in an hour of the host's clock are one every 180 ms. */
const soakSpeed = 600;
/** What the heap may grow in the second three quarters of them: less than 30 bytes a read. */
const soakBytes = 450_000;

const moodWords = {
  garbage: 'answers noise with "bad-response" or "timeout"',
  short: 'answers half a frame with "bad-response" or "timeout"',
  crooked: 'answers a frame with a wrong byte with "bad-response" or "timeout"',
  late: 'does not take a late answer for the next one',
} as const;

/** Reading: C5, C6, C14 to C17, C19 and C20. */
export const readRules: readonly Rule[] = [
  {
    id: 'C5',
    title: 'gives exactly one result for each requested point, also for points that do not exist',
    run: answersEachPoint,
  },
  ...(['garbage', 'short', 'crooked', 'late'] as const).map((mood) => ({
    id: 'C6',
    title: `${moodWords[mood]}, and the next reads are right`,
    concerns: asksDevices,
    run: (t: ExecutionContext, kit: Kit) => survivesBadAnswers(t, kit, mood),
  })),
  {
    id: 'C14',
    title: 'lets only plain data cross: results, errors, health, issues, log and metrics',
    run: crossesAsData,
  },
  {
    id: 'C15',
    title: 'carries or flags NaN, infinities, numbers beyond 2^53 and -0',
    concerns: asksDevices,
    run: carriesOddValues,
  },
  {
    id: 'C16',
    title: "takes the time of its results from the host's clock",
    run: usesHostsClock,
  },
  {
    id: 'C17',
    title: 'never has more requests open than the manifest allows',
    concerns: asksDevices,
    run: keepsConcurrency,
  },
  {
    id: 'C19',
    title: `takes ${fuzzFrames} fuzzed answers without a throw and reads on`,
    concerns: asksDevices,
    run: survivesFuzz,
  },
  {
    id: 'C20',
    title: `reads ${soakReads} times over an hour of the host's clock with a flat heap`,
    run: keepsHeapFlat,
  },
];

async function answersEachPoint(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  const good = kit.bench.device(0).options.points.map(({ pointId }) => pointId);
  const bad = kit.bench.badPoints;
  t.true(good.length > 0 && bad.length > 0, 'the bench needs good points and bad ones');
  for (let round = 0; round < 3; round += 1) {
    const read = await session.read(0, bad);
    if (read.outcome !== 'done') return t.fail(JSON.stringify(read));
    t.deepEqual(
      read.result.map(({ pointId }) => pointId).sort(),
      [...good, ...bad.map(({ pointId }) => pointId)].sort(),
    );
    for (const { pointId, quality, value, error } of read.result) {
      if (good.includes(pointId)) {
        t.is(quality, 'good', `${pointId}: ${error?.message}`);
        if (kit.asks) t.is(value, kit.bench.expected(0, pointId, 0));
        continue;
      }
      t.is(quality, 'bad', `${pointId} cannot be read, but has ${String(value)}`);
      t.is(value, undefined);
      t.is(typeof error?.message, 'string');
    }
  }
  const none = await settled(
    session.driver.read(kit.bench.device(0).id, [], new AbortController().signal),
  );
  if (none.outcome === 'done') t.deepEqual(none.result, []);
  else t.fail(`reading no points was ${none.outcome}`);
}

async function survivesBadAnswers(t: ExecutionContext, kit: Kit, mood: Mood) {
  const session = await DriverSession.open(t, kit);
  await session.recover(t);
  for (let round = 0; round < 5; round += 1) {
    session.peer.mood = mood;
    const read = await session.read();
    inTime(t, read, 2_000);
    if (read.outcome === 'failed') isAboutTheAnswer(t, read.error.kind);
    else if (read.outcome === 'done') {
      for (const { quality, error } of read.result) {
        t.is(quality, 'bad');
        isAboutTheAnswer(t, error?.kind);
      }
    }
    // An old answer that passes for a new one would be seen by its numbers.
    session.peer.salt += 1;
    session.peer.mood = 'right';
    await session.recover(t);
  }
}

function isAboutTheAnswer(t: ExecutionContext, kind: string | undefined) {
  t.true(['bad-response', 'timeout'].includes(String(kind)), `the kind is ${kind}`);
}

async function crossesAsData(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  const crossed: unknown[] = [];
  const keep = async () => {
    const read = await session.read(0, kit.bench.badPoints);
    if (read.outcome === 'done') crossed.push(read.result);
    if (read.outcome === 'failed') crossed.push(JSON.parse(JSON.stringify(read.error)));
    crossed.push(session.driver.health());
  };
  await keep();
  if (kit.asks) {
    for (const mood of ['garbage', 'silent'] as const) {
      session.peer.mood = mood;
      await keep();
      await session.reopen();
    }
  }
  const device = kit.bench.device(0);
  crossed.push(session.driver.validateDevice(device));
  const points = [
    ...device.options.points,
    ...kit.bench.badPoints.map((p) => ({ ...p, everyMs: 1 })),
  ];
  const wrong = { ...device, options: { ...device.options, points } };
  crossed.push(session.driver.validateDevice(wrong));
  crossed.push(session.driver.validateLink?.(session.link, [device]) ?? []);
  await session.driver.close();
  crossed.push(session.driver.health());
  t.deepEqual(notJsonSafe([...crossed, ...session.host.told]), []);
  t.deepEqual(session.driver.validateDevice(device), [], 'the good device has no issues');
}

async function carriesOddValues(t: ExecutionContext, kit: Kit) {
  const odd = kit.bench.oddPoints ?? [];
  t.true(odd.length > 0, 'the bench needs oddPoints');
  const session = await DriverSession.open(t, kit);
  const read = await settled(
    session.driver.read(
      kit.bench.device(0).id,
      odd.map(({ request }) => request),
      new AbortController().signal,
    ),
  );
  if (read.outcome !== 'done') return t.fail(JSON.stringify(read));
  for (const { request, expected } of odd) {
    const result: PointResult | undefined = read.result.find(
      ({ pointId }) => pointId === request.pointId,
    );
    if (result === undefined) t.fail(`${request.pointId} has no result`);
    else if (expected === 'flagged') isFlagged(t, result);
    else t.is(result.value, expected, `${request.pointId}: ${result.error?.message}`);
  }
}

function isFlagged(t: ExecutionContext, { pointId, quality, value, error }: PointResult) {
  t.not(quality, 'good', `${pointId} is good with ${String(value)}`);
  t.is(typeof error?.kind, 'string', pointId);
  t.false(typeof value === 'number' && !Number.isFinite(value), pointId);
}

async function usesHostsClock(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  for (let round = 0; round < 3; round += 1) {
    const from = session.host.now();
    const read = await session.read(0, kit.bench.badPoints);
    const until = session.host.now();
    if (read.outcome !== 'done') return t.fail(JSON.stringify(read));
    for (const { pointId, time } of read.result) {
      t.true(time >= from && time <= until, `${pointId} has ${new Date(time).toISOString()}`);
    }
    // The wall clock of a host may jump by hours; what waits must not be moved by it.
    session.host.hurry(round + 2);
  }
}

async function keepsConcurrency(t: ExecutionContext, kit: Kit) {
  const devices = 4;
  const session = await DriverSession.open(t, kit, devices);
  session.peer.mood = 'slow';
  const most = kit.description.maxConcurrencyPerLink;
  for (let round = 0; round < 3; round += 1) {
    const reads = Array.from({ length: most }, (_, n) => session.read(n % devices));
    for (const read of await Promise.all(reads)) t.is(read.outcome, 'done', JSON.stringify(read));
  }
  t.true(session.peer.mostAtOnce >= 1);
  t.true(session.peer.mostAtOnce <= most, `${session.peer.mostAtOnce} requests were open at once`);
}

async function survivesFuzz(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  await session.recover(t);
  session.host.hurry(fuzzSpeed);
  session.peer.mood = 'fuzz';
  const asked = kit.bench.device(0).options.points.length;
  let wrong = 0;
  while (session.peer.answers < fuzzFrames) {
    const read = await session.read();
    if (read.outcome === 'hung') return t.fail('a read never ended');
    if (read.outcome === 'done' && read.result.length !== asked) wrong += 1;
    if (read.outcome === 'done' && notJsonSafe(read.result).length > 0) wrong += 1;
    await session.reopen();
  }
  t.is(wrong, 0);
  session.host.hurry(1);
  session.peer.mood = 'right';
  session.peer.salt += 1;
  await session.recover(t);
}

async function keepsHeapFlat(t: ExecutionContext, kit: Kit) {
  const session = await DriverSession.open(t, kit);
  session.host.hurry(soakSpeed);
  let failed = 0;
  const readMany = async (reads: number) => {
    for (let n = 0; n < reads; n += 1) {
      const read = await session.read();
      if (read.outcome !== 'done') failed += 1;
    }
  };
  await readMany(soakReads / 4);
  const before = heapAfterCollection();
  await readMany((soakReads / 4) * 3);
  const grown = heapAfterCollection() - before;
  t.true(grown < soakBytes, `the heap grew by ${grown} bytes`);
  // In hurry a timeout is over before a loaded machine has answered; that is no failure here.
  t.true(failed < soakReads / 2, `${failed} reads failed`);
}
