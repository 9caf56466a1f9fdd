import test, { type ExecutionContext } from 'ava';
import { EventBus } from '../../../src/kernel/event-bus.ts';
import type { Condition } from '../../../src/model/condition.ts';
import { GatewayEvents } from '../../../src/record/gateway-events.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { countingNotes } from '../../support/silent-notes.ts';

async function bench(t: ExecutionContext, clock: ManualClock) {
  const stored: { readonly type: string; readonly data: object }[] = [];
  const disk = { refuses: false };
  const { notes, calls } = countingNotes();
  const bus = new EventBus(notes);
  const events = new GatewayEvents({
    recorder: {
      event: async (type, data) => {
        if (disk.refuses) throw new Error('no space');
        stored.push({ type, data });
      },
    },
    bus,
    clock,
    notes,
  });
  await events.start();
  t.teardown(() => events.close());
  return { events, bus, stored, disk, calls };
}

const deadDevice: Condition = {
  code: 'device-offline',
  subject: 'meter',
  severity: 'warning',
  title: 'Device offline',
  text: 'meter does not answer',
  remedy: 'Check its power.',
  runbook: 'docs/runbooks/device-offline.md',
  since: 1,
};

test('a clock that is set later is told once, with how far it was set and for which boot', async (t) => {
  const clock = new ManualClock({ wall: 0, synced: false, bootId: 'boot-7' });
  const { stored } = await bench(t, clock);
  await clock.pass(60_000);
  t.deepEqual(stored, []);

  clock.jumpWall(Date.UTC(2026, 10, 20));
  clock.setSynced(true);
  await clock.pass(60_000);
  t.deepEqual(stored, [
    {
      type: 'riser.clock.v1',
      data: { bootid: 'boot-7', offsetMs: Date.UTC(2026, 10, 20) },
    },
  ]);
});

test('a clock that was right from the start is not told', async (t) => {
  const clock = new ManualClock();
  const { stored } = await bench(t, clock);
  clock.jumpWall(5_000);
  await clock.pass(60_000);
  t.deepEqual(stored, []);
});

test('conditions and configurations are told, until the part is closed', async (t) => {
  const { events, bus, stored } = await bench(t, new ManualClock());
  bus.emit('condition-raised', deadDevice);
  bus.emit('condition-cleared', deadDevice);
  bus.emit('config-applied', 'r2');
  await events.close();
  bus.emit('config-applied', 'r3');
  t.deepEqual(
    stored.map(({ type }) => type),
    ['riser.condition.v1', 'riser.condition.v1', 'riser.config.v1'],
  );
  t.like(stored[0]!.data, { state: 'raised', code: 'device-offline', subject: 'meter' });
  t.like(stored[1]!.data, { state: 'cleared', code: 'device-offline' });
  t.deepEqual(stored[2]!.data, { revision: 'r2' });
});

test('an event that cannot be stored is noted, and the next one is stored', async (t) => {
  const clock = new ManualClock();
  const { bus, stored, disk, calls } = await bench(t, clock);
  disk.refuses = true;
  bus.emit('config-applied', 'r2');
  await clock.pass(0);
  t.is(calls.get('partFailed')?.length, 1);

  disk.refuses = false;
  bus.emit('config-applied', 'r3');
  t.is(stored.length, 1);
});
