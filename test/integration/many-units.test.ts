import test from 'ava';
import { SimulatedSite } from '../../plugins/simulator/site.ts';
import { standaloneRuntime } from '../../plugins/simulator/standalone.ts';
import { writeCounterSite } from '../support/counter-site.ts';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';

const units = 30;
const dead = 5;
const intervalMs = 2_000;
/** How long the schedule is watched, once the breakers have had their say. */
const watchMs = 20_000;

test('30 units on a link, 5 dead: the healthy ones keep 95 % of their schedule', async (t) => {
  const numbers = Array.from({ length: units }, (_, n) => n + 1);
  const line = new SimulatedSite(
    {
      listeners: [
        {
          port: 0,
          units: numbers.map((unit) => ({ unit, model: 'counter' as const })),
          // A serial line behind a gateway: one conversation at a time, silence for those that are dead.
          serialise: true,
          turnaroundMs: 10,
          lineTimeoutMs: 200,
          absentUnits: 'silent',
          faults: [{ kind: 'dropUnits', units: numbers.slice(units - dead) }],
        },
      ],
    },
    standaloneRuntime(),
  );
  await line.open(AbortSignal.timeout(5_000));
  t.teardown(() => line.close());
  const site = new TestSite(t);
  const ports = [line.endpoints()[0]?.port ?? 0];
  writeCounterSite(
    site,
    { links: 1, unitsPerLink: units, registers: 10, intervalMs, uplinkUrl: '' },
    ports,
  );
  site.write('links.d/links.yaml', {
    schema: 'riser.links/1',
    links: [
      {
        id: 'net-0',
        driver: 'modbus-tcp',
        config: { host: '127.0.0.1', port: ports[0], timeoutMs: 300 },
      },
    ],
  });
  const gateway = new GatewayProcess(t, site);
  await gateway.start();
  await gateway.until(
    ({ devices }) => devices.filter(({ state }) => state === 'offline').length === dead,
    60_000,
  );

  // Each healthy unit tells ten readings a poll; nothing else is told while the dead stay dead.
  const before = (await gateway.status()).outbox.committedEvents;
  const begun = performance.now();
  await new Promise((resolve) => setTimeout(resolve, watchMs));
  const polls = ((await gateway.status()).outbox.committedEvents - before) / 10;
  const due = ((performance.now() - begun) / intervalMs) * (units - dead);

  t.log(`${polls} of ${due.toFixed(0)} polls`);
  t.true(polls >= due * 0.95 - (units - dead), `${polls} of ${due.toFixed(0)} polls`);
  const { devices } = await gateway.status();
  t.is(devices.filter(({ state }) => state === 'online').length, units - dead);
});
