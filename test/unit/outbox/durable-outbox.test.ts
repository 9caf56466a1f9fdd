import path from 'node:path';
import test from 'ava';
import { tenantId } from '../../../src/model/ids.ts';
import type { NewBatch } from '../../../src/model/outbox.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  acme,
  batchOf,
  envelopeOf,
  newOutbox,
  openOutbox,
  RecordedConditions,
  readAll,
  temporaryFolder,
} from '../../support/open-outbox.ts';
import { countingNotes } from '../../support/silent-notes.ts';

const wide = { batches: 1_000, bytes: 64 * 1024 * 1024 };

test('sequences are contiguous in a stream, begin at 1, and follow the order given', async (t) => {
  const outbox = await openOutbox(t);
  const first = await outbox.append([batchOf(3), batchOf(1, '', { lane: 'alarm' }), batchOf(2)]);
  const second = await outbox.append([batchOf(4)]);
  t.deepEqual(
    [...first, ...second].map(({ sid, sequence, n }) => [sid, sequence, n]),
    [
      [1, 1, 3],
      [2, 1, 1],
      [1, 4, 2],
      [1, 6, 4],
    ],
  );
  t.deepEqual(
    outbox.streams().map(({ tenant, lane, next, oldest }) => [tenant, lane, next, oldest]),
    [
      ['acme', 'live', 10, 1],
      ['acme', 'alarm', 2, 1],
    ],
  );
});

test('the envelope has the members of contract riser/1 in their order', async (t) => {
  const outbox = await openOutbox(t, {
    clock: new ManualClock({ bootId: '4a-boot', synced: false }),
  });
  await outbox.append([
    batchOf(1, '', { data: '{"n":1,"t0":5}', correlationId: 'q"uote', traceparent: '00-a-b-00' }),
  ]);
  const [batch] = await outbox.read('uplink', 1, 0, wide);
  const { epoch } = outbox.streams()[0]!;
  t.regex(epoch, /^[0-9a-z]{12,}$/);
  t.is(
    Buffer.from(batch!.body).toString('utf8'),
    `{"specversion":"1.0","id":"${epoch}.1","source":"//gw-1/acme/live","type":"riser.readings.v1",` +
      '"time":"2026-11-20T09:41:00.120Z","datacontenttype":"application/json",' +
      '"dataschema":"urn:riser:readings:1.0","tenantid":"acme","sequence":"0000000000000001",' +
      '"correlationid":"q\\"uote","traceparent":"00-a-b-00","bootid":"4a-boot","clocksynced":false,' +
      '"data":{"n":1,"t0":5}}',
  );
});

test('a body that was compressed on the disk comes back as it was', async (t) => {
  const outbox = await openOutbox(t);
  const mark = 'zählt '.repeat(5_000);
  await outbox.append([batchOf(1, mark), batchOf(1, 'kurz')]);
  const batches = await readAll(outbox, 1);
  t.deepEqual(
    batches.map((each) => envelopeOf(each).data.mark),
    [mark, 'kurz'],
  );
  t.true(outbox.streams()[0]!.bytes < mark.length / 10);
});

test('appends of one turn share a commit, and each gets its own answer', async (t) => {
  const outbox = await openOutbox(t);
  const answers = await Promise.all([1, 2, 3].map((n) => outbox.append([batchOf(n)])));
  t.deepEqual(
    answers.map((each) => each.map(({ sequence }) => sequence)),
    [[1], [2], [4]],
  );
  t.is(outbox.stats().commits, 1);
  t.is(outbox.stats().committedEvents, 6);
});

test('a batch that would break the file is refused, and those beside it are stored', async (t) => {
  const outbox = await openOutbox(t);
  const wrong: readonly Partial<NewBatch>[] = [
    { tenant: 'a/b' as never },
    { lane: 'slow' as never },
    { type: 'x' as never },
    { n: 0 },
    { n: 1.5 },
    { time: Number.NaN },
    { data: '' },
  ];
  const refused = wrong.map((more) =>
    t.throwsAsync(outbox.append([batchOf(1, '', more)]), { message: /was refused/ }),
  );
  t.is((await outbox.append([batchOf(1)])).length, 1);
  await Promise.all(refused);
  t.is(outbox.streams()[0]!.next, 2);
});

test('reading removes nothing, and begins with the batch that holds the next sequence', async (t) => {
  const outbox = await openOutbox(t);
  await outbox.append([batchOf(3, 'a'), batchOf(3, 'b'), batchOf(3, 'c')]);
  const marks = async (after: number, limit = wide) =>
    (await outbox.read('uplink', 1, after, limit)).map((each) => envelopeOf(each).data.mark);
  t.deepEqual(await marks(0), ['a', 'b', 'c']);
  t.deepEqual(await marks(0), ['a', 'b', 'c']);
  t.deepEqual(await marks(3), ['b', 'c']);
  t.deepEqual(await marks(4), ['b', 'c']);
  t.deepEqual(await marks(9), []);
  t.deepEqual(await marks(0, { batches: 2, bytes: 1e6 }), ['a', 'b']);
  t.deepEqual(await marks(0, { batches: 9, bytes: 1 }), ['a']);
  t.deepEqual(await outbox.read('uplink', 77, 0, wide), []);
});

