/**
 * A process with an outbox on a disk that its parent breaks (see tools/powercut/shim.c). Told what to
 * do line by line: `append` once, `retry` until it is stored, `close`.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import { gatewayId } from '../../src/model/ids.ts';
import { DurableOutbox } from '../../src/outbox/durable-outbox.ts';
import { batchOf, RecordedConditions, wideLimits } from './open-outbox.ts';
import { countingNotes } from './silent-notes.ts';

const { notes, calls } = countingNotes();
const outbox = new DurableOutbox({
  path: process.argv[2] ?? '',
  gateway: gatewayId('gw-1'),
  clock: new SystemClock('boot-1'),
  notes,
  conditions: new RecordedConditions(),
  limits: wideLimits,
  consumers: ['uplink'],
});
const tell = (facts: object) => process.stdout.write(`${JSON.stringify(facts)}\n`);
await outbox.start(new AbortController().signal);
tell({ stored: (await outbox.append([batchOf(1, 'first')])).length });

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'append') {
    await outbox.append([batchOf(1, 'refused')]).then(
      () => tell({ code: 'stored' }),
      ({ code, message }: { code: string; message: string }) => tell({ code, message }),
    );
  } else if (line === 'retry') {
    while (!(await outbox.append([batchOf(1, 'retried')]).then(Boolean, () => false))) {
      await delay(20);
    }
    tell({
      stored: (outbox.streams()[0]?.next ?? 0) - 1,
      unavailable: calls.get('outboxUnavailable')?.length,
      recovered: calls.get('outboxRecovered')?.length,
    });
  } else {
    await outbox.close();
    process.exit(0);
  }
}
