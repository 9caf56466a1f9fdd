import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import test, { type ExecutionContext } from 'ava';
import { migrations } from '../../../src/outbox/migrations/index.ts';
import { outboxApplicationId } from '../../../src/outbox/open-log.ts';
import { openDatabase } from '../../../src/sqlite/open-database.ts';
import { buildShim, canBuildShim } from '../../../tools/powercut/build-shim.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  batchOf,
  envelopeOf,
  newOutbox,
  openOutbox,
  RecordedConditions,
  readAll,
  temporaryFolder,
} from '../../support/open-outbox.ts';
import { countingNotes } from '../../support/silent-notes.ts';

const signal = new AbortController().signal;

/** A closed outbox with three batches of two. */
async function prepared(t: ExecutionContext): Promise<string> {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const outbox = await openOutbox(t, { path: file });
  await outbox.append([batchOf(2, 'a'), batchOf(2, 'b'), batchOf(2, 'c')]);
  await outbox.close();
  return file;
}

/** Changes a closed outbox behind its back. */
function tamper(file: string, sql: string): void {
  const db = openDatabase({ path: file, applicationId: outboxApplicationId, migrations });
  db.exec(sql);
  db.close();
}

const damages: Readonly<Record<string, (file: string) => void>> = {
  'an empty file': (file) => truncateSync(file, 0),
  'a file of zeros': (file) => writeFileSync(file, Buffer.alloc(16_384)),
  'no database at all': (file) => writeFileSync(file, 'PK\u0003\u0004'.repeat(4_096)),
  'half a database': (file) => truncateSync(file, 12_288),
  'a database of somebody else': (file) => {
    rmSync(file);
    openDatabase({ path: file, applicationId: 77, migrations: [] }).close();
  },
  'a log without its file': (file) => {
    writeFileSync(`${file}-wal`, Buffer.alloc(4_096));
    rmSync(file);
  },
};

for (const [what, damage] of Object.entries(damages)) {
  test(`${what} is set aside, and the outbox begins a new file in a new epoch`, async (t) => {
    const file = await prepared(t);
    damage(file);
    const { notes, calls } = countingNotes();
    const conditions = new RecordedConditions();
    const outbox = await openOutbox(t, { path: file, notes, conditions });
    t.deepEqual(outbox.streams(), []);
    t.is((await outbox.append([batchOf(1)]))[0]!.sequence, 1);
    t.is(calls.get('outboxQuarantined')?.length, 1);
    t.true(
      readdirSync(path.dirname(file)).some((name) => name.startsWith('outbox.corrupt-1.db')),
      readdirSync(path.dirname(file)).join(),
    );
    if (what !== 'a log without its file') {
      t.regex(conditions.raised.get('outbox-quarantined') ?? '', /outbox\.corrupt-1\.db/);
    }
  });
}

test('a second damaged file does not overwrite the first', async (t) => {
  const file = await prepared(t);
  for (let i = 0; i < 2; i += 1) {
    writeFileSync(file, `damage ${i}`.repeat(1_000));
    const outbox = await openOutbox(t, { path: file });
    await outbox.close();
  }
  const names = readdirSync(path.dirname(file)).filter((name) => name.includes('corrupt'));
  t.deepEqual(names.sort(), ['outbox.corrupt-1.db', 'outbox.corrupt-2.db']);
});

test('a file of a later release is refused and left as it is', async (t) => {
  const file = await prepared(t);
  tamper(file, 'PRAGMA user_version = 99');
  const before = readFileSync(file);
  const outbox = newOutbox(t, { path: file });
  await t.throwsAsync(outbox.start(signal), { code: 'OUTBOX_NEWER', message: /version 99/ });
  t.deepEqual(readFileSync(file), before);
});

