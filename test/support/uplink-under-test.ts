import type { ExecutionContext } from 'ava';
import { ConditionBook } from '../../src/kernel/conditions.ts';
import { EventBus } from '../../src/kernel/event-bus.ts';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { Clock } from '../../src/model/clock.ts';
import type { LatestValue } from '../../src/model/field.ts';
import { gatewayId, type TenantId, tenantId } from '../../src/model/ids.ts';
import type { Outbox } from '../../src/model/outbox.ts';
import type { SecretRef, Settings } from '../../src/model/site.ts';
import { connectorLimits } from '../../src/uplink/connector.ts';
import { publisherLimits } from '../../src/uplink/publisher-limits.ts';
import type { ConnectionLimits } from '../../src/uplink/tenant-connection.ts';
import { Uplink } from '../../src/uplink/uplink.ts';
import { MemoryOutbox } from './memory-outbox.ts';
import { countingNotes } from './silent-notes.ts';

export const gateway = gatewayId('gw-test');
export const acme: TenantId = tenantId('acme');

type UplinkSettings = Settings['uplink'];

export interface Setup {
  readonly settings?: Partial<Omit<UplinkSettings, 'tls'>> & {
    tls?: Partial<UplinkSettings['tls']>;
  };
  readonly tenants?: readonly TenantId[];
  readonly outbox?: Outbox;
  readonly clock?: Clock;
  readonly latest?: () => Iterable<LatestValue>;
  readonly resolveSecret?: (ref: SecretRef) => Promise<string>;
  readonly brokerUrl?: string;
  readonly limits?: {
    readonly connector?: Partial<ConnectionLimits['connector']>;
    readonly publisher?: Partial<ConnectionLimits['publisher']>;
  };
}

export function uplinkSettings(url: string, changes: Setup['settings'] = {}): UplinkSettings {
  const { tls, ...rest } = changes;
  return {
    url,
    username: '',
    password: null,
    protocol: 'auto',
    ack: 'auto',
    window: 16,
    keepaliveS: 30,
    lastValuesS: 0,
    ...rest,
    tls: { ca: '', certificate: '', key: null, serverName: '', ...tls },
  };
}

/** An uplink with everything around it, its waits made short; closed with the test. */
export async function uplinkUnderTest(t: ExecutionContext, url: string, setup: Setup = {}) {
  const { notes, calls } = countingNotes();
  const bus = new EventBus(notes);
  const clock = setup.clock ?? new SystemClock('boot-1');
  const conditions = new ConditionBook({ clock, bus, notes });
  const outbox = setup.outbox ?? new MemoryOutbox(gateway);
  const tenants = (setup.tenants ?? [acme]).map((id) => ({ id }));
  const uplink = new Uplink({
    gateway,
    version: '0.0.0',
    tenants,
    settings: uplinkSettings(url, setup.settings),
    outbox,
    clock,
    notes,
    conditions,
    bus,
    resolveSecret: setup.resolveSecret ?? (async () => 'secret'),
    latest: setup.latest ?? (() => []),
    ...(setup.brokerUrl === undefined ? {} : { brokerUrl: () => setup.brokerUrl }),
    limits: {
      backoff: { minMs: 20, maxMs: 100 },
      settleMs: 20,
      closeMs: 500,
      connector: {
        ...connectorLimits,
        dialMs: 2_000,
        connackMs: 2_000,
        ...setup.limits?.connector,
      },
      publisher: {
        ...publisherLimits,
        retryMinMs: 20,
        retryMaxMs: 200,
        ...setup.limits?.publisher,
      },
    },
  });
  t.teardown(async () => {
    await uplink.close();
    conditions.close();
  });
  await uplink.start();
  return { uplink, outbox: outbox as MemoryOutbox, conditions, calls, bus, tenants };
}

/** Resolves when something is so. */
export async function until(what: () => boolean, limitMs = 15_000): Promise<void> {
  const giveUpAt = performance.now() + limitMs;
  while (!what()) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
