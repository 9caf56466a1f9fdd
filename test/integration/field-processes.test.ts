import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  eventually,
  type FieldBench,
  fakeDevice,
  fakeLink,
  startField,
} from '../support/field-bench.ts';

const isGood = (result: { readonly quality: string }) => result.quality === 'good';
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const statusOf = ({ field }: FieldBench, plugin: string) =>
  field.drivers().find((driver) => driver.plugin === plugin);

/** A steady neighbour and a plugin with a fault, each in its process. */
async function startBeside(t: ExecutionContext, fault: string, options = {}) {
  const bench = startField(t, options);
  await bench.field.apply(
    [fakeLink('good', 'steady'), fakeLink('bad', 'faulty')],
    [
      fakeDevice('neighbour', 'good', { points: 1 }),
      fakeDevice('patient', 'bad', { points: 1, address: { fault } }),
    ],
  );
  return bench;
}

/** The neighbour counts its reads: when no count is missing, none was lost. */
function nothingLost(t: ExecutionContext, { sink }: FieldBench): void {
  const counts = sink.of('neighbour').map(({ value }) => value);
  t.deepEqual(
    counts,
    counts.map((_, index) => index + 1),
  );
}

test.serial('a driver process polls by its plan, and what it reads is committed', async (t) => {
  const { field, sink } = startField(t);
  await field.apply(
    [fakeLink('l1', 'steady')],
    [fakeDevice('d1', 'l1'), fakeDevice('d2', 'l1', { pointAddress: () => ({ big: true }) })],
  );
  await eventually(t, 'forty good results', () => sink.results.filter(isGood).length >= 40);
  t.is(sink.of('d2').find(isGood)?.value, 2n ** 60n);
  t.is(field.drivers()[0]?.state, 'running');
  await eventually(t, 'the link is open', () => field.links()[0]?.state === 'open');
  t.deepEqual(
    field.devices().map(({ state }) => state),
    ['online', 'online'],
  );
});

test.serial(
  'a driver that spins is killed and back, and its neighbour loses nothing',
  async (t) => {
    const bench = await startBeside(t, 'hang');
    const { noted, sink, conditions, field } = bench;
    const start = performance.now();
    await eventually(t, 'the hang is noticed', () =>
      noted.some(({ name }) => name === 'driverHung'),
    );
    await eventually(t, 'the restart', () => statusOf(bench, 'faulty')?.restarts === 1);
    t.true(conditions.raised.includes('driver-down faulty'));
    const bad = sink.of('patient').find(({ quality }) => quality === 'bad');
    t.is(bad?.error?.kind, 'link-down');
    await field.apply(
      [fakeLink('good', 'steady'), fakeLink('bad', 'faulty')],
      [
        fakeDevice('neighbour', 'good', { points: 1 }),
        fakeDevice('patient', 'bad', { points: 1, address: { fault: 'none' } }),
      ],
    );
    await eventually(t, 'good values again', () => sink.of('patient').some(isGood), 8_000);
    t.log(`good values ${Math.round(performance.now() - start)} ms after the start of the hang`);
    nothingLost(t, bench);
  },
);

for (const [fault, cause] of [
  ['throw-later', /thrown later/],
  ['reject-unowned', /nobody waits for this/],
  ['exit', /ended with code 3/],
  ['abort', /SIGABRT/],
  ['garbage', /sent what no driver sends/],
  ['four-gigabytes', /announces 4294967295 bytes/],
  ['foreign-batch', /batches out of order/],
] as const) {
  test.serial(
    `a driver that does "${fault}" is restarted with the reason, and its neighbour loses nothing`,
    async (t) => {
      const bench = await startBeside(t, fault);
      const { noted } = bench;
      const exited = () => noted.find(({ name }) => name === 'driverExited');
      await eventually(t, 'its end', () => exited() !== undefined);
      t.regex(String(exited()?.facts.cause), cause);
      await eventually(t, 'the neighbour', () => bench.sink.of('neighbour').length > 10);
      nothingLost(t, bench);
    },
  );
}

test.serial(
  'a half frame is no reason to wait: the driver is pinged on, found silent, and restarted',
  async (t) => {
    const bench = await startBeside(t, 'half-frame');
    const { noted } = bench;
    const ended = () => noted.find(({ name }) => name === 'driverExited');
    await eventually(t, 'its end', () => ended() !== undefined);
    nothingLost(t, bench);
  },
);

test.serial(
  'a driver that fills its heap is ended by its heap limit, and the kernel does not grow',
  async (t) => {
    const before = process.memoryUsage.rss();
    const bench = await startBeside(t, 'oom');
    const ended = () => bench.noted.find(({ name }) => name === 'driverExited');
    await eventually(t, 'its end', () => ended() !== undefined);
    t.true(process.memoryUsage.rss() - before < 100 * 1_048_576);
    nothingLost(t, bench);
  },
);

test.serial(
  'a driver that hoards memory outside of its heap is ended by what it uses',
  async (t) => {
    const bench = await startBeside(t, 'external-memory');
    const ended = () => bench.noted.find(({ name }) => name === 'driverExited');
    await eventually(t, 'its end', () => ended() !== undefined);
    t.regex(String(ended()?.facts.cause), /MB of memory; 256 MB are allowed/);
  },
);

test.serial(
  'a driver that throws on the spot gives bad values, and its process lives',
  async (t) => {
    const bench = await startBeside(t, 'throw-sync');
    await eventually(t, 'bad values', () => bench.sink.of('patient').length >= 3);
    t.deepEqual(
      bench.sink
        .of('patient')
        .map(({ error }) => error?.kind)
        .slice(0, 3),
      ['internal', 'internal', 'internal'],
    );
    t.is(statusOf(bench, 'faulty')?.restarts, 0);
  },
);

