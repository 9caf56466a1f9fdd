import { Worker } from 'node:worker_threads';
import type { DurableOutboxOptions } from './outbox-options.ts';
import type { LogOptions } from './worker-messages.ts';

const defaultLockWaitMs = 5_000;
/** Below this nothing useful fits. */
const minFileBytes = 256 * 1024;

/** Starts the thread that will own the database. */
export function startLogWorker(options: DurableOutboxOptions): Worker {
  const { path, gateway, limits, consumers, unsafe, startWorker = newWorker } = options;
  return startWorker({
    path,
    gateway,
    limits: { ...limits, maxBytes: Math.max(minFileBytes, limits.maxBytes) },
    consumers,
    machineIdPath: options.machineIdPath ?? '/etc/machine-id',
    lockWaitMs: options.lockWaitMs ?? defaultLockWaitMs,
    ...(unsafe === undefined ? {} : { unsafe }),
  });
}

function newWorker(options: LogOptions): Worker {
  return new Worker(new URL('./worker.ts', import.meta.url), {
    name: 'outbox',
    workerData: options,
    // Its memory does not depend on the size of the backlog; if it does, that shows here first.
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
  });
}
