import type { ExecutionContext } from 'ava';
import type { Fault } from '../faults/fault.ts';
import type { LinkConfig, ListenerConfig, UnitConfig } from '../link-config.ts';
import type { Runtime } from '../server/runtime.ts';
import { SimulatedSite } from '../site.ts';
import { standaloneRuntime } from '../standalone.ts';
import { RawClient } from './raw-client.ts';

/** A site that the test closes by itself. */
export async function openSite(
  t: ExecutionContext,
  config: LinkConfig,
  runtime: Runtime = standaloneRuntime(),
): Promise<SimulatedSite> {
  const site = new SimulatedSite(config, runtime);
  t.teardown(() => site.close());
  await site.open(AbortSignal.timeout(5000));
  return site;
}

/** A site with one listener, its port, and a raw client on it. */
export async function openListener(
  t: ExecutionContext,
  listener: Omit<ListenerConfig, 'port'>,
  runtime?: Runtime,
): Promise<{ site: SimulatedSite; port: number; client: RawClient }> {
  const site = await openSite(t, { listeners: [{ port: 0, ...listener }] }, runtime);
  const [endpoint] = site.endpoints();
  if (endpoint === undefined) throw new Error('a listener without units has no endpoint to show');
  const { port } = endpoint;
  const client = await RawClient.open(port);
  t.teardown(() => client.close());
  return { site, port, client };
}

/** A unit of model image: holding 0…15 hold 0x1000 + address, coils 0…7 are on in turn. */
export function imageUnit(unit: number, ...faults: Fault[]): UnitConfig {
  const words = Array.from({ length: 16 }, (_, n) => (0x1000 + n).toString(16).padStart(4, '0'));
  return {
    unit,
    model: 'image',
    image: {
      holding: { '0': words.join(' ') },
      input: { '0x0100': '4366 3333' },
      coil: { '0': 1, '1': 0, '2': 1, '3': 0, '4': 1, '5': 0, '6': 1, '7': 0 },
      discrete: { '0': 0, '1': 1 },
    },
    faults,
  };
}
