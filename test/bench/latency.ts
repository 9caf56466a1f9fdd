import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { findPeer } from '../support/find-peer.ts';
import { type BenchResult, percentile } from './bench-result.ts';
import { type BenchScope, inScope } from './bench-scope.ts';
import { type RigShape, startField, startGateway } from './gateway-rig.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'latency';
export const description =
  '5 000 readings/s: from the acquisition of a reading to its arrival at a subscriber of the broker';

const settleMs = 2_000;
const measureMs = 10_000;
const mostSamples = 200_000;
const shape: RigShape = { links: 2, unitsPerLink: 5, registers: 100, intervalMs: 200 };

interface ReadingsEvent {
  readonly type: string;
  readonly data: { readonly t0: number; readonly r: readonly (readonly [number, number])[] };
}

/** Ages of readings on arrival, by the one clock of the machine, in milliseconds. */
class Arrivals {
  readonly #ages = new Float64Array(mostSamples);
  #count = 0;

  take(payload: Buffer): void {
    const now = performance.timeOrigin + performance.now();
    const { type, data } = JSON.parse(payload.toString()) as ReadingsEvent;
    if (type !== 'riser.readings.v1') return;
    for (const [, offset] of data.r) {
      if (this.#count === mostSamples) return;
      this.#ages[this.#count] = now - data.t0 - offset;
      this.#count += 1;
    }
  }

  clear(): void {
    this.#count = 0;
  }

  get ages(): Float64Array {
    return this.#ages.slice(0, this.#count);
  }
}

async function subscribe(scope: BenchScope, port: number): Promise<Arrivals> {
  const arrivals = new Arrivals();
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  scope.teardown(() => client.endAsync(true));
  client.on('message', (_topic, payload) => arrivals.take(payload));
  await client.subscribeAsync('riser/1/acme/gw-test/live', { qos: 0 });
  return arrivals;
}

async function measure(lingerLiveMs: number): Promise<Figures> {
  return await inScope(async (scope) => {
    const field = await startField(scope, shape);
    const settings = { outbox: { lingerLiveMs } };
    const gateway = await startGateway(scope, field, { ...shape, settings });
    const arrivals = await subscribe(scope, field.broker.port);
    await delay(settleMs);
    arrivals.clear();
    return await watched(async () => {
      const begun = performance.now();
      await delay(measureMs);
      const { ages } = arrivals;
      const { outbox } = await gateway.status();
      return {
        p50: percentile(ages, 0.5),
        p99: percentile(ages, 0.99),
        perSecond: (ages.length * 1_000) / (performance.now() - begun),
        commitP50: outbox.commitP50Ms,
        commitP99: outbox.commitP99Ms,
      };
    });
  });
}

export async function run(): Promise<readonly BenchResult[]> {
  if (findPeer('mosquitto') === undefined) {
    return [{ name: 'reading to subscriber', unit: 'ms', note: 'mosquitto is not installed' }];
  }
  const { at0, at100 } = await interleaved({ at0: () => measure(0), at100: () => measure(100) });
  return [
    at0.line('linger 0: reading → subscriber p50', 'p50', 'ms'),
    at0.line('linger 0: reading → subscriber p99', 'p99', 'ms', { target: { atMost: 10 } }),
    at0.line('linger 0: commit p50', 'commitP50', 'ms'),
    at0.line('linger 0: commit p99', 'commitP99', 'ms'),
    at0.line('linger 0: readings', 'perSecond', '/s'),
    at100.line('linger 100: reading → subscriber p50', 'p50', 'ms'),
    at100.line('linger 100: reading → subscriber p99', 'p99', 'ms', { target: { atMost: 120 } }),
    at100.line('linger 100: commit p99', 'commitP99', 'ms'),
    at100.line('linger 100: readings', 'perSecond', '/s'),
  ];
}
