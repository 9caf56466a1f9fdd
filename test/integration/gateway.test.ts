import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Finding } from '../../src/model/site.ts';
import type { ApplyResult } from '../../src/model/status.ts';
import {
  type CounterSiteShape,
  openCounterUnits,
  writeCounterSite,
} from '../support/counter-site.ts';
import { findPeer } from '../support/find-peer.ts';
import { freePort } from '../support/free-port.ts';
import { ControlRefusal, GatewayProcess, TestSite } from '../support/gateway-process.ts';
import { startMosquitto } from '../support/mosquitto.ts';

/** The daemon as it is installed: a process of its own, real drivers, real devices over TCP. */

const missing = findPeer('mosquitto') === undefined;
const withMosquitto = missing ? test.skip : test;
const named = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);
const quiet: CounterSiteShape = {
  links: 2,
  unitsPerLink: 2,
  registers: 4,
  intervalMs: 200,
  uplinkUrl: '',
};

async function bench(t: ExecutionContext, shape: CounterSiteShape) {
  const units = await openCounterUnits(shape);
  t.teardown(units.close);
  const site = new TestSite(t);
  writeCounterSite(site, shape, units.ports);
  return { site, ports: units.ports, gateway: new GatewayProcess(t, site) };
}

withMosquitto(named('a reading of a device reaches a subscriber of a real broker'), async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.stop());
  const { gateway } = await bench(t, { ...quiet, uplinkUrl: `mqtt://127.0.0.1:${broker.port}` });
  const subscriber = spawn(findPeer('mosquitto_sub') ?? 'mosquitto_sub', [
    ...[
      '-h',
      '127.0.0.1',
      '-p',
      String(broker.port),
      '-t',
      'riser/1/acme/gw-test/live',
      '-C',
      '1',
      '-W',
      '20',
    ],
  ]);
  t.teardown(() => subscriber.kill('SIGKILL'));
  let line = '';
  subscriber.stdout.on('data', (chunk: Buffer) => {
    line += chunk.toString();
  });

  await gateway.start();
  await once(subscriber, 'close');

  const event = JSON.parse(line);
  t.like(event, {
    specversion: '1.0',
    type: 'riser.readings.v1',
    source: '//gw-test/acme/live',
    tenantid: 'acme',
  });
  t.true(event.data.points.includes('unit-0-1/r0'));
  t.is(event.data.n, event.data.r.length);
});

test('without an upstream the gateway collects, keeps, and says so', async (t) => {
  const { gateway } = await bench(t, quiet);
  await gateway.start();

  const status = await gateway.until(({ outbox }) => outbox.pending > 20);
  t.is(status.uplinks[0]?.state, 'off');
  t.true(status.conditions.some(({ code }) => code === 'upstream-off'));
  t.is(status.points.total, 16);
});

test('a configuration that breaks while it runs is not applied, and told with its place', async (t) => {
  const { gateway, site } = await bench(t, quiet);
  await gateway.start();
  site.write(
    'devices.d/devices.yaml',
    'schema: riser.devices/1\ndevices:\n  - { id: unit-0-1, lnk: net-0 }\n',
  );

  const refused = await t.throwsAsync(gateway.post('/api/v1/config/apply'), {
    instanceOf: ControlRefusal,
  });

  const { status: code, problem } = refused as ControlRefusal;
  t.is(code, 422);
  const { findings } = problem as { findings: Finding[] };
  const finding = findings.find(({ message }) => message.includes('lnk'));
  t.is(finding?.file, 'devices.d/devices.yaml');
  t.is(finding?.line, 3);
  const status = await gateway.until(({ mode }) => mode === 'degraded');
  t.is(status.devices.length, 4);
});

test('a hundred ruined configurations are each told with place and code, and none touches the daemon', async (t) => {
  const { gateway, site, ports } = await bench(t, quiet);
  await gateway.start();
  const { pid } = gateway;
  const files = [
    'links.d/links.yaml',
    'devices.d/devices.yaml',
    'profiles.d/test-counter.yaml',
    'tenants.d/tenants.yaml',
  ];
  let refused = 0;
  for (let n = 0; n < 100; n += 1) {
    const file = files[n % files.length]!;
    const whole = readFileSync(path.join(site.config, file), 'utf8');
    site.write(file, ruined(whole, n));
    try {
      await gateway.post('/api/v1/config/apply');
    } catch (error) {
      t.true(error instanceof ControlRefusal, String(error));
      const { status: code, problem } = error as ControlRefusal;
      t.is(code, 422);
      const { findings } = problem as { findings: Finding[] };
      t.true(findings.length > 0);
      for (const finding of findings) {
        t.regex(finding.code, /^([EW]\d{4}|[A-Z_]+)$/);
        t.true(finding.line > 0 || finding.pointer === '', JSON.stringify(finding));
      }
      refused += 1;
    }
    site.write(file, whole);
  }
  t.true(refused > 80, `only ${refused} of 100 were refused`);
  writeCounterSite(site, quiet, ports);
  await gateway.post('/api/v1/config/apply');
  const status = await gateway.until(
    ({ points, mode }) => points.good === 16 && mode === 'running',
  );
  t.is(gateway.pid, pid);
  t.is(status.devices.length, 4);
});

/** The n-th way to break a file: cut off, a key misspelt, a value of another type, a bracket lost. */
function ruined(text: string, n: number): string {
  const keys = [...text.matchAll(/"([a-zA-Z]+)":/g)];
  const key = keys[(n * 7) % keys.length]!;
  const at = key.index;
  const [whole, name] = key;
  switch (Math.floor(n / 4) % 4) {
    case 0:
      return text.slice(0, Math.max(1, Math.floor((text.length * (n + 1)) / 101)));
    case 1:
      return `${text.slice(0, at)}"${name}x":${text.slice(at + whole.length)}`;
    case 2:
      return `${text.slice(0, at)}"${name}": [true, "x"], "was":${text.slice(at + whole.length)}`;
    default:
      return `${text.slice(0, at)}{${text.slice(at)}`;
  }
}

