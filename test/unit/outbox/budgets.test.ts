import { statSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { tenantId } from '../../../src/model/ids.ts';
import type { Lane } from '../../../src/model/lane.ts';
import type { DurableOutbox } from '../../../src/outbox/durable-outbox.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  batchOf,
  envelopeOf,
  openOutbox,
  RecordedConditions,
  readAll,
  temporaryFolder,
} from '../../support/open-outbox.ts';
import { seededRandom } from '../../support/powercut-outbox.ts';
import { countingNotes } from '../../support/silent-notes.ts';

const kib = 1024;
const hour = 3_600_000;
const random = seededRandom(7);

/** Data that does not shrink: about so many bytes. */
function noise(bytes: number): string {
  let text = '';
  while (text.length < bytes) text += Math.floor(random() * 2 ** 48).toString(36);
  return text.slice(0, bytes);
}

const limits = (maxBytes: number, more = {}) => ({
  maxBytes,
  retainBytes: maxBytes,
  retainHours: 1e6,
  maxAgeHours: 1e6,
  ...more,
});

async function fill(outbox: DurableOutbox, lane: Lane, batches: number, tenant = 'acme') {
  for (let i = 0; i < batches; i += 1) {
    await outbox.append([batchOf(10, noise(4 * kib), { lane, tenant: tenantId(tenant) })]);
  }
}

/** Lets the next regular care begin and waits until it is done. */
async function tended(outbox: DurableOutbox, clock: ManualClock) {
  await outbox.deadLetters(1);
  clock.advance(10_000);
  // The first answer comes after what was in flight already, the second after what waited for that.
  await outbox.deadLetters(1);
  await outbox.deadLetters(1);
}

/** Every sequence of a stream from the first held on is there once, as data or as a gap. */
async function covered(outbox: DurableOutbox, sid: number) {
  const { oldest, next } = outbox.streams().find((each) => each.sid === sid)!;
  let expected = oldest;
  const gaps: { first: number; n: number; reason: string }[] = [];
  for (const batch of await readAll(outbox, sid, 'check')) {
    if (batch.sequence !== expected) throw new Error(`${batch.sequence} instead of ${expected}`);
    expected += batch.n;
    if (batch.type !== 'riser.gap.v1') continue;
    gaps.push({ first: batch.sequence, n: batch.n, reason: envelopeOf(batch).data.reason! });
  }
  if (expected !== next) throw new Error(`ends at ${expected} instead of ${next}`);
  return gaps;
}

test('a full outbox gives up bulk first, then live, and alarms last, and declares each range once', async (t) => {
  const { notes, calls } = countingNotes();
  const conditions = new RecordedConditions();
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const maxBytes = 1024 * kib;
  const outbox = await openOutbox(t, { path: file, limits: limits(maxBytes), notes, conditions });
  await fill(outbox, 'alarm', 40);
  await fill(outbox, 'live', 60);
  await fill(outbox, 'bulk', 60);
  t.is(outbox.stats().lost, 0);
  await fill(outbox, 'live', 90);
  const [alarm, live, bulk] = [1, 2, 3];
  t.deepEqual(await covered(outbox, alarm), []);
  t.deepEqual(await covered(outbox, live), []);
  const [gap, ...others] = await covered(outbox, bulk);
  t.like(gap, { first: 1, reason: 'quota' });
  t.deepEqual(others, [], 'adjacent gaps are one');
  t.is(outbox.stats().lost, gap!.n);

  await fill(outbox, 'live', 100);
  t.deepEqual(await covered(outbox, bulk), [{ first: 1, n: 600, reason: 'quota' }]);
  t.is((await covered(outbox, live)).length, 1);
  t.deepEqual(await covered(outbox, alarm), []);

  t.true(statSync(file).size <= maxBytes);
  t.deepEqual([...conditions.raised.keys()].sort(), ['data-lost', 'outbox-full']);
  const noted = calls.get('outboxEvicted') as { events: number; reason: string }[];
  t.is(
    noted.reduce((sum, { events }) => sum + events, 0),
    outbox.stats().lost,
  );
});

test('what every consumer has acked goes before anything is lost', async (t) => {
  const outbox = await openOutbox(t, { limits: limits(1024 * kib) });
  for (let i = 0; i < 10; i += 1) {
    await fill(outbox, 'live', 50);
    outbox.ack('uplink', 1, outbox.streams()[0]!.next - 1);
  }
  t.is(outbox.stats().lost, 0);
  t.deepEqual(await covered(outbox, 1), []);
  t.true(outbox.streams()[0]!.oldest > 1);
});

test('what one consumer has not acked is not taken for acked', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, {
    clock,
    limits: limits(1024 * kib, { retainBytes: 0 }),
    consumers: ['uplink', 'hook'],
  });
  await fill(outbox, 'live', 20);
  outbox.ack('hook', 1, 50);
  await tended(outbox, clock);
  t.is(outbox.streams()[0]!.oldest, 1);
  outbox.ack('uplink', 1, 200);
  await tended(outbox, clock);
  t.is(outbox.streams()[0]!.oldest, 51);
  outbox.ack('hook', 1, 150);
  await tended(outbox, clock);
  t.is(outbox.streams()[0]!.oldest, 151);
});

