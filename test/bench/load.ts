import { setTimeout as delay } from 'node:timers/promises';
import { pointsOf } from '../support/counter-site.ts';
import { findPeer } from '../support/find-peer.ts';
import { type BenchResult, ratioOf, type Target } from './bench-result.ts';
import { inScope } from './bench-scope.ts';
import { hasCollectd, startCollectd } from './collectd.ts';
import { CountingSubscriber } from './counting-subscriber.ts';
import { acked, type RigShape, startField, startGateway } from './gateway-rig.ts';
import { cpuSecondsOf, diskBytesOf, pssMiBOf, treeOf } from './process-tree.ts';
import { type Contest, type Figures, interleaved, watched } from './rounds.ts';

export const name = 'load';
export const description =
  'CPU and memory at 1 000 and 10 000 points/s, against collectd on the same units and broker (it keeps nothing on disk; the gateway commits every reading)';

const settleMs = 4_000;
const measureMs = 10_000;
/** A CloudEvent as JSON for one reading, as reference for what goes to the flash. */
const plainEventBytes = 271;
const shapeOf = (intervalMs: number): RigShape => ({
  links: 2,
  unitsPerLink: 5,
  registers: 100,
  intervalMs,
});

async function ours(shape: RigShape): Promise<Figures> {
  return await inScope(async (scope) => {
    const field = await startField(scope, shape);
    const gateway = await startGateway(scope, field, shape);
    await delay(settleMs);
    const tree = treeOf(gateway.pid);
    return await watched(async () => {
      const begun = performance.now();
      const cpu = cpuSecondsOf(tree);
      const cpuBroker = cpuSecondsOf([field.broker.pid]);
      const disk = diskBytesOf(gateway.pid);
      const before = await acked(gateway);
      await delay(measureMs);
      const seconds = (performance.now() - begun) / 1_000;
      const used = cpuSecondsOf(tree) - cpu;
      const points = (await acked(gateway)) - before;
      return {
        cpu: (used * 100) / seconds,
        cpuBroker: ((cpuSecondsOf([field.broker.pid]) - cpuBroker) * 100) / seconds,
        memory: pssMiBOf(tree),
        perSecond: points / seconds,
        micros: (used * 1e6) / points,
        flash: (diskBytesOf(gateway.pid) - disk) / points,
      };
    });
  });
}

async function collectd(shape: RigShape): Promise<Figures> {
  return await inScope(async (scope) => {
    const field = await startField(scope, shape);
    const pid = startCollectd(scope, shape, field.ports, field.broker.port);
    const counter = new CountingSubscriber(field.broker.port, 'collectd/#');
    await counter.start();
    await counter.reached(1, 20_000);
    counter.close();
    await delay(settleMs);
    return await watched(async () => {
      const begun = performance.now();
      const cpu = cpuSecondsOf([pid]);
      const cpuBroker = cpuSecondsOf([field.broker.pid]);
      const before = await field.answered();
      await delay(measureMs);
      const seconds = (performance.now() - begun) / 1_000;
      const used = cpuSecondsOf([pid]) - cpu;
      // One request is one point.
      const points = (await field.answered()) - before;
      return {
        cpu: (used * 100) / seconds,
        cpuBroker: ((cpuSecondsOf([field.broker.pid]) - cpuBroker) * 100) / seconds,
        memory: pssMiBOf([pid]),
        perSecond: points / seconds,
        micros: (used * 1e6) / points,
      };
    });
  });
}

/** A ratio of CPU a point, so that it stays true where the peer does not keep up. */
function ratio(label: string, own: Contest, peer: Contest, target?: Target): BenchResult {
  return {
    name: label,
    value: ratioOf(own.rounds('micros'), peer.rounds('micros')),
    unit: '×',
    foreign: own.foreign,
    ...(target === undefined ? {} : { target }),
  };
}

function lines(label: string, contest: Contest): BenchResult[] {
  return [
    contest.line(`${label}: points`, 'perSecond', '/s'),
    contest.line(`${label}: CPU`, 'cpu', '% of a core'),
    contest.line(`${label}: CPU a point`, 'micros', 'µs'),
    contest.line(`${label}: CPU of the broker`, 'cpuBroker', '% of a core'),
  ];
}

export async function run(): Promise<readonly BenchResult[]> {
  if (findPeer('mosquitto') === undefined) {
    return [{ name: 'load', unit: '', note: 'mosquitto is not installed' }];
  }
  const results: BenchResult[] = [];
  for (const intervalMs of [1_000, 100]) {
    const shape = shapeOf(intervalMs);
    const at = `${(pointsOf({ ...shape, uplinkUrl: '' }) * 1_000) / intervalMs} points/s`;
    const polled: { own: () => Promise<Figures>; peer?: () => Promise<Figures> } = {
      own: () => ours(shape),
    };
    if (hasCollectd()) polled.peer = () => collectd(shape);
    const { own, peer } = await interleaved(polled);
    results.push(
      ...lines(`${at}, ours`, own),
      own.line(`${at}, ours: memory of all processes (PSS)`, 'memory', 'MiB', {
        target: { atMost: 220 },
      }),
      own.line(`${at}, ours: to the flash, of a reading`, 'flash', 'bytes', {
        target: { atMost: 0.8 * plainEventBytes },
        note: `0.8 × the ${plainEventBytes} bytes of a CloudEvent of its own`,
      }),
    );
    if (peer === undefined) {
      const note = 'peer missing: apt install --no-install-recommends collectd-core';
      results.push({ name: `${at}, ours / collectd: CPU a point`, unit: '×', note });
      continue;
    }
    results.push(
      ...lines(`${at}, collectd`, peer),
      peer.line(`${at}, collectd: memory`, 'memory', 'MiB'),
      ratio(
        `${at}, ours / collectd: CPU a point`,
        own,
        peer,
        intervalMs === 100 ? { atMost: 0.35 } : undefined,
      ),
    );
  }
  return results;
}
