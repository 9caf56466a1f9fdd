import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gatewayId } from '../../src/model/ids.ts';
import type { BatchLog } from '../../src/outbox/batch-log.ts';
import { openLog } from '../../src/outbox/open-log.ts';
import type { LogOptions, Moment } from '../../src/outbox/worker-messages.ts';
import { buildShim } from '../../tools/powercut/build-shim.ts';
import { type CrashState, crashStates, readOperations } from '../../tools/powercut/crash-states.ts';
import { wideLimits } from './open-outbox.ts';

const writer = fileURLToPath(new URL('../../tools/powercut/writer.ts', import.meta.url));

/** A clock reading for logs that are opened without a gateway. */
export const someMoment: Moment = { bootId: 'boot-2', monotonic: 0, wall: 0, synced: false };

/** Options for opening a file directly, as the worker does. */
export function logOptions(file: string): LogOptions {
  return {
    path: file,
    gateway: gatewayId('gw-1'),
    limits: wideLimits,
    consumers: ['uplink'],
    machineIdPath: '/nonexistent',
    lockWaitMs: 1_000,
  };
}

/** Numbers from 0 to below 1, the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

/** What the power cuts of one recording did. */
export interface PowerCutResult {
  readonly states: number;
  /** States in which something acknowledged was not there. */
  readonly lossy: number;
  /** States in which the file was found damaged. */
  readonly damaged: number;
  readonly firstLoss?: string;
}

/** Records a writer and opens the outbox in many states that a power cut could have left. */
export function cutPower(
  folder: string,
  options: {
    readonly commits: number;
    readonly states: number;
    readonly seed: number;
    readonly synchronous?: 'NORMAL';
  },
): PowerCutResult {
  mkdirSync(folder, { recursive: true });
  const shim = path.join(folder, 'shim.so');
  buildShim(shim);
  const file = path.join(folder, 'outbox.db');
  const write = (commits: number, env: NodeJS.ProcessEnv) =>
    execFileSync(process.execPath, [writer, file, String(commits), options.synchronous ?? 'FULL'], {
      env: { NODE_COMPILE_CACHE: 'node_modules/.cache/node', ...process.env, ...env },
      stdio: 'pipe',
    });
  // Made beforehand, so that the recording begins with a file that is in WAL mode already: there
  // better-sqlite3 would fall back to NORMAL.
  write(1, {});
  rmSync(`${file}.acks`);
  const initial = path.join(folder, 'initial.db');
  copyFileSync(file, initial);
  write(options.commits, {
    LD_PRELOAD: shim,
    POWERCUT_DB: file,
    POWERCUT_LOG: path.join(folder, 'operations'),
  });
  const operations = readOperations(readFileSync(path.join(folder, 'operations')));
  const random = seededRandom(options.seed);
  let lossy = 0;
  let damaged = 0;
  let firstLoss: string | undefined;
  const crashed = path.join(folder, 'crashed');
  for (const state of crashStates(operations, readFileSync(initial), options.states, random)) {
    const found = inspect(crashed, state);
    if (found === undefined) continue;
    if (found.isDamaged) damaged += 1;
    else lossy += 1;
    firstLoss ??= `cut ${state.cut} of ${operations.length}: ${found.text}`;
  }
  const result = { states: options.states, lossy, damaged };
  return firstLoss === undefined ? result : { ...result, firstLoss };
}

/** Undefined if everything that was acknowledged is there. */
function inspect(
  folder: string,
  state: CrashState,
): { readonly isDamaged: boolean; readonly text: string } | undefined {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const file = path.join(folder, 'outbox.db');
  if (state.database !== undefined) writeFileSync(file, state.database);
  if (state.wal !== undefined) writeFileSync(`${file}-wal`, state.wal);
  // This disk keeps its power: no need to wait for it.
  const options = { ...logOptions(file), unsafe: { synchronous: 'OFF' } as const };
  const { log, quarantined } = openLog(options, someMoment);
  try {
    if (quarantined !== undefined) return { isDamaged: true, text: quarantined.cause };
    const text = missing(log, state.acks);
    return text === undefined ? undefined : { isDamaged: false, text };
  } finally {
    log.db.close();
  }
}

function missing(log: BatchLog, acks: string): string | undefined {
  const promised = new Map<number, number>();
  for (const line of acks.split('\n').filter((each) => each !== '')) {
    const [sid, last] = line.split(' ').map(Number);
    if (sid !== undefined && last !== undefined) promised.set(sid, last);
  }
  for (const [sid, last] of promised) {
    const stream = log.tables.streams.get(sid);
    if (stream === undefined) return `stream ${sid} is gone`;
    if (stream.next <= last) return `stream ${sid} ends at ${stream.next - 1}, promised ${last}`;
    // What is not held any more must have been acked by the consumer, durably.
    if (stream.oldest - 1 > log.tables.cursors.acked('uplink', sid)) {
      return `stream ${sid} begins at ${stream.oldest}, acked ${log.tables.cursors.acked('uplink', sid)}`;
    }
    for (let after = stream.oldest - 1; after < stream.next - 1; ) {
      const { batches, damaged } = log.read({
        consumer: 'check',
        sid,
        after,
        batches: 1_000,
        bytes: 64 * 1024 * 1024,
      });
      const end = batches.at(-1);
      if (end === undefined || damaged.length > 0) return `stream ${sid} has a hole after ${after}`;
      after = end.sequence + end.n - 1;
    }
  }
  return undefined;
}