test('the tenant that floods the outbox pays for it', async (t) => {
  const outbox = await openOutbox(t, { limits: limits(1024 * kib) });
  await fill(outbox, 'live', 20, 'quiet');
  await fill(outbox, 'live', 400, 'loud');
  t.deepEqual(await covered(outbox, 1), []);
  t.true((await covered(outbox, 2)).length > 0);
});

test('a gap that a consumer was given already is not changed by later losses', async (t) => {
  const outbox = await openOutbox(t, { limits: limits(1024 * kib) });
  await fill(outbox, 'live', 300);
  const [gap] = await outbox.read('uplink', 1, 0, { batches: 1, bytes: 1 });
  t.is(gap!.type, 'riser.gap.v1');
  await fill(outbox, 'live', 100);
  const [again] = await outbox.read('uplink', 1, 0, { batches: 1, bytes: 1 });
  t.deepEqual(Buffer.from(again!.body), Buffer.from(gap!.body));
  t.is((await covered(outbox, 1)).length, 2);
});

test('acked batches are kept for replay up to retainBytes, the newest of them', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, {
    clock,
    limits: limits(64 * 1024 * kib, { retainBytes: 200 * kib }),
  });
  await fill(outbox, 'live', 100);
  t.is(outbox.streams()[0]!.oldest, 1, 'what is not acked is kept');
  outbox.ack('uplink', 1, 1000);
  await tended(outbox, clock);
  const [stream] = outbox.streams();
  t.true(stream!.bytes <= 225 * kib && stream!.bytes > 150 * kib, `${stream!.bytes}`);
  t.is(outbox.stats().lost, 0);
  t.is((await readAll(outbox, 1)).at(-1)!.sequence, 991);
});

test('acked batches are kept for retainHours of running time', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, {
    clock,
    limits: limits(64 * 1024 * kib, { retainHours: 2 }),
  });
  await fill(outbox, 'live', 2);
  outbox.ack('uplink', 1, 20);
  clock.jumpWall(1_000 * hour);
  clock.advance(hour);
  await tended(outbox, clock);
  t.is(outbox.streams()[0]!.oldest, 1);
  clock.advance(hour);
  await tended(outbox, clock);
  t.is(outbox.streams()[0]!.oldest, 21);
});

test('what nobody fetched for maxAgeHours of running time becomes a gap', async (t) => {
  const clock = new ManualClock();
  const conditions = new RecordedConditions();
  const outbox = await openOutbox(t, {
    clock,
    conditions,
    limits: limits(64 * 1024 * kib, { maxAgeHours: 2 }),
  });
  await fill(outbox, 'live', 3);
  clock.advance(hour);
  await fill(outbox, 'live', 2);
  clock.jumpWall(100_000 * hour);
  clock.advance(hour - 60_000);
  await tended(outbox, clock);
  t.deepEqual(await covered(outbox, 1), []);
  clock.advance(60_000);
  await tended(outbox, clock);
  t.deepEqual(await covered(outbox, 1), [{ first: 1, n: 30, reason: 'age' }]);
  t.is(outbox.stats().lost, 30);
  t.deepEqual([...conditions.raised.keys()], ['data-lost']);
});

test('running time is counted over restarts', async (t) => {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const options = { path: file, limits: limits(64 * 1024 * kib, { maxAgeHours: 2 }) };
  for (let i = 0; i < 3; i += 1) {
    const clock = new ManualClock({ bootId: `boot-${i}`, wall: i * 1_000_000 });
    const outbox = await openOutbox(t, { ...options, clock });
    if (i === 0) await fill(outbox, 'live', 1);
    clock.advance(hour - 60_000);
    if (i === 2) {
      clock.advance(180_000);
      await outbox.append([batchOf(1, '', { lane: 'alarm' })]);
      t.is(outbox.stats().lost, 10);
    } else {
      t.is(outbox.stats().lost, 0);
    }
    await outbox.close();
  }
});

test('an append that no eviction can make room for is refused with OUTBOX_FULL, and a smaller one is not', async (t) => {
  const conditions = new RecordedConditions();
  const outbox = await openOutbox(t, { limits: limits(256 * kib), conditions });
  await outbox.append([batchOf(1, 'small')]);
  await t.throwsAsync(outbox.append([batchOf(1, noise(600 * kib))]), { code: 'OUTBOX_FULL' });
  t.true(conditions.raised.has('outbox-full'));
  t.is((await outbox.append([batchOf(1, 'small')])).length, 1);
  await covered(outbox, 1);
});

test('a limit that was lowered is reached step by step, and nothing is refused meanwhile', async (t) => {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const before = await openOutbox(t, { path: file, limits: limits(16 * 1024 * kib) });
  await fill(before, 'live', 1_500);
  await before.close();
  const after = await openOutbox(t, { path: file, limits: limits(1024 * kib) });
  await fill(after, 'live', 20);
  t.true(after.streams()[0]!.bytes < 1024 * kib);
  t.true(after.stats().lost > 0);
  await covered(after, 1);
});
