/** A field in a process of its own, to be killed: prints the pids of its two driver processes. */
import { loadCatalog } from '../../src/field/catalog.ts';
import { Field } from '../../src/field/field.ts';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import {
  fakeDevice,
  fakeLink,
  fakePlugins,
  KeepingConditions,
  KeepingSink,
  keepingNotes,
} from './field-bench.ts';

const sink = new KeepingSink();
const field = new Field({
  catalog: loadCatalog(fakePlugins),
  sink,
  clock: new SystemClock('test-boot'),
  notes: keepingNotes().notes,
  conditions: new KeepingConditions(),
  bus: { on: () => () => undefined, emit: () => undefined },
  settings: { heapMb: 64, isolation: 'process' },
});
await field.apply(
  [fakeLink('good', 'steady'), fakeLink('bad', 'faulty')],
  [
    fakeDevice('neighbour', 'good'),
    fakeDevice('patient', 'bad', { address: { fault: 'hang' }, everyMs: 300 }),
  ],
);
// The first poll of the patient is the last thing that its process does.
const timer = setInterval(() => {
  const pids = field.drivers().map(({ pid }) => pid);
  if (sink.of('neighbour').length < 10 || pids.includes(undefined)) return;
  clearInterval(timer);
  process.stdout.write(`${JSON.stringify(pids)}\n`);
}, 50);
