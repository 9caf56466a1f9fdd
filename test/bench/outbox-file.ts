import path from 'node:path';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { ConditionReporter } from '../../src/model/condition.ts';
import { gatewayId, tenantId } from '../../src/model/ids.ts';
import type { NewBatch } from '../../src/model/outbox.ts';
import { DurableOutbox } from '../../src/outbox/durable-outbox.ts';
import type { OutboxNotes } from '../../src/outbox/outbox-reports.ts';

/** Readings in a batch of the benches. */
export const eventsPerBatch = 100;
/** Batches that wait for the disk at any time: enough to fill a group, few enough to be real. */
const inFlight = 64;
const bodies = 200;
const silent = new Proxy({} as OutboxNotes & ConditionReporter, { get: () => () => {} });
const points = JSON.stringify(Array.from({ length: 40 }, (_, k) => `ahu-${k}/supply.temp`));

/** Readings as the recorder encodes them: 40 points with noise. */
function readings(i: number): string {
  const rows: string[] = [];
  for (let k = 0; k < eventsPerBatch; k += 1) {
    rows.push(`[${k % 40},${k * 3},${(20 + (((i + k) * 7919) % 997) / 100).toFixed(2)}]`);
  }
  return `{"n":${eventsPerBatch},"t0":1795167660120,"points":${points},"r":[${rows.join(',')}]}`;
}

const data = Array.from({ length: bodies }, (_, i) => readings(i));

/** A batch of 100 readings of tenant acme. */
export function batchOf(count: number): NewBatch {
  return {
    tenant: tenantId('acme'),
    lane: 'live',
    type: 'riser.readings.v1',
    n: eventsPerBatch,
    time: 1_795_167_660_120,
    data: data[count % bodies] ?? '',
    correlationId: `c-${count}`,
  };
}

/** The outbox of gateway gw-test in a folder, as the gateway opens it. */
export async function openOutbox(
  folder: string,
  synchronous: 'FULL' | 'OFF' = 'FULL',
): Promise<DurableOutbox> {
  const outbox = new DurableOutbox({
    path: path.join(folder, 'outbox.db'),
    gateway: gatewayId('gw-test'),
    clock: new SystemClock('bench'),
    notes: silent,
    conditions: silent,
    limits: { maxBytes: 2 ** 30, retainBytes: 2 ** 26, retainHours: 24, maxAgeHours: 720 },
    consumers: ['uplink'],
    ...(synchronous === 'OFF' ? { unsafe: { synchronous } } : {}),
  });
  await outbox.start(new AbortController().signal);
  return outbox;
}

/** Appends batches, many waiting at a time, while `more` says so. Resolves with their number. */
export async function feed(
  outbox: DurableOutbox,
  more: (count: number) => boolean,
): Promise<number> {
  let count = 0;
  const append = async () => {
    while (more(count)) {
      count += 1;
      await outbox.append([batchOf(count)]);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, append));
  return count;
}

/** Leaves a backlog of so many events in a state folder. */
export async function fillOutbox(folder: string, events: number): Promise<void> {
  const outbox = await openOutbox(folder);
  await feed(outbox, (count) => count < events / eventsPerBatch);
  await outbox.close();
}
