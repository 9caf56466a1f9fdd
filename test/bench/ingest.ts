/**
 * Durable ingest: synthetic batches of 100 readings into the outbox, against the same code with
 * synchronous=OFF and against the raw rate of syncs of the disk. `node test/bench/ingest.ts`
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { ConditionReporter } from '../../src/model/condition.ts';
import { gatewayId, tenantId } from '../../src/model/ids.ts';
import type { NewBatch } from '../../src/model/outbox.ts';
import { DurableOutbox } from '../../src/outbox/durable-outbox.ts';
import type { OutboxNotes } from '../../src/outbox/outbox-reports.ts';

/** One figure of a benchmark. */
export interface BenchResult {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it should reach at least, where design.md §10 names a figure. */
  readonly target?: number;
}

const runMs = 2_000;
const eventsPerBatch = 100;
/** Batches that wait for the disk at any time: enough to fill a group, few enough to be real. */
const inFlight = 64;
const silent = new Proxy({} as OutboxNotes & ConditionReporter, { get: () => () => {} });

/** Readings as the recorder encodes them: 40 points with noise. */
function readings(i: number): string {
  const rows: string[] = [];
  for (let k = 0; k < eventsPerBatch; k += 1) {
    rows.push(`[${k % 40},${k * 3},${(20 + (((i + k) * 7919) % 997) / 100).toFixed(2)}]`);
  }
  return `{"n":${eventsPerBatch},"t0":1795167660120,"points":${points},"r":[${rows.join(',')}]}`;
}
const points = JSON.stringify(Array.from({ length: 40 }, (_, k) => `ahu-${k}/supply.temp`));

async function ingest(folder: string, synchronous: 'FULL' | 'OFF') {
  const outbox = new DurableOutbox({
    path: path.join(folder, `${synchronous}.db`),
    gateway: gatewayId('gw-1'),
    clock: new SystemClock('bench'),
    notes: silent,
    conditions: silent,
    limits: { maxBytes: 2 ** 30, retainBytes: 2 ** 26, retainHours: 24, maxAgeHours: 720 },
    consumers: ['uplink'],
    ...(synchronous === 'OFF' ? { unsafe: { synchronous } } : {}),
  });
  await outbox.start(new AbortController().signal);
  const data = Array.from({ length: 200 }, (_, i) => readings(i));
  const cpu = process.cpuUsage();
  const began = performance.now();
  let count = 0;
  const feed = async () => {
    while (performance.now() - began < runMs) {
      count += 1;
      const batch: NewBatch = {
        tenant: tenantId('acme'),
        lane: 'live',
        type: 'riser.readings.v1',
        n: eventsPerBatch,
        time: 1_795_167_660_120,
        data: data[count % data.length] ?? '',
        correlationId: `c-${count}`,
      };
      await outbox.append([batch]);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, feed));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const { bytesWritten, commits, commitP99Ms } = outbox.stats();
  await outbox.close();
  const events = count * eventsPerBatch;
  return {
    perSecond: events / seconds,
    cpuMicros: (user + system) / events,
    bytesPerEvent: bytesWritten / events,
    commitsPerSecond: commits / seconds,
    commitP99Ms,
  };
}

/** Syncs a second of 4 KiB appended. */
function rawSyncs(folder: string): number {
  const file = openSync(path.join(folder, 'raw'), 'w');
  const page = new Uint8Array(4096).fill(1);
  const began = performance.now();
  let count = 0;
  while (performance.now() - began < 500) {
    writeSync(file, page);
    fdatasyncSync(file);
    count += 1;
  }
  closeSync(file);
  return (count * 1000) / (performance.now() - began);
}

/** Measures in a temporary folder; about five seconds. */
export async function run(): Promise<BenchResult[]> {
  const folder = mkdtempSync(path.join(process.env.RISER_BENCH_DIR ?? tmpdir(), 'riser-bench-'));
  try {
    const raw = rawSyncs(folder);
    const off = await ingest(folder, 'OFF');
    const full = await ingest(folder, 'FULL');
    return [
      { name: 'durable ingest', value: full.perSecond, unit: 'events/s', target: 150_000 },
      { name: 'same with synchronous=OFF', value: off.perSecond, unit: 'events/s' },
      { name: 'durable / OFF', value: full.perSecond / off.perSecond, unit: '', target: 0.3 },
      { name: 'commits', value: full.commitsPerSecond, unit: '/s' },
      { name: 'raw syncs of the disk', value: raw, unit: '/s' },
      { name: 'commit p99', value: full.commitP99Ms, unit: 'ms' },
      { name: 'CPU', value: full.cpuMicros, unit: 'µs/event' },
      { name: 'stored', value: full.bytesPerEvent, unit: 'bytes/event' },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) {
  for (const { name, value, unit, target } of await run()) {
    const goal = target === undefined ? '' : `   (target ${target})`;
    process.stdout.write(`${name.padEnd(28)} ${value.toFixed(2).padStart(12)} ${unit}${goal}\n`);
  }
}
