import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { type BenchResult, ratioOf } from './bench-result.ts';
import { eventsPerBatch, feed, openOutbox } from './outbox-file.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'ingest';
export const description =
  'durable ingest of synthetic batches of 100 readings, against the same code with synchronous=OFF and the raw syncs of the disk';

const runMs = 2_000;
const rawMs = 500;

async function inFolder(measure: (folder: string) => Promise<Figures>): Promise<Figures> {
  const folder = mkdtempSync(path.join(process.env.RISER_BENCH_DIR ?? tmpdir(), 'riser-bench-'));
  try {
    return await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ingest(folder: string, synchronous: 'FULL' | 'OFF'): Promise<Figures> {
  const outbox = await openOutbox(folder, synchronous);
  try {
    return await watched(async () => {
      const cpu = process.cpuUsage();
      const begun = performance.now();
      const batches = await feed(outbox, () => performance.now() - begun < runMs);
      const seconds = (performance.now() - begun) / 1_000;
      const { user, system } = process.cpuUsage(cpu);
      const { commits, commitP99Ms } = outbox.stats();
      const events = batches * eventsPerBatch;
      return {
        perSecond: events / seconds,
        micros: (user + system) / events,
        commits: commits / seconds,
        commitP99: commitP99Ms,
      };
    });
  } finally {
    await outbox.close();
  }
}

/** Syncs a second of 4 KiB appended. */
async function rawSyncs(folder: string): Promise<Figures> {
  return await watched(async () => {
    const file = openSync(path.join(folder, 'raw'), 'w');
    const page = new Uint8Array(4_096).fill(1);
    const begun = performance.now();
    let count = 0;
    while (performance.now() - begun < rawMs) {
      writeSync(file, page);
      fdatasyncSync(file);
      count += 1;
    }
    closeSync(file);
    return { perSecond: (count * 1_000) / (performance.now() - begun) };
  });
}

export async function run(): Promise<readonly BenchResult[]> {
  const { full, off, raw } = await interleaved({
    full: () => inFolder((folder) => ingest(folder, 'FULL')),
    off: () => inFolder((folder) => ingest(folder, 'OFF')),
    raw: () => inFolder(rawSyncs),
  });
  return [
    full.line('durable ingest', 'perSecond', 'events/s', { target: { atLeast: 150_000 } }),
    off.line('same with synchronous=OFF', 'perSecond', 'events/s'),
    {
      name: 'durable / synchronous=OFF',
      value: ratioOf(full.rounds('perSecond'), off.rounds('perSecond')),
      unit: '×',
      target: { atLeast: 0.3 },
      foreign: full.foreign,
    },
    full.line('commits', 'commits', '/s'),
    raw.line('raw syncs of the disk', 'perSecond', '/s'),
    full.line('commit p99', 'commitP99', 'ms'),
    full.line('CPU of an event', 'micros', 'µs'),
  ];
}
