import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';

/** A simulated device of the demo: what its values may be follows from model and seed. */
export interface DemoDevice {
  readonly id: string;
  readonly model: 'meter' | 'pump';
  readonly seed: number;
  readonly title: string;
  readonly faults?: readonly object[];
}

/** Three devices; the last one misbehaves on purpose, and none of what it does may become a value. */
export const demoDevices: readonly DemoDevice[] = [
  { id: 'meter', model: 'meter', seed: 7, title: 'Energy meter' },
  { id: 'pump', model: 'pump', seed: 11, title: 'Pump controller' },
  {
    id: 'moody',
    model: 'meter',
    seed: 23,
    title: 'Meter that misbehaves',
    faults: [
      // Answers after the time-out, with registers that are wrong: they must never be taken.
      { kind: 'late', ms: 400, poison: true, every: 7 },
      { kind: 'busy', times: 1, every: 9 },
      { kind: 'wrongTransaction', every: 11 },
      { kind: 'garbage', every: 13 },
      { kind: 'reset', every: 17 },
      // Silent for 4 s in every 12: its values grow old and turn bad, and the others go on.
      { kind: 'sleep', everyMs: 12_000, forMs: 4_000 },
    ],
  },
];

export const demoTenant = 'demo';
export const demoGateway = 'demo';

/** Writes the configuration of the demo into a folder; resolves with the folder of its files. */
export async function writeDemoSite(folder: string, upstream: string | undefined): Promise<string> {
  const config = path.join(folder, 'config');
  for (const name of ['state', 'run']) mkdirSync(path.join(folder, name), { recursive: true });
  const ports = await freePorts(demoDevices.length);
  const write = (name: string, document: object) => {
    const file = path.join(config, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
  };
  write('riser.yaml', {
    gateway: { id: demoGateway, title: 'Demo building', tenant: demoTenant },
    paths: { state: path.join(folder, 'state'), runtime: path.join(folder, 'run') },
    uplink: { url: upstream ?? 'embedded', ack: 'cloud', lastValuesS: 5 },
    broker: { enabled: upstream === undefined, port: 0 },
    http: { port: 0 },
  });
  write('tenants.d/demo.yaml', { schema: 'riser.tenants/1', tenants: [{ id: demoTenant }] });
  write('links.d/demo.yaml', {
    schema: 'riser.links/1',
    links: [
      { id: 'simulated', driver: 'simulator', config: { listeners: listeners(ports) } },
      ...demoDevices.map(({ id }, n) => ({
        id: `${id}-net`,
        driver: 'modbus-tcp',
        config: { host: '127.0.0.1', port: ports[n], timeoutMs: 250 },
      })),
    ],
  });
  write('devices.d/demo.yaml', {
    schema: 'riser.devices/1',
    devices: demoDevices.map(({ id, model, title }) => ({
      id,
      title,
      tenant: demoTenant,
      link: `${id}-net`,
      profile: `riser.sim-${model}`,
      address: { unit: 1 },
    })),
  });
  return config;
}

function listeners(ports: readonly number[]): object[] {
  return demoDevices.map(({ model, seed, faults }, n) => ({
    port: ports[n],
    units: [{ unit: 1, model, seed, ...(faults === undefined ? {} : { faults }) }],
  }));
}

/** Ports that are free now, all different; held open together so that none is given twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(
    servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
  );
  return ports;
}
