import { join } from 'node:path';
import test from 'ava';
import { loadCatalog } from '../../src/field/catalog.ts';
import { eventually, fakeDevice, fakeLink, startField } from '../support/field-bench.ts';
import { freePort } from '../support/free-port.ts';

const plugins = join(import.meta.dirname, '..', '..', 'plugins');
const isGood = (result: { readonly quality: string }) => result.quality === 'good';
const units = Array.from({ length: 30 }, (_, n) => n + 1);
const dead = [26, 27, 28, 29, 30];

test('the plugins of this release are in order', (t) => {
  const { problems, drivers } = loadCatalog(plugins);
  t.deepEqual(problems, []);
  t.true(drivers.some(({ id }) => id === 'modbus-tcp'));
});

test('through real processes, thirty units on a serial line, five dead: the others keep their schedule', async (t) => {
  const port = await freePort();
  const { field, sink, conditions, noted } = startField(t, { catalog: loadCatalog(plugins) });
  const everyMs = 2_000;
  const line = {
    port,
    serialise: true,
    turnaroundMs: 10,
    lineTimeoutMs: 200,
    absentUnits: 'silent',
    units: units.filter((unit) => !dead.includes(unit)).map((unit) => ({ unit, model: 'counter' })),
  };
  const simulator = fakeLink('site', 'simulator', { listeners: [line] });
  const modbus = fakeLink('line', 'modbus-tcp', { host: '127.0.0.1', port, timeoutMs: 300 });
  const devices = units.map((unit) =>
    fakeDevice(`unit-${unit}`, 'line', {
      address: { unit },
      everyMs,
      pointAddress: (n) => ({ table: 'holding', addr: n, type: 'uint16' }),
    }),
  );
  await field.apply([simulator], []);
  await eventually(t, 'the simulator', () => field.links().some(({ state }) => state === 'open'));
  await field.apply([simulator, modbus], devices);

  await eventually(t, 'five are offline', () =>
    dead.every((unit) => conditions.has('device-offline', `unit-${unit}`)),
  );
  // From here on the dead ones cost probes only.
  const from = sink.results.length;
  const start = performance.now();
  const ms = 5 * everyMs;
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
  const since = sink.results.slice(from).filter(isGood);
  const due = ((performance.now() - start) / everyMs) * 2;
  for (const unit of units.filter((one) => !dead.includes(one))) {
    const got = since.filter(({ device }) => device === `unit-${unit}`).length;
    t.true(got >= 0.95 * due - 2, `unit ${unit} gave ${got} of ${due} values`);
  }
  t.deepEqual(
    noted.filter(({ name }) => name === 'driverExited'),
    [],
  );

  const issues = await field.checkLink('modbus-tcp', { host: '127.0.0.1', port: 1 }, [
    fakeDevice('wrong', 'line', { address: { unit: 1 }, pointAddress: () => ({ addr: 70_000 }) }),
  ]);
  t.true(issues.some(({ path }) => path.startsWith('/devices/wrong/points/')));
  const [first] = await field.read('unit-1', ['p0'], new AbortController().signal);
  t.is(first?.quality, 'good');
});
