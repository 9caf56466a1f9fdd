/**
 * Simulated units in a process of their own, so that what they cost is not counted as the
 * gateway's: `node counter-units.ts <links> <units per link>`. Prints its ports, then after each
 * line of standard input how many requests it has answered; ends with standard input.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { SimulatedSite } from '../../plugins/simulator/site.ts';
import { standaloneRuntime } from '../../plugins/simulator/standalone.ts';

const [links = 1, unitsPerLink = 1] = process.argv.slice(2).map(Number);
const site = new SimulatedSite(
  {
    listeners: Array.from({ length: links }, () => ({
      port: 0,
      units: Array.from({ length: unitsPerLink }, (_, n) => ({
        unit: n + 1,
        model: 'counter' as const,
      })),
    })),
  },
  standaloneRuntime(),
);
await site.open(AbortSignal.timeout(10_000));
const ports = [...new Set(site.endpoints().map(({ port }) => port))];
process.stdout.write(`${JSON.stringify(ports)}\n`);
for await (const _ of createInterface({ input: process.stdin })) {
  process.stdout.write(`${site.counters()?.requests ?? 0}\n`);
}
await site.close();