test('a batch with a wrong checksum comes as its gap, and those around it as they are', async (t) => {
  const file = await prepared(t);
  tamper(file, 'UPDATE batch SET body = zeroblob(length(body)) WHERE key % 1099511627776 = 3');
  const { notes, calls } = countingNotes();
  const conditions = new RecordedConditions();
  const outbox = await openOutbox(t, { path: file, notes, conditions });
  const batches = await readAll(outbox, 1);
  t.deepEqual(
    batches.map((each) => [each.sequence, each.n, each.type, envelopeOf(each).data.reason]),
    [
      [1, 2, 'riser.readings.v1', undefined],
      [3, 2, 'riser.gap.v1', 'corrupt'],
      [5, 2, 'riser.readings.v1', undefined],
    ],
  );
  t.deepEqual(await readAll(outbox, 1), batches, 'the same bytes when it is read again');
  t.deepEqual(calls.get('checksumFailed'), [{ sequence: 3, n: 2 }]);
  t.is(outbox.stats().checksumErrors, 1);
  t.true(conditions.raised.has('data-lost'));
});

test('a damaged count or a missing row leaves no hole either', async (t) => {
  const file = await prepared(t);
  tamper(
    file,
    'UPDATE batch SET n = 900 WHERE key % 1099511627776 = 1; DELETE FROM batch WHERE key % 1099511627776 = 3',
  );
  const outbox = await openOutbox(t, { path: file });
  t.deepEqual(
    (await readAll(outbox, 1)).map((each) => [each.sequence, each.n, each.type]),
    [
      [1, 4, 'riser.gap.v1'],
      [5, 2, 'riser.readings.v1'],
    ],
  );
});

test('if the last batch is damaged its sequences are not given out again', async (t) => {
  const file = await prepared(t);
  tamper(
    file,
    'UPDATE batch SET n = 1 WHERE key % 1099511627776 = 5; UPDATE stream SET next_seq = 1',
  );
  const outbox = await openOutbox(t, { path: file });
  t.like((await outbox.append([batchOf(1, 'new')]))[0], { sid: 2, sequence: 1 });
  t.true(outbox.streams()[0]!.closed);
  t.is((await readAll(outbox, 1)).at(-1)!.type, 'riser.gap.v1');
});

test('a file that has lost its end behind an acked sequence goes on in a new epoch', async (t) => {
  const file = await prepared(t);
  tamper(file, "INSERT INTO cursor VALUES ('uplink', 1, 500)");
  const outbox = await openOutbox(t, { path: file });
  t.is((await outbox.append([batchOf(1)]))[0]!.sid, 2);
});

test('when the worker dies appends are refused, and accepted again by itself', async (t) => {
  const workers: Worker[] = [];
  const { notes, calls } = countingNotes();
  const conditions = new RecordedConditions();
  const clock = new ManualClock();
  const outbox = await openOutbox(t, {
    clock,
    notes,
    conditions,
    startWorker: (workerData) => {
      const url = new URL('../../../src/outbox/worker.ts', import.meta.url);
      const worker = new Worker(url, { workerData });
      workers.push(worker);
      return worker;
    },
  });
  await outbox.append([batchOf(1, 'before')]);
  outbox.ack('uplink', 1, 1);
  const inFlight = outbox.append([batchOf(1, 'in flight')]);
  const refused = t.throwsAsync(inFlight, { code: 'OUTBOX_UNAVAILABLE' });
  await workers[0]!.terminate();
  await refused;
  t.true(conditions.raised.has('outbox-unavailable'));
  await t.throwsAsync(outbox.append([batchOf(1)]), { code: 'OUTBOX_UNAVAILABLE' });
  await t.throwsAsync(outbox.deadLetters(1), { code: 'OUTBOX_UNAVAILABLE' });

  clock.advance(1_000);
  while (conditions.raised.has('outbox-unavailable')) await once(workers[1]!, 'message');
  await outbox.append([batchOf(1, 'after')]);
  t.is(outbox.acked('uplink', 1), 1);
  t.deepEqual(
    (await readAll(outbox, 1)).map((each) => envelopeOf(each).data.mark),
    ['before', 'after'],
    'what was refused is not there, even if it had reached the disk',
  );
  t.is(calls.get('outboxUnavailable')?.length, 1);
  t.is(calls.get('outboxRecovered')?.length, 1);
});

