import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { ConditionCode, ConditionReporter } from '../../src/model/condition.ts';
import { gatewayId, tenantId } from '../../src/model/ids.ts';
import type { NewBatch, StoredBatch } from '../../src/model/outbox.ts';
import { DurableOutbox, type DurableOutboxOptions } from '../../src/outbox/durable-outbox.ts';
import { silentNotes } from './silent-notes.ts';

/** The tenant that batches of batchOf() belong to. */
export const acme = tenantId('acme');

/** Budgets that no test reaches by accident. */
export const wideLimits = {
  maxBytes: 256 * 1024 * 1024,
  retainBytes: 64 * 1024 * 1024,
  retainHours: 24,
  maxAgeHours: 24 * 30,
};

/** A folder that is removed after the test. */
export function temporaryFolder(t: ExecutionContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-outbox-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Conditions that remember what is raised at present. */
export class RecordedConditions implements ConditionReporter {
  readonly raised = new Map<ConditionCode, string>();

  raise(code: ConditionCode, _subject: string, text: string): void {
    this.raised.set(code, text);
  }

  clear(code: ConditionCode): void {
    this.raised.delete(code);
  }
}

/** An outbox that is not started yet; closed after the test. */
export function newOutbox(
  t: ExecutionContext,
  options: Partial<DurableOutboxOptions> & { readonly path: string },
): DurableOutbox {
  const outbox = new DurableOutbox({
    gateway: gatewayId('gw-1'),
    clock: new SystemClock('boot-1'),
    notes: silentNotes(),
    conditions: new RecordedConditions(),
    limits: wideLimits,
    consumers: ['uplink'],
    lockWaitMs: 200,
    ...options,
  });
  t.teardown(() => outbox.close());
  return outbox;
}

/** A started outbox in a folder of its own. */
export async function openOutbox(
  t: ExecutionContext,
  options: Partial<DurableOutboxOptions> = {},
): Promise<DurableOutbox> {
  const outbox = newOutbox(t, {
    path: path.join(temporaryFolder(t), 'outbox.db'),
    ...options,
  });
  await outbox.start(new AbortController().signal);
  return outbox;
}

/** A batch of n readings; `mark` tells it from others and makes its data as long as wanted. */
export function batchOf(n: number, mark = '', more: Partial<NewBatch> = {}): NewBatch {
  return {
    tenant: acme,
    lane: 'live',
    type: 'riser.readings.v1',
    n,
    time: Date.UTC(2026, 10, 20, 9, 41, 0, 120),
    data: JSON.stringify({ n, mark }),
    correlationId: 'c-1',
    ...more,
  };
}

/** The envelope of a batch as an object. */
export function envelopeOf(batch: StoredBatch): {
  readonly id: string;
  readonly type: string;
  readonly sequence: string;
  readonly source: string;
  readonly data: { readonly n: number; readonly mark?: string; readonly reason?: string };
} {
  return JSON.parse(Buffer.from(batch.body).toString('utf8'));
}

/** Everything that a consumer can read of a stream. */
export async function readAll(
  outbox: DurableOutbox,
  sid: number,
  consumer = 'uplink',
  after = 0,
): Promise<readonly StoredBatch[]> {
  const all: StoredBatch[] = [];
  for (let from = after; ; ) {
    const batches = await outbox.read(consumer, sid, from, { batches: 100, bytes: 1024 * 1024 });
    const last = batches.at(-1);
    if (last === undefined) return all;
    all.push(...batches);
    from = last.sequence + last.n - 1;
  }
}