test('a gateway whose configuration broke while it was off starts with the last good one', async (t) => {
  const { gateway, site } = await bench(t, quiet);
  await gateway.start();
  t.is(await gateway.signal('SIGTERM'), 0);
  site.write('links.d/links.yaml', 'schema: riser.links/1\nlinks: [ {');

  await gateway.start();
  const status = await gateway.until(
    ({ points, mode }) => points.good === 16 && mode === 'degraded',
  );
  t.true(
    status.conditions.some(
      ({ code, text }) => code === 'config-invalid' && /links\.yaml:\d+:\d+/.test(text),
    ),
  );
});

test('a gateway with nothing but a broken configuration runs, and can be asked what is wrong', async (t) => {
  const site = new TestSite(t);
  site.write('riser.yaml', 'gateway: {id: [}');
  const gateway = new GatewayProcess(t, site);

  await gateway.start();
  const status = await gateway.status();
  t.is(status.mode, 'degraded');
  t.true(status.conditions.some(({ code }) => code === 'config-invalid'));
});

test('SIGHUP adds a device while the others keep their poll plan and the outbox its epoch', async (t) => {
  const { gateway, site, ports } = await bench(t, quiet);
  await gateway.start();
  await gateway.until(({ points }) => points.good === 16);
  const before = await gateway.get<{ streams: { epoch: string; next: number }[] }>(
    '/api/v1/outbox/streams',
  );
  const drivers = (await gateway.status()).drivers.map(({ pid }) => pid);

  writeCounterSite(site, { ...quiet, unitsPerLink: 3 }, ports);
  process.kill(gateway.pid, 'SIGHUP');
  // Unit 3 does not exist on the simulated line: it is refused, and disturbs nobody.
  const status = await gateway.until(({ devices }) => devices.length === 6);

  t.deepEqual(
    status.drivers.map(({ pid }) => pid),
    drivers,
  );
  const after = await gateway.get<{ streams: { epoch: string; next: number }[] }>(
    '/api/v1/outbox/streams',
  );
  const epochs = after.streams.map(({ epoch }) => epoch);
  t.true(before.streams.every(({ epoch }) => epochs.includes(epoch)));
});

test('applying an identical configuration is a no-op', async (t) => {
  const { gateway, site, ports } = await bench(t, quiet);
  await gateway.start();
  const { revision } = await gateway.status();
  writeCounterSite(site, quiet, ports);

  const result = await gateway.post<ApplyResult>('/api/v1/config/apply');

  t.like(result, {
    applied: true,
    revision,
    added: [],
    changed: [],
    removed: [],
    restartNeeded: [],
  });
});

test('a setting that needs a restart is named until it has had one', async (t) => {
  const { gateway, site, ports } = await bench(t, quiet);
  await gateway.start();
  writeCounterSite(site, { ...quiet, settings: { outbox: { lingerLiveMs: 50 } } }, ports);

  const result = await gateway.post<ApplyResult>('/api/v1/config/apply');
  t.deepEqual(result.restartNeeded, ['outbox.lingerLiveMs']);
  const again = await gateway.post<ApplyResult>('/api/v1/config/apply');
  t.deepEqual(again.restartNeeded, ['outbox.lingerLiveMs']);
  t.true((await gateway.status()).conditions.some(({ code }) => code === 'config-not-applied'));
});

withMosquitto(
  named(
    'SIGTERM in the middle of a drain ends the gateway with 0 within 5 s, and the rest is sent later',
  ),
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.stop());
    const shape = { ...quiet, unitsPerLink: 8, registers: 100, intervalMs: 100 };
    const { gateway, site, ports } = await bench(t, shape);
    await gateway.start();
    await gateway.until(({ outbox }) => outbox.pending > 40_000, 60_000);
    writeCounterSite(site, { ...shape, uplinkUrl: `mqtt://127.0.0.1:${broker.port}` }, ports);
    await gateway.post('/api/v1/config/apply');
    await gateway.until(({ uplinks }) => (uplinks[0]?.published ?? 0) > 0);

    const begun = performance.now();
    t.is(await gateway.signal('SIGTERM'), 0);
    t.true(performance.now() - begun < 5_000);

    await gateway.start();
    await gateway.until(({ outbox }) => outbox.pending < 5_000, 30_000);
  },
);

test('a second gateway on the same state folder leaves the first alone', async (t) => {
  const { gateway, site } = await bench(t, quiet);
  await gateway.start();
  const second = new GatewayProcess(t, site);
  second.spawn();
  t.is(await second.exited(), 1);
  t.regex(second.output, /already|running/);
  t.true((await gateway.status()).ready);
});

test('no secret reaches the log', async (t) => {
  const { site, ports } = await bench(t, quiet);
  const port = await freePort();
  writeCounterSite(
    site,
    { ...quiet, uplinkUrl: `mqtt://127.0.0.1:${port}`, settings: { log: { level: 'debug' } } },
    ports,
  );
  site.write('conf.d/secret.yaml', 'uplink: { username: gw, password: { env: MY_SECRET } }\n');
  const gateway = new GatewayProcess(t, site, { MY_SECRET: 'CANARY-7c1f' });
  await gateway.start();
  await gateway.until(({ uplinks }) => uplinks[0]?.state === 'waiting');
  t.false(gateway.output.includes('CANARY-7c1f'));
  t.false(
    readFileSync(path.join(site.state, 'last-good-site.json'), 'utf8').includes('CANARY-7c1f'),
  );
});
