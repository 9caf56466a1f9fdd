import { SimulatedSite } from '../../plugins/simulator/site.ts';
import { standaloneRuntime } from '../../plugins/simulator/standalone.ts';
import type { TestSite } from './gateway-process.ts';

export interface CounterSiteShape {
  /** TCP endpoints, one link each. */
  readonly links: number;
  /** Units behind each. */
  readonly unitsPerLink: number;
  /** Holding registers of each unit, one point each. */
  readonly registers: number;
  readonly intervalMs: number;
  readonly uplinkUrl: string;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Points that all units of a shape have together. */
export function pointsOf({ links, unitsPerLink, registers }: CounterSiteShape): number {
  return links * unitsPerLink * registers;
}

/**
 * Simulated units whose every register is a rising counter, for tests and benches that want many
 * readings and no deadband. Resolves with the way to close them.
 */
export async function openCounterUnits(
  shape: CounterSiteShape,
): Promise<{ readonly ports: readonly number[]; readonly close: () => Promise<void> }> {
  const site = new SimulatedSite(
    {
      listeners: Array.from({ length: shape.links }, () => ({
        port: 0,
        units: Array.from({ length: shape.unitsPerLink }, (_, n) => ({
          unit: n + 1,
          model: 'counter' as const,
        })),
      })),
    },
    standaloneRuntime(),
  );
  await site.open(AbortSignal.timeout(10_000));
  const ports = [...new Set(site.endpoints().map(({ port }) => port))];
  return { ports, close: () => site.close() };
}

/** Writes the configuration that polls them. */
export function writeCounterSite(
  site: Pick<TestSite, 'write'>,
  shape: CounterSiteShape,
  ports: readonly number[],
): void {
  const { registers, unitsPerLink, intervalMs, uplinkUrl, settings = {} } = shape;
  site.write('riser.yaml', {
    gateway: { id: 'gw-test', tenant: 'acme' },
    uplink: { url: uplinkUrl },
    ...settings,
  });
  site.write('tenants.d/tenants.yaml', { schema: 'riser.tenants/1', tenants: [{ id: 'acme' }] });
  site.write('links.d/links.yaml', {
    schema: 'riser.links/1',
    links: ports.map((port, n) => ({
      id: `net-${n}`,
      driver: 'modbus-tcp',
      config: { host: '127.0.0.1', port },
    })),
  });
  site.write('devices.d/devices.yaml', {
    schema: 'riser.devices/1',
    devices: ports.flatMap((_, n) =>
      Array.from({ length: unitsPerLink }, (__, u) => ({
        id: `unit-${n}-${u + 1}`,
        tenant: 'acme',
        link: `net-${n}`,
        profile: 'test.counter',
        address: { unit: u + 1 },
      })),
    ),
  });
  site.write('profiles.d/test-counter.yaml', counterProfile(registers, intervalMs));
}

function counterProfile(registers: number, intervalMs: number): object {
  return {
    schema: 'riser.profile/1',
    id: 'test.counter',
    version: '1.0.0',
    kind: 'modbus',
    device: { manufacturer: 'Riser', models: ['counter unit'], category: 'simulator' },
    sources: [{ title: 'plugins/simulator, model counter' }],
    groups: { fast: { intervalMs } },
    defaults: { table: 'holding', type: 'uint16', group: 'fast' },
    points: Array.from({ length: registers }, (_, n) => ({ id: `r${n}`, addr: n })),
    tests: [{ name: 'first register', raw: { holding: { '0x0000': '0007' } }, expect: { r0: 7 } }],
  };
}
