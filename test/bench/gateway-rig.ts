import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type CounterSiteShape, writeCounterSite } from '../support/counter-site.ts';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';
import type { Mosquitto } from '../support/mosquitto.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import type { BenchScope } from './bench-scope.ts';
import { PeerProcess } from './peer-process.ts';

const counterUnits = fileURLToPath(new URL('counter-units.ts', import.meta.url));

export type RigShape = Omit<CounterSiteShape, 'uplinkUrl'>;

/** Simulated units in a process of their own, and a broker; who polls them comes later. */
export interface Field {
  readonly ports: readonly number[];
  readonly units: PeerProcess;
  readonly broker: Mosquitto;
  /** Requests that the units have answered. */
  answered(): Promise<number>;
}

/** Starts units and broker; they end with the scope. */
export async function startField(scope: BenchScope, shape: RigShape): Promise<Field> {
  // Without it what the broker sends may wait 40 ms for the receiver's delayed ACK.
  const broker = await startMosquitto({ config: ['set_tcp_nodelay true'] });
  scope.teardown(() => broker.stop());
  const { links, unitsPerLink } = shape;
  const args = [counterUnits, String(links), String(unitsPerLink)];
  const units = new PeerProcess(scope, process.execPath, args);
  const ports = JSON.parse(await units.line()) as number[];
  return { ports, units, broker, answered: async () => Number(await units.ask('')) };
}

/** A gateway that polls the units and has delivered from them, with its files in /tmp. */
export async function startGateway(
  scope: BenchScope,
  { ports, broker }: Field,
  shape: RigShape,
  env: NodeJS.ProcessEnv = {},
): Promise<GatewayProcess> {
  const site = new TestSite(scope);
  const settings = { log: { level: 'warn' }, ...shape.settings };
  writeCounterSite(
    site,
    { ...shape, settings, uplinkUrl: `mqtt://127.0.0.1:${broker.port}` },
    ports,
  );
  const gateway = new GatewayProcess(scope, site, env);
  await gateway.start(60_000);
  await gateway.until(({ uplinks }) => (uplinks[0]?.acked ?? 0) > 0, 60_000);
  return gateway;
}

/** Events that the broker has acked. */
export async function acked(gateway: GatewayProcess): Promise<number> {
  return (await gateway.status()).uplinks.reduce((sum, uplink) => sum + uplink.acked, 0);
}
