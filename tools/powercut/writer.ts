/**
 * The process whose power is cut: appends to an outbox, acks some of it, and writes to
 * `<path>.acks` what append() has resolved for. `node writer.ts PATH COMMITS [NORMAL|OFF]`
 */
import { appendFileSync, closeSync, openSync, writeSync } from 'node:fs';
import process from 'node:process';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { ConditionReporter } from '../../src/model/condition.ts';
import { gatewayId, tenantId } from '../../src/model/ids.ts';
import type { Lane } from '../../src/model/lane.ts';
import { DurableOutbox } from '../../src/outbox/durable-outbox.ts';
import type { OutboxNotes } from '../../src/outbox/outbox-reports.ts';

const [, , path = '', commits = '200', synchronous] = process.argv;
const silent = new Proxy({} as OutboxNotes & ConditionReporter, { get: () => () => {} });

const outbox = new DurableOutbox({
  path,
  gateway: gatewayId('gw-1'),
  clock: new SystemClock('boot-1'),
  notes: silent,
  conditions: silent,
  limits: { maxBytes: 4 * 1024 * 1024, retainBytes: 64 * 1024, retainHours: 1, maxAgeHours: 1 },
  consumers: ['uplink'],
  ...(synchronous === 'NORMAL' || synchronous === 'OFF' ? { unsafe: { synchronous } } : {}),
});
await outbox.start(new AbortController().signal);
// One line each: sid, last sequence that append() has resolved for.
const acks = openSync(`${path}.acks`, 'a');
const lanes: readonly Lane[] = ['live', 'live', 'bulk', 'alarm'];
for (let i = 0; i < Number(commits); i += 1) {
  const n = 1 + (i % 20);
  const mark = String(i).repeat(10 + (i % 60));
  const committed = await outbox.append([
    {
      tenant: tenantId('acme'),
      lane: lanes[i % lanes.length] ?? 'live',
      type: 'riser.readings.v1',
      n,
      time: 1_795_167_660_000 + i,
      data: JSON.stringify({ n, mark }),
      correlationId: `c-${i}`,
    },
  ]);
  for (const { sid, sequence } of committed) {
    writeSync(acks, `${sid} ${sequence + n - 1}\n`);
    if (i % 3 === 0) outbox.ack('uplink', sid, sequence + n - 1);
  }
}
closeSync(acks);
await outbox.close();
appendFileSync(`${path}.done`, 'done\n');
