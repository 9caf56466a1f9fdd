import { type CounterSiteShape, pointsOf, writeCounterSite } from '../support/counter-site.ts';
import { freePort } from '../support/free-port.ts';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';
import type { BenchResult } from './bench-result.ts';
import { inScope } from './bench-scope.ts';
import { fillOutbox } from './outbox-file.ts';
import { cpuSecondsOf, pssMiBOf, treeOf } from './process-tree.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'start';
export const description =
  'from spawn to ready, with 1 000 points configured, with an empty outbox and with a backlog of 300 000 events (100 a batch)';

const backlog = 300_000;
const shape: Omit<CounterSiteShape, 'uplinkUrl'> = {
  links: 1,
  unitsPerLink: 10,
  registers: 100,
  intervalMs: 10_000,
};

async function start(events: number): Promise<Figures> {
  return await inScope(async (scope) => {
    const site = new TestSite(scope);
    // Nobody answers: neither devices nor broker may be waited for.
    const uplinkUrl = `mqtt://127.0.0.1:${await freePort()}`;
    writeCounterSite(site, { ...shape, uplinkUrl, settings: { log: { level: 'warn' } } }, [
      await freePort(),
    ]);
    if (events > 0) await fillOutbox(site.state, events);
    const gateway = new GatewayProcess(scope, site);
    return await watched(async () => {
      const begun = performance.now();
      await gateway.start();
      const ms = performance.now() - begun;
      const tree = treeOf(gateway.pid);
      const { outbox } = await gateway.status();
      if (outbox.pending < events) throw new Error(`only ${outbox.pending} events are there`);
      return { ms, cpuMs: cpuSecondsOf(tree) * 1_000, memory: pssMiBOf(tree) };
    });
  });
}

export async function run(): Promise<readonly BenchResult[]> {
  // The first start fills the compile cache.
  await start(0);
  const { empty, full } = await interleaved({ empty: () => start(0), full: () => start(backlog) });
  const points = pointsOf({ ...shape, uplinkUrl: '' });
  return [
    empty.line('empty: spawn → ready', 'ms', 'ms', { note: `${points} points configured` }),
    empty.line('empty: CPU until then', 'cpuMs', 'ms'),
    empty.line('empty: memory of all processes (PSS)', 'memory', 'MiB'),
    full.line('backlog: spawn → ready', 'ms', 'ms', { target: { atMost: 2_000 } }),
    full.line('backlog: CPU until then', 'cpuMs', 'ms'),
    full.line('backlog: memory of all processes (PSS)', 'memory', 'MiB'),
  ];
}