test('cursors only move forward and not beyond the end, each consumer for itself', async (t) => {
  const outbox = await openOutbox(t);
  await outbox.append([batchOf(10)]);
  const acked = () => [outbox.acked('uplink', 1), outbox.acked('hook', 1)];
  outbox.ack('uplink', 1, 7);
  t.deepEqual(acked(), [7, 0]);
  outbox.ack('uplink', 1, 3);
  outbox.ack('uplink', 1, 11);
  outbox.ack('uplink', 1, 7.5);
  outbox.ack('uplink', 9, 1);
  t.deepEqual(acked(), [7, 0]);
  outbox.ack('hook', 1, 10);
  t.deepEqual(acked(), [7, 10]);
  t.is(outbox.stats().pending, 3);
});

test('what was stored, acked and parked is there after a restart, in the same epoch', async (t) => {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const before = await openOutbox(t, { path: file });
  await before.append([batchOf(2, 'a'), batchOf(2, 'b'), batchOf(2, 'c')]);
  before.ack('uplink', 1, 2);
  await before.park('uplink', 1, 3, 'refused');
  await before.close();

  const after = await openOutbox(t, { path: file });
  t.is(after.streams()[0]!.epoch, before.streams()[0]!.epoch);
  t.is(after.acked('uplink', 1), 2);
  t.deepEqual(
    (await readAll(after, 1)).map((each) => envelopeOf(each).type),
    ['riser.readings.v1', 'riser.gap.v1', 'riser.readings.v1'],
  );
  t.is((await after.append([batchOf(1)]))[0]!.sequence, 7);
  t.is(after.streams()[0]!.bytes > before.streams()[0]!.bytes, true);
});

test('a cursor is durable after a quarter of a second without a commit', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, { clock });
  await outbox.append([batchOf(5)]);
  const walBefore = outbox.stats().walBytes;
  outbox.ack('uplink', 1, 5);
  clock.advance(249);
  t.is(outbox.stats().walBytes, walBefore);
  clock.advance(1);
  await outbox.deadLetters(1); // Answered after everything that was asked before.
  t.true(outbox.stats().walBytes > walBefore);
});

test('a parked batch comes as its gap event for that consumer only', async (t) => {
  const { notes, calls } = countingNotes();
  const outbox = await openOutbox(t, { notes });
  await outbox.append([batchOf(2, 'a'), batchOf(4, 'poison'), batchOf(2, 'c')]);
  await outbox.park('uplink', 1, 3, 'payload too large');
  await outbox.park('uplink', 1, 3, 'again');
  await outbox.park('uplink', 1, 99, 'no such batch');

  const [, gap, last] = await readAll(outbox, 1);
  t.like(gap, { sequence: 3, n: 4, type: 'riser.gap.v1' });
  t.like(envelopeOf(gap!), {
    sequence: '0000000000000003',
    data: {
      n: 4,
      first: '0000000000000003',
      last: '0000000000000006',
      reason: 'dead-letter',
    },
  });
  t.is(envelopeOf(last!).data.mark, 'c');
  t.is(envelopeOf((await readAll(outbox, 1, 'hook'))[1]!).data.mark, 'poison');
  t.deepEqual(await readAll(outbox, 1), await readAll(outbox, 1));
  const [letter, ...others] = await outbox.deadLetters(10);
  t.like(letter, {
    consumer: 'uplink',
    tenant: 'acme',
    sequence: 3,
    n: 4,
    reason: 'payload too large',
  });
  t.deepEqual(others, []);
  t.is(calls.get('outboxParked')?.length, 1);
  t.is(outbox.stats().deadLetters, 1);
});

test('a new epoch begins at 1, and what is left of the old one is still read', async (t) => {
  const outbox = await openOutbox(t);
  await outbox.append([batchOf(3, 'old')]);
  await outbox.renewEpoch(acme, 'live', 'the receiver is ahead');
  t.like((await outbox.append([batchOf(2, 'new')]))[0], { sid: 2, sequence: 1 });
  const [old, current] = outbox.streams();
  t.deepEqual([old!.closed, current!.closed], [true, false]);
  t.not(old!.epoch, current!.epoch);
  t.is(envelopeOf((await readAll(outbox, 1))[0]!).data.mark, 'old');
  t.is(envelopeOf((await readAll(outbox, 2))[0]!).id, `${current!.epoch}.1`);
});

test('an old epoch is forgotten once everything of it is acked and not kept any more', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, {
    clock,
    limits: { maxBytes: 1e8, retainBytes: 0, retainHours: 0, maxAgeHours: 1 },
  });
  await outbox.append([batchOf(3, 'old')]);
  await outbox.renewEpoch(acme, 'live', 'test');
  await outbox.append([batchOf(1)]);
  outbox.ack('uplink', 1, 3);
  for (let i = 0; i < 3; i += 1) {
    clock.advance(10_000);
    await outbox.deadLetters(1);
  }
  t.deepEqual(
    outbox.streams().map(({ sid }) => sid),
    [2],
  );
  await outbox.renewEpoch(acme, 'live', 'test');
  t.is(outbox.streams().at(-1)!.sid, 3, 'a sid is not used again');
});

