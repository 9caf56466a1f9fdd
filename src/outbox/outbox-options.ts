import type { Worker } from 'node:worker_threads';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { GatewayId } from '../model/ids.ts';
import type { UnsafeOptions } from '../sqlite/open-database.ts';
import type { OutboxNotes } from './outbox-reports.ts';
import type { LogOptions, OutboxLimits } from './worker-messages.ts';

/** What the outbox needs of its surroundings. */
export interface DurableOutboxOptions {
  readonly path: string;
  readonly gateway: GatewayId;
  readonly clock: Clock;
  readonly notes: OutboxNotes;
  readonly conditions: ConditionReporter;
  readonly limits: OutboxLimits;
  /** Those whose acks retention waits for; the backlog of the first is what stats() shows. */
  readonly consumers: readonly string[];
  /** How long to wait for a predecessor to let go of the file. */
  readonly lockWaitMs?: number;
  /** Tests replace it. */
  readonly machineIdPath?: string;
  /** Tests replace it. */
  readonly startWorker?: (options: LogOptions) => Worker;
  /** Only for benchmarks and for tests that must see a loss; no setting leads here. */
  readonly unsafe?: UnsafeOptions;
}