test('what was refused because the answer was lost is taken out again', async (t) => {
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const clock = new ManualClock();
  const workers: Worker[] = [];
  let swallow = false;
  const outbox = await openOutbox(t, {
    clock,
    path: file,
    startWorker: (workerData) => {
      const url = new URL('../../../src/outbox/worker.ts', import.meta.url);
      const worker = new Worker(url, { workerData });
      const emit = worker.emit.bind(worker);
      // The worker commits, and dies before its answer arrives.
      worker.emit = (event: string, ...args: unknown[]) => {
        if (!swallow || event !== 'message') return emit(event, ...args);
        swallow = false;
        worker.terminate().catch(() => {});
        return true;
      };
      workers.push(worker);
      return worker;
    },
  });
  await outbox.append([batchOf(1, 'a')]);
  swallow = true;
  await t.throwsAsync(outbox.append([batchOf(1, 'b'), batchOf(1, 'c', { lane: 'bulk' })]), {
    code: 'OUTBOX_UNAVAILABLE',
  });
  clock.advance(1_000);
  await once(workers[1]!, 'message');
  const [committed] = await outbox.append([batchOf(1, 'd')]);
  t.is(committed!.sequence, 2);
  t.deepEqual(
    (await readAll(outbox, 1)).map((each) => envelopeOf(each).data.mark),
    ['a', 'd'],
  );
});

test('a folder that cannot be used does not stop the start, and is tried again', async (t) => {
  const folder = temporaryFolder(t);
  const blocked = path.join(folder, 'state');
  writeFileSync(blocked, 'a file where a folder should be');
  const clock = new ManualClock();
  const conditions = new RecordedConditions();
  const outbox = newOutbox(t, { path: path.join(blocked, 'outbox.db'), clock, conditions });
  await outbox.start(signal);
  t.true(conditions.raised.has('outbox-unavailable'));
  await t.throwsAsync(outbox.append([batchOf(1)]), {
    code: 'OUTBOX_UNAVAILABLE',
    message: /state/,
  });
  rmSync(blocked);
  for (let i = 0; i < 200 && conditions.raised.has('outbox-unavailable'); i += 1) {
    await clock.pass(1_000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.is((await outbox.append([batchOf(1)])).length, 1);
});

const faulty = canBuildShim() ? test : test.skip;
const skipped = canBuildShim() ? '' : ' (skipped: needs Linux and gcc)';
const child = fileURLToPath(new URL('../../support/faulty-disk-outbox.ts', import.meta.url));

for (const [fault, what] of [
  ['full', 'a full disk'],
  ['eio', 'a disk that fails to sync'],
] as const) {
  faulty(
    `${what} refuses appends, loses nothing, and is used again when it works${skipped}`,
    async (t) => {
      const folder = temporaryFolder(t);
      const file = path.join(folder, 'outbox.db');
      const shim = path.join(folder, 'shim.so');
      buildShim(shim);
      const running = spawn(process.execPath, [child, file], {
        env: {
          ...process.env,
          LD_PRELOAD: shim,
          POWERCUT_DB: file,
          POWERCUT_FAULT: path.join(folder, 'fault'),
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      t.teardown(() => running.kill('SIGKILL'));
      const lines = createInterface({ input: running.stdout })[Symbol.asyncIterator]();
      const next = async () => JSON.parse(String((await lines.next()).value));
      t.deepEqual(await next(), { stored: 1 });

      writeFileSync(path.join(folder, 'fault'), fault);
      running.stdin.write('append\n');
      const refused = await next();
      t.is(refused.code, 'OUTBOX_UNAVAILABLE');
      t.regex(refused.message, fault === 'full' ? /disk is full/ : /disk reports an error/);
      t.true(refused.message.includes(file));
      if (fault === 'full') t.false(existsSync(`${file}.ballast`), 'the ballast makes room');

      rmSync(path.join(folder, 'fault'));
      running.stdin.write('retry\n');
      const recovered = await next();
      t.like(recovered, { stored: 2, unavailable: 1, recovered: 1 });
      running.stdin.write('close\n');
      t.deepEqual(await once(running, 'exit'), [0, null]);

      const copy = path.join(folder, 'copy.db');
      copyFileSync(file, copy);
      const outbox = await openOutbox(t, { path: copy });
      t.deepEqual(
        (await readAll(outbox, 1)).map((each) => envelopeOf(each).data.mark),
        ['first', 'retried'],
      );
    },
  );
}