test('a copy of the file on another machine goes on in new epochs', async (t) => {
  const { writeFileSync } = await import('node:fs');
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'outbox.db');
  const machineIdPath = path.join(folder, 'machine-id');
  writeFileSync(machineIdPath, 'first\n');
  const before = await openOutbox(t, { path: file, machineIdPath });
  await before.append([batchOf(3)]);
  await before.close();

  writeFileSync(machineIdPath, 'second\n');
  const after = await openOutbox(t, { path: file, machineIdPath });
  t.true(after.streams()[0]!.closed);
  t.is((await after.append([batchOf(1)]))[0]!.sequence, 1);
  await after.close();

  const again = await openOutbox(t, { path: file, machineIdPath });
  t.deepEqual(
    again.streams().map(({ closed }) => closed),
    [true, false],
  );
});

test('streams of two tenants do not know of each other', async (t) => {
  const outbox = await openOutbox(t);
  const other = tenantId('other');
  const committed = await outbox.append([
    batchOf(2, 'ours'),
    batchOf(5, 'theirs', { tenant: other }),
    batchOf(1, 'ours'),
  ]);
  t.deepEqual(
    committed.map(({ sid, sequence }) => [sid, sequence]),
    [
      [1, 1],
      [2, 1],
      [1, 3],
    ],
  );
  const bodies = (await readAll(outbox, 2)).map((each) => envelopeOf(each));
  t.is(bodies.length, 1);
  t.is(bodies[0]!.source, '//gw-1/other/live');
});

test('listeners are told after each commit which streams grew, until they stop', async (t) => {
  const { notes, calls } = countingNotes();
  const outbox = await openOutbox(t, { notes });
  const told: (readonly number[])[] = [];
  outbox.onCommit(() => {
    throw new Error('a bad listener');
  });
  const stop = outbox.onCommit((sids) => told.push(sids));
  await outbox.append([batchOf(1), batchOf(1), batchOf(1, '', { lane: 'bulk' })]);
  stop();
  await outbox.append([batchOf(1)]);
  t.deepEqual(told, [[1, 2]]);
  t.is(calls.get('listenerFailed')?.length, 2);
});

test('jumps of the wall clock change neither order nor age', async (t) => {
  const clock = new ManualClock();
  const outbox = await openOutbox(t, { clock });
  const year = 365 * 24 * 3_600_000;
  for (const [i, jump] of [0, year, -30 * year, 60 * year, -year].entries()) {
    clock.jumpWall(jump);
    clock.advance(1_000);
    await outbox.append([batchOf(1, String(i))]);
  }
  clock.advance(10_000);
  await outbox.deadLetters(1);
  t.deepEqual(
    (await readAll(outbox, 1)).map((each) => envelopeOf(each).data.mark),
    ['0', '1', '2', '3', '4'],
  );
  t.is(Math.round(outbox.stats().oldestAgeMs!), 14_000);
  t.is(outbox.stats().lost, 0);
});

test('a second process of the same file is told why it cannot have it', async (t) => {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const outbox = await openOutbox(t, { path: file });
  const second = newOutbox(t, { path: file });
  await t.throwsAsync(second.start(new AbortController().signal), {
    code: 'OUTBOX_UNAVAILABLE',
    message: /in use by another process/,
  });
  t.is((await outbox.append([batchOf(1)])).length, 1);
});

test('an outbox that is not open refuses, and close may come twice and before start', async (t) => {
  const outbox = newOutbox(t, { path: path.join(temporaryFolder(t), 'outbox.db') });
  await t.throwsAsync(outbox.append([batchOf(1)]), { code: 'OUTBOX_UNAVAILABLE' });
  await outbox.close();
  await outbox.close();

  const other = await openOutbox(t);
  const pending = other.append([batchOf(1)]);
  await Promise.all([other.close(), other.close()]);
  t.is((await pending).length, 1, 'what was appended before close is stored');
  await t.throwsAsync(other.append([batchOf(1)]), { code: 'OUTBOX_UNAVAILABLE' });
});

test('when too much waits for the disk the next append is refused', async (t) => {
  const outbox = await openOutbox(t);
  const many = Array.from({ length: 400 }, () => batchOf(1));
  const appends = Array.from({ length: 20 }, () => outbox.append(many));
  const results = await Promise.allSettled(appends);
  const refused = results.filter(({ status }) => status === 'rejected');
  t.true(refused.length > 0);
  for (const each of refused) {
    t.like((each as PromiseRejectedResult).reason, { code: 'OUTBOX_UNAVAILABLE', retryable: true });
  }
  const stored = outbox.streams()[0]!.next - 1;
  t.is(stored, (20 - refused.length) * 400);
});

test('a start notes what it found and raises nothing', async (t) => {
  const { notes, calls } = countingNotes();
  const conditions = new RecordedConditions();
  await openOutbox(t, { notes, conditions });
  t.like(calls.get('outboxOpened')?.[0], { pending: 0 });
  t.is(conditions.raised.size, 0);
});
