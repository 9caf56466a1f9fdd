import { setImmediate } from 'node:timers/promises';
import test from 'ava';
import { EventBus } from '../../../src/kernel/event-bus.ts';
import type { GatewayModule, ModuleContext } from '../../../src/kernel/module-context.ts';
import { ModuleHost } from '../../../src/kernel/module-host.ts';
import { TenantContexts } from '../../../src/kernel/tenant-context.ts';
import type { Notes } from '../../../src/model/notes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

class Probe implements GatewayModule {
  readonly name: string;
  readonly calls: string[] = [];
  context: ModuleContext | undefined;
  change: Partial<GatewayModule> = {};

  constructor(name = 'probe') {
    this.name = name;
  }

  onInit(context: ModuleContext) {
    this.calls.push('init');
    this.context = context;
    return this.change.onInit?.(context);
  }

  onEnable() {
    this.calls.push('enable');
    return this.change.onEnable?.();
  }

  onDisable() {
    this.calls.push('disable');
    return this.change.onDisable?.();
  }

  onHealthCheck() {
    this.calls.push('health');
    return this.change.onHealthCheck?.() ?? ({ ok: true } as const);
  }
}

function open(...modules: readonly GatewayModule[]) {
  const clock = new ManualClock();
  const failed: string[] = [];
  const conditions = new Set<string>();
  const scheduled = new Set<string>();
  const bus = new EventBus({ listenerFailed: () => {} });
  const host = new ModuleHost(modules, {
    bus,
    clock,
    tenants: new TenantContexts([]),
    jobs: {
      schedule: (name) => {
        scheduled.add(name);
        return () => scheduled.delete(name);
      },
    },
    notes: {
      moduleFailed: ({ module, phase }) => failed.push(`${module} ${phase}`),
    } as Partial<Notes> as Notes,
    conditions: {
      raise: (_, subject) => void conditions.add(subject),
      clear: (_, subject) => void conditions.delete(subject),
    },
    retry: { minMs: 1_000, maxMs: 60_000, random: () => 0 },
  });
  const states = () => host.status().map(({ state }) => state);
  return { host, clock, bus, failed, conditions, scheduled, states };
}

const never = () => new Promise<never>(() => {});

test('a module is initialised, enabled, asked for its health, and disabled', async (t) => {
  const probe = new Probe();
  const { host, clock, states } = open(probe);
  await host.start();
  t.deepEqual(states(), ['enabled']);
  await clock.pass(30_000);
  await host.close();
  await host.close();
  t.deepEqual(probe.calls, ['init', 'enable', 'health', 'disable']);
  t.deepEqual(states(), ['disabled']);
  t.is(clock.pending, 0);
});

test('a module that throws at its start does not disturb the others and is tried again', async (t) => {
  const broken = new Probe('broken');
  broken.change = {
    onEnable: () => {
      throw new Error('no');
    },
  };
  const fine = new Probe('fine');
  const { host, clock, conditions, failed, states } = open(broken, fine);
  await host.start();
  t.deepEqual(states(), ['failed', 'enabled']);
  t.deepEqual([...conditions], ['broken']);
  t.deepEqual(failed, ['broken onEnable']);

  broken.change = {};
  await clock.pass(1_000);
  t.deepEqual(states(), ['enabled', 'enabled']);
  t.deepEqual([...conditions], []);
  t.deepEqual(broken.calls, ['init', 'enable', 'disable', 'init', 'enable']);
});

for (const phase of ['onInit', 'onEnable', 'onHealthCheck'] as const) {
  test(`a module that hangs in ${phase} is given up and disabled`, async (t) => {
    const probe = new Probe();
    const { host, clock, states, failed } = open(probe);
    probe.change = { [phase]: never };
    const started = host.start();
    await clock.pass(phase === 'onHealthCheck' ? 32_000 : 10_000);
    await started;
    t.deepEqual(states(), ['failed']);
    t.true(failed.includes(`probe ${phase}`));
    t.true(host.status()[0]!.detail!.includes(`${phase} failed`));
  });
}

test('a listener that throws disables its module at once, and what the context gave is gone', async (t) => {
  const probe = new Probe();
  const { host, clock, bus, failed, scheduled, states } = open(probe);
  let heard = 0;
  probe.change = {
    onInit: (context) => {
      context.jobs.schedule('hourly', '5 * * * *', async () => {});
      context.bus.on('config-applied', () => {
        heard += 1;
        throw new Error('no');
      });
    },
  };
  await host.start();
  t.deepEqual([...scheduled], ['probe/hourly']);
  const first = probe.context!;

  bus.emit('config-applied', 'r1');
  bus.emit('config-applied', 'r2');
  await setImmediate();
  t.is(heard, 1);
  t.true(first.signal.aborted);
  t.deepEqual([...scheduled], []);
  t.deepEqual(states(), ['failed']);
  t.deepEqual(failed, ['probe listener']);

  await clock.pass(1_000);
  t.deepEqual(states(), ['enabled']);
  t.deepEqual([...scheduled], ['probe/hourly']);
  // What is asked for through a context that has ended is not given.
  first.bus.on('config-applied', () => t.fail());
  first.jobs.schedule('late', '* * * * *', async () => {});
  t.deepEqual([...scheduled], ['probe/hourly']);
});

test('a module that says it is not well is shown as such and left running', async (t) => {
  const probe = new Probe();
  const { host, conditions, states } = open(probe);
  await host.start();
  probe.change = { onHealthCheck: () => ({ ok: false, text: 'no meter' }) };
  await host.checkHealth();
  t.deepEqual(states(), ['enabled']);
  t.deepEqual([...conditions], ['probe']);
  t.is(host.status()[0]!.detail, 'no meter');

  probe.change = {};
  await host.checkHealth();
  t.deepEqual([...conditions], []);
  await host.close();
});

test('a module that keeps failing is tried at growing intervals', async (t) => {
  const probe = new Probe();
  probe.change = { onInit: () => Promise.reject(new Error('no')) };
  const clock = new ManualClock();
  const waits: number[] = [];
  const host = new ModuleHost([probe], {
    bus: { on: () => () => {} },
    clock: Object.assign(Object.create(clock) as ManualClock, {
      monotonic: () => clock.monotonic(),
      setTimeout: (fn: () => void, ms: number) => {
        if (ms < 10_000) waits.push(ms);
        return clock.setTimeout(fn, ms);
      },
    }),
    tenants: new TenantContexts([]),
    jobs: { schedule: () => () => {} },
    notes: { moduleFailed: () => {} } as Partial<Notes> as Notes,
    conditions: { raise: () => {}, clear: () => {} },
    retry: { minMs: 1_000, maxMs: 8_000, random: () => 0.999_999 },
  });
  await host.start();
  await clock.pass(30_000);
  await host.close();
  t.deepEqual(waits.slice(0, 5), [1_000, 2_000, 4_000, 8_000, 8_000]);
});
