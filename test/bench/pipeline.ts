import { setTimeout as delay } from 'node:timers/promises';
import { pointsOf } from '../support/counter-site.ts';
import { findPeer } from '../support/find-peer.ts';
import type { BenchResult } from './bench-result.ts';
import { inScope } from './bench-scope.ts';
import { acked, type RigShape, startField, startGateway } from './gateway-rig.ts';
import { cpuSecondsOf, threadCpuSeconds, treeOf } from './process-tree.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'pipeline';
export const description =
  'Modbus TCP poll → commit → broker ack, as many points as it takes (Node-RED, the peer named in the design, is not part of the run: it is not installed)';

const settleMs = 3_000;
const measureMs = 10_000;

const shape: RigShape = { links: 16, unitsPerLink: 8, registers: 125, intervalMs: 100 };
/** More than a gateway on two cores is meant for; what it cannot take it skips, and says so. */
const overload: RigShape = { ...shape, links: 28 };

async function poll(shape: RigShape, busiest: Set<string>): Promise<Figures> {
  return await inScope(async (scope) => {
    const field = await startField(scope, shape);
    const gateway = await startGateway(scope, field, shape);
    await delay(settleMs);
    const tree = treeOf(gateway.pid);
    const others = [field.units.pid, field.broker.pid];
    return await watched(async () => {
      const begun = performance.now();
      const before = await gateway.status();
      const ackedBefore = await acked(gateway);
      const threads = threadCpuSeconds([...tree, ...others]);
      const cpu = cpuSecondsOf(tree);
      const cpuOthers = cpuSecondsOf(others);
      await delay(measureMs);
      const after = await gateway.status();
      const seconds = (performance.now() - begun) / 1_000;
      const points = (await acked(gateway)) - ackedBefore;
      const labels = new Map(tree.map((pid) => [pid, pid === gateway.pid ? 'kernel' : 'driver']));
      labels.set(field.units.pid, 'simulated units').set(field.broker.pid, 'Mosquitto');
      busiest.add(busiestOf(threads, threadCpuSeconds([...tree, ...others]), labels, seconds));
      return {
        acked: points / seconds,
        committed: (after.outbox.committedEvents - before.outbox.committedEvents) / seconds,
        cores: (cpuSecondsOf(tree) - cpu) / seconds,
        coresOthers: (cpuSecondsOf(others) - cpuOthers) / seconds,
        cpuMicros: ((cpuSecondsOf(tree) - cpu) * 1e6) / points,
        commitP99: after.outbox.commitP99Ms,
        pending: after.outbox.pending,
      };
    });
  });
}

/** The three threads that worked most, in percent of a core. */
function busiestOf(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  labels: ReadonlyMap<number, string>,
  seconds: number,
): string {
  return [...after]
    .map(([key, used]) => ({ key, share: (used - (before.get(key) ?? 0)) / seconds }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, 4)
    .map(({ key, share }) => {
      const [pid = '', thread = ''] = key.split(' ');
      return `${labels.get(Number(pid)) ?? pid} ${thread.replace('node-', '')} ${Math.round(share * 100)} %`;
    })
    .join(', ');
}

export async function run(): Promise<readonly BenchResult[]> {
  if (findPeer('mosquitto') === undefined) {
    return [{ name: 'poll to ack', unit: 'points/s', note: 'mosquitto is not installed' }];
  }
  const busiest = new Set<string>();
  const busiestOver = new Set<string>();
  const { ours, over } = await interleaved({
    ours: () => poll(shape, busiest),
    over: () => poll(overload, busiestOver),
  });
  return [
    ours.line('poll → commit → broker ack', 'acked', 'points/s', {
      target: { atLeast: 100_000 },
      note: offered(shape),
    }),
    ours.line('CPU of the gateway', 'cores', 'cores', { note: [...busiest].join('; ') }),
    ours.line('CPU of units and broker on the same machine', 'coresOthers', 'cores'),
    ours.line('CPU of the gateway a point', 'cpuMicros', 'µs'),
    ours.line('commit p99', 'commitP99', 'ms'),
    ours.line('events waiting at the end', 'pending', 'events'),
    over.line('overloaded: poll → commit → broker ack', 'acked', 'points/s', {
      note: offered(overload),
    }),
    over.line('overloaded: CPU of the gateway', 'cores', 'cores', {
      note: [...busiestOver].join('; '),
    }),
  ];
}

function offered(shape: RigShape): string {
  const perSecond = (pointsOf({ ...shape, uplinkUrl: '' }) * 1_000) / shape.intervalMs;
  return `${perSecond.toLocaleString('en-US').replaceAll(',', ' ')} points/s are offered`;
}
