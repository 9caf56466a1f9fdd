import test from 'ava';
import { EventBus } from '../../../src/kernel/event-bus.ts';
import { Jobs } from '../../../src/kernel/jobs.ts';
import { ModuleHost } from '../../../src/kernel/module-host.ts';
import { TenantContexts } from '../../../src/kernel/tenant-context.ts';
import { deviceId, pointId, tenantId } from '../../../src/model/ids.ts';
import type { Notes } from '../../../src/model/notes.ts';
import type { Quality, Reading } from '../../../src/model/reading.ts';
import { SummaryModule } from '../../../src/modules/summary-module.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function reading(device: string, quality: Quality): Reading {
  return {
    point: pointId(deviceId(device), 'power'),
    device: deviceId(device),
    tenant: tenantId('acme'),
    lane: 'live',
    time: 0,
    value: quality === 'bad' ? null : 0,
    quality,
    ...(quality !== 'good' && { reason: 'timeout' as const }),
  };
}

async function open() {
  const clock = new ManualClock({ wall: Date.UTC(2026, 10, 20, 9, 0, 0) });
  const summaries: Readonly<Record<string, number>>[] = [];
  const notes = {
    summary: (facts) => void summaries.push(facts),
    listenerFailed: () => {},
    moduleFailed: () => {},
    jobFailed: () => {},
  } satisfies Partial<Notes> as Partial<Notes> as Notes;
  const conditions = { raise: () => {}, clear: () => {} };
  const bus = new EventBus(notes);
  const jobs = new Jobs({ clock, notes, conditions });
  const host = new ModuleHost([new SummaryModule()], {
    bus,
    jobs,
    notes,
    clock,
    conditions,
    tenants: new TenantContexts([]),
  });
  await jobs.start();
  await host.start();
  return { clock, bus, host, jobs, summaries };
}

test('what was committed in an hour is told once, by quality and device', async (t) => {
  const { clock, bus, summaries } = await open();
  bus.emit('readings-committed', [reading('a', 'good'), reading('a', 'bad'), reading('b', 'bad')]);
  bus.emit('readings-committed', [reading('c', 'uncertain')]);
  await clock.pass(6 * 60_000);
  t.deepEqual(summaries, [
    {
      minutes: 5,
      readings: 4,
      good: 1,
      uncertain: 1,
      bad: 2,
      devices: 3,
      devicesWithBad: 2,
      devicesOnlyBad: 1,
    },
  ]);

  await clock.pass(60 * 60_000);
  t.is(summaries.length, 2);
  t.like(summaries[1], { minutes: 60, readings: 0, devices: 0 });
});

test('the last part of an hour is told at the stop, and nothing is counted after it', async (t) => {
  const { bus, host, jobs, summaries } = await open();
  bus.emit('readings-committed', [reading('a', 'good')]);
  await host.close();
  bus.emit('readings-committed', [reading('a', 'good')]);
  await host.close();
  await jobs.close();
  t.is(summaries.length, 1);
  t.like(summaries[0], { readings: 1 });
});