test.serial('NaN never passes as a value', async (t) => {
  const { sink } = await startBeside(t, 'not-a-number');
  await eventually(t, 'a result', () => sink.of('patient').length > 0);
  const [first] = sink.of('patient');
  t.is(first?.error?.kind, 'not-a-number');
  t.is(first?.value, undefined);
});

test.serial(
  'a flood on standard output is passed on in a few lines, and delays nobody',
  async (t) => {
    const bench = await startBeside(t, 'stdout');
    await eventually(t, 'good values after the flood', () => bench.sink.of('patient').length >= 2);
    const lines = bench.noted.filter(({ name }) => name === 'driverLog');
    t.true(lines.length < 200, `${lines.length} lines were passed on`);
    t.is(statusOf(bench, 'faulty')?.restarts, 0);
    nothingLost(t, bench);
  },
);

test.serial(
  'a plugin without permissions cannot read, write, spawn, or see the environment',
  async (t) => {
    process.env.RISER_TEST_SECRET = 'hunter2';
    t.teardown(() => {
      delete process.env.RISER_TEST_SECRET;
    });
    const { sink } = await startBeside(t, 'forbidden');
    await eventually(t, 'its report', () => sink.of('patient').some(isGood));
    t.deepEqual(JSON.parse(String(sink.of('patient').find(isGood)?.value)), {
      read: 'ERR_ACCESS_DENIED',
      write: 'ERR_ACCESS_DENIED',
      spawn: 'ERR_ACCESS_DENIED',
      secret: 'none',
    });
  },
);

test.serial(
  'a driver that keeps failing is given up, and started at once when its configuration changes',
  async (t) => {
    const bench = startField(t, { limits: { restartMs: 5, maxFailures: 3 } });
    const link = fakeLink('bad', 'faulty');
    await bench.field.apply([link], [fakeDevice('patient', 'bad', { address: { fault: 'exit' } })]);
    await eventually(t, 'it is given up', () => statusOf(bench, 'faulty')?.state === 'failed');
    t.true(bench.conditions.has('driver-failed', 'faulty'));
    t.regex(statusOf(bench, 'faulty')?.detail ?? '', /ended with code 3/);

    await bench.field.apply([link], [fakeDevice('patient', 'bad', { address: { fault: 'exit' } })]);
    t.is(statusOf(bench, 'faulty')?.state, 'failed', 'an identical configuration changes nothing');

    await bench.field.apply([link], [fakeDevice('patient', 'bad', { address: { fault: 'none' } })]);
    await eventually(t, 'good values', () => bench.sink.of('patient').some(isGood));
    await eventually(t, 'health', () => !bench.conditions.has('driver-failed', 'faulty'));
  },
);

test.serial('closing ends every driver process, also one that spins', async (t) => {
  const bench = await startBeside(t, 'hang');
  await eventually(t, 'both run', () => bench.sink.of('neighbour').length > 20);
  const pids = bench.field.drivers().map(({ pid }) => pid ?? 0);
  await bench.field.close();
  await bench.field.close();
  t.deepEqual(pids.map(isAlive), [false, false]);
});

test.serial('a killed kernel leaves no driver process, not even one that spins', async (t) => {
  const kernel = spawn(
    process.execPath,
    [join(import.meta.dirname, '..', 'support', 'field-kernel.ts')],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.teardown(() => kernel.kill('SIGKILL'));
  let said = '';
  kernel.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await eventually(t, 'both drivers run', () => said.includes('\n'));
  const pids = JSON.parse(said) as number[];
  t.is(pids.length, 2);
  kernel.kill('SIGKILL');
  await once(kernel, 'exit');
  await eventually(t, 'their end', () => !pids.some(isAlive), 3_000);
});

test.serial('compiled code is kept in a folder for each plugin', async (t) => {
  const cacheDir = mkdtempSync(join(tmpdir(), 'riser-cache-'));
  t.teardown(() => rmSync(cacheDir, { recursive: true, force: true }));
  const { field, sink } = startField(t, { cacheDir });
  await field.apply([fakeLink('l1', 'steady')], [fakeDevice('d1', 'l1')]);
  await eventually(t, 'good values', () => sink.results.some(isGood));
  await field.close();
  t.true(readdirSync(join(cacheDir, 'steady'), { recursive: true }).length > 5);
});

test.serial(
  'while the outbox is blocked a driver holds the newest values, counts the others, and does not grow',
  async (t) => {
    const { field, sink } = startField(t);
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    await field.apply(
      [fakeLink('l1', 'steady')],
      Array.from({ length: 40 }, (_, n) =>
        fakeDevice(`d${n}`, 'l1', { points: 500, everyMs: 100 }),
      ),
    );
    const rss = () => field.drivers()[0]?.rssBytes ?? 0;
    const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    await eventually(t, 'a first look at its memory', () => rss() > 0);
    await pause(2_000);
    const before = rss();
    await pause(5_000);
    t.true(rss() - before < 60 * 1_048_576, `it grew from ${before} to ${rss()} bytes`);
    t.is(sink.results.length, 0);
    gate.resolve();
    await eventually(t, 'the count', () => sink.droppedCount > 10_000);
    const values = sink.of('d0').filter(({ pointId }) => pointId === 'p0');
    const counts = values.map(({ value }) => Number(value));
    t.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
      'no value is followed by an older one',
    );
  },
);
