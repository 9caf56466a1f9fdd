import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Catalog, loadCatalog } from '../../src/field/catalog.ts';
import type { SupervisionLimits } from '../../src/field/driver-process.ts';
import { Field } from '../../src/field/field.ts';
import type { LinkLimits } from '../../src/field/host/limits.ts';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { Bus } from '../../src/model/bus-events.ts';
import type { Condition, ConditionCode, ConditionReporter } from '../../src/model/condition.ts';
import type { Device, Link } from '../../src/model/device.ts';
import type { RawGroup, RawResult, RecordSink } from '../../src/model/field.ts';
import { deviceId, linkId, pointId, tenantId } from '../../src/model/ids.ts';
import type { Lane } from '../../src/model/lane.ts';
import type { Notes } from '../../src/model/notes.ts';
import type { Opaque } from '../../src/model/point.ts';

/** Folder of the plugins that are made to misbehave. */
export const fakePlugins = join(import.meta.dirname, 'fake-driver-plugins');

/** A record that keeps what it was given, and refuses or stalls when told to. */
export class KeepingSink implements RecordSink {
  readonly results: (RawResult & { readonly device: string })[] = [];
  droppedCount = 0;
  refusals = 0;
  /** While set, accept() waits for it. */
  gate: Promise<void> | undefined;
  refuse = false;

  async accept(groups: readonly RawGroup[]): Promise<void> {
    await this.gate;
    if (this.refuse) {
      this.refusals += 1;
      throw new Error('the outbox is full');
    }
    for (const { device, results } of groups) {
      for (const result of results) this.results.push({ ...result, device });
    }
  }

  dropped(_link: string, count: number): void {
    this.droppedCount += count;
  }

  deviceEvent(): Promise<void> {
    return Promise.resolve();
  }

  of(device: string): readonly RawResult[] {
    return this.results.filter((result) => result.device === device);
  }
}

/** Conditions that are raised at present, as `code subject`. */
export class KeepingConditions implements ConditionReporter {
  readonly texts = new Map<string, string>();
  readonly raised: string[] = [];

  raise(code: ConditionCode, subject: string, text: string): void {
    if (!this.has(code, subject)) this.raised.push(`${code} ${subject}`);
    this.texts.set(`${code} ${subject}`, text);
  }

  clear(code: ConditionCode, subject: string): void {
    this.texts.delete(`${code} ${subject}`);
  }

  has(code: Condition['code'], subject: string): boolean {
    return this.texts.has(`${code} ${subject}`);
  }
}

export interface Noted {
  readonly name: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Notes that are kept in a list. */
export function keepingNotes(): { notes: Notes; noted: Noted[] } {
  const noted: Noted[] = [];
  const notes = new Proxy({} as Notes, {
    get: (_target, name) => (facts: Record<string, unknown>) => {
      noted.push({ name: String(name), facts });
    },
  });
  return { notes, noted };
}

export interface FieldBench {
  readonly field: Field;
  readonly sink: KeepingSink;
  readonly conditions: KeepingConditions;
  readonly noted: Noted[];
  readonly states: string[];
}

/** A field with everything around it; its processes end with the test. */
export function startField(
  t: ExecutionContext,
  options: {
    readonly isolation?: 'process' | 'inline';
    readonly catalog?: Catalog;
    readonly limits?: Partial<SupervisionLimits>;
    readonly linkLimits?: Partial<LinkLimits>;
    readonly heapMb?: number;
    readonly cacheDir?: string;
  } = {},
): FieldBench {
  const sink = new KeepingSink();
  const conditions = new KeepingConditions();
  const { notes, noted } = keepingNotes();
  const states: string[] = [];
  const bus: Bus = {
    on: () => () => undefined,
    emit: (_name, ...args) => {
      states.push(args.join(' '));
    },
  };
  const field = new Field({
    catalog: options.catalog ?? loadCatalog(fakePlugins),
    sink,
    clock: new SystemClock('test-boot'),
    notes,
    conditions,
    bus,
    settings: {
      heapMb: options.heapMb ?? 64,
      isolation: options.isolation ?? 'process',
      ...(options.cacheDir !== undefined && { cacheDir: options.cacheDir }),
    },
    ...(options.limits !== undefined && { limits: options.limits }),
    ...(options.linkLimits !== undefined && { linkLimits: options.linkLimits }),
  });
  t.teardown(() => field.close());
  return { field, sink, conditions, noted, states };
}

export function fakeLink(id: string, driver: string, config: Opaque = {}): Link {
  return { id: linkId(id), driver, config };
}

/** A device with points p0, p1 … in one group. */
export function fakeDevice(
  id: string,
  link: string,
  options: {
    readonly address?: Opaque;
    readonly everyMs?: number;
    readonly points?: number;
    readonly pointAddress?: (n: number) => Opaque;
    readonly lane?: Lane;
  } = {},
): Device {
  const { address = { unit: 1 }, everyMs = 50, points = 2, lane = 'live' } = options;
  return {
    id: deviceId(id),
    tenant: tenantId('acme'),
    link: linkId(link),
    address,
    profileOptions: {},
    groups: [{ name: 'fast', intervalMs: everyMs }],
    points: Array.from({ length: points }, (_, n) => ({
      id: pointId(deviceId(id), `p${n}`),
      name: `p${n}`,
      device: deviceId(id),
      tenant: tenantId('acme'),
      class: 'measurement' as const,
      lane,
      group: 'fast',
      address: options.pointAddress?.(n) ?? { addr: n },
    })),
  };
}

/** Waits until something is true; fails the test when it does not become so in time. */
export async function eventually(
  t: ExecutionContext,
  what: string,
  isSo: () => boolean,
  ms = 20_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!isSo()) {
    if (performance.now() > end) {
      t.fail(`${what} did not happen within ${ms} ms`);
      return;
    }
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
  }
  t.pass();
}
