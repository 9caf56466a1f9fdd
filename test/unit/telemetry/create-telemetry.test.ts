import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { conditionKinds } from '../../../src/model/condition.ts';
import { GatewayError } from '../../../src/model/errors.ts';
import { deviceId, linkId, tenantId } from '../../../src/model/ids.ts';
import type { GatewayStatus } from '../../../src/model/status.ts';
import { createTelemetry, type TelemetryOptions } from '../../../src/telemetry/create-telemetry.ts';
import { lineKinds } from '../../../src/telemetry/log-catalogue.ts';
import { ManualClock } from '../../support/manual-clock.ts';

type Line = Record<string, unknown> & { readonly code: string; readonly level: string };

const acme = tenantId('acme');
const meter = deviceId('meter-1');
const rtu = linkId('rtu-1');

function open(options: Partial<TelemetryOptions> = {}) {
  const raw: string[] = [];
  const clock = new ManualClock();
  const telemetry = createTelemetry({
    level: 'info',
    version: '0.1.0',
    gateway: 'gw-1',
    destination: { write: (line) => void raw.push(line) },
    clock,
    ...options,
  });
  const lines = () => raw.map((line) => JSON.parse(line) as Line);
  return { telemetry, notes: telemetry.notes, raw, lines, clock };
}

const status = (change: Partial<GatewayStatus> = {}): GatewayStatus => ({
  gateway: 'gw-1',
  title: '',
  version: '0.1.0',
  bootId: 'boot-1',
  upMs: 5_000,
  revision: 'r1',
  mode: 'running',
  ready: true,
  points: { total: 3, fresh: 2, good: 1 },
  devices: [],
  links: [],
  drivers: [],
  outbox: {
    pending: 7,
    oldestAgeMs: 2_500,
    fileBytes: 4_096,
    walBytes: 100,
    maxBytes: 1_000_000,
    deadLetters: 2,
    lost: 0,
    commits: 1,
    committedEvents: 1,
    bytesWritten: 1,
    queued: 0,
    commitP50Ms: 1,
    commitP99Ms: 2,
    checksumErrors: 0,
  },
  uplinks: [],
  conditions: [],
  modules: [],
  clockSynced: true,
  ...change,
});

test('a line has a constant lower-case message, a stable code, a component and its facts as fields', (t) => {
  const { notes, lines } = open();
  notes.deviceOffline({ device: meter, reason: 'timeout', message: 'unit 7 did not answer' });
  const [line] = lines();
  t.like(line, {
    level: 'warn',
    gateway: 'gw-1',
    code: 'device-offline',
    component: 'field',
    msg: 'device does not answer',
    device: 'meter-1',
    reason: 'timeout',
    text: 'unit 7 did not answer',
  });
});

test('no two kinds of line share a code, and messages are lower case', (t) => {
  const kinds = Object.values(lineKinds);
  t.is(new Set(kinds.map(({ code }) => code)).size, kinds.length);
  for (const { code, message } of kinds) {
    t.regex(code, /^[a-z]+(-[a-z]+)*$/);
    t.is(message, message.toLowerCase());
  }
});

test('no line has a field twice', (t) => {
  const { notes, raw } = open();
  notes.gatewayStarting({ version: '0.1.0', gateway: 'gw-1', config: '/etc/riser' });
  notes.driverStarted({ plugin: 'modbus', pid: 1 });
  notes.uplinkDown({ tenant: acme, code: 'UPSTREAM_TLS', message: 'expired', retryInMs: 1 });
  notes.driverLog({
    plugin: 'modbus',
    level: 'warn',
    message: 'x',
    fields: { level: 1, msg: 'y' },
  });
  notes.summary({ time: 1, code: 2, level: 3 });
  for (const line of raw) {
    // Reads the top level only: nested objects are taken out first.
    const names = [...line.replace(/:\{.*?\}/g, ':0').matchAll(/"([^"]+)":/g)].map(
      ([, name]) => name,
    );
    t.is(new Set(names).size, names.length, line);
  }
});

test('a flapping device gets one line a minute and a count of the others', (t) => {
  const { notes, lines, clock } = open();
  for (let n = 0; n < 38; n += 1) {
    notes.deviceOffline({ device: meter, reason: 'timeout', message: `attempt ${n}` });
  }
  notes.deviceOffline({ device: deviceId('meter-2'), reason: 'timeout', message: 'other' });
  t.deepEqual(
    lines().map(({ text }) => text),
    ['attempt 0', 'other'],
  );

  clock.advance(60_000);
  t.is(lines().length, 3);
  t.like(lines()[2], { text: 'attempt 37', more: 37, note: '37 more in the last minute' });

  notes.deviceOffline({ device: meter, reason: 'timeout', message: 'again' });
  t.is(lines().length, 3);
  clock.advance(60_000);
  t.like(lines()[3], { text: 'again', more: 1 });
  clock.advance(60_000);
  t.is(clock.pending, 0);
  t.is(lines().length, 4);
});

test('a driver that floods the log with different texts is cut off, and counted', async (t) => {
  const { telemetry, notes, lines, clock } = open();
  for (let n = 0; n < 10_000; n += 1) {
    notes.driverLog({ plugin: 'modbus', level: 'error', message: `text ${n}`, fields: {} });
  }
  t.is(lines().length, 60);
  t.regex(await telemetry.metrics(), /riser_log_lines_total\{result="held"\} 9940/);

  clock.advance(2_000);
  notes.driverLog({ plugin: 'modbus', level: 'error', message: 'later', fields: {} });
  t.is(lines().length, 61);
});

test('no line is longer than 8 KiB, whatever a driver sends', (t) => {
  const { notes, raw, lines } = open();
  const fields = Object.fromEntries(
    Array.from({ length: 1_000 }, (_, n) => [`f${n}`, '\u0001'.repeat(5_000)]),
  );
  notes.driverLog({ plugin: 'modbus', level: 'warn', message: '\u{1f4a5}'.repeat(9_000), fields });
  notes.partFailed({ part: 'x', error: new Error('e'.repeat(1_000_000)) });
  t.is(raw.length, 2);
  for (const line of raw) t.true(Buffer.byteLength(line) <= 8_192, String(Buffer.byteLength(line)));
  t.is(lines()[1]!.code, 'part-failed');
});

test('an object name from the LAN cannot forge a line', (t) => {
  const { notes, raw } = open();
  const hostile = '"\n{"level":"error","msg":"forged"}\u001b[2J';
  notes.driverLog({ plugin: 'bacnet', level: 'info', message: hostile, fields: { name: hostile } });
  t.is(raw.length, 1);
  t.is(raw[0]!.indexOf('\n'), raw[0]!.length - 1);
  t.false(raw[0]!.includes('\u001b'));
});

test('a registered secret is in no line', (t) => {
  const { telemetry, notes, raw } = open();
  telemetry.registerSecret('CANARY-1234');
  const leaky = new GatewayError('UPSTREAM_REFUSED', 'user gw, CANARY-1234', {
    cause: Object.assign(new Error('CANARY-1234'), { config: { password: 'other CANARY-1234' } }),
  });
  notes.partFailed({ part: 'CANARY-1234', error: leaky });
  notes.uplinkConnecting({ tenant: acme, url: 'mqtt://gw:CANARY-1234@x' });
  notes.uplinkDown({ tenant: acme, code: 'X', message: 'mqtt://gw:CANARY-1234@x', retryInMs: 1 });
  notes.driverLog({ plugin: 'modbus', level: 'warn', message: 'CANARY-1234', fields: { leaky } });
  notes.conditionRaised({
    code: 'upstream-refused',
    subject: 'acme',
    ...conditionKinds['upstream-refused'],
    text: 'the broker said CANARY-1234',
    runbook: '',
    since: 0,
  });
  t.is(raw.length, 4);
  t.false(raw.join('').includes('CANARY'), raw.join(''));
});

test('readings, commits and acknowledgements move counters and write nothing', async (t) => {
  const { telemetry, notes, raw } = open({ level: 'debug' });
  notes.readingsAccepted({ tenant: acme, lane: 'live', count: 500 });
  notes.readingsAccepted({ tenant: acme, lane: 'live', count: 1 });
  notes.readingsByQuality({ good: 3, uncertain: 0, bad: 2 });
  notes.readingsUnchanged({ count: 4 });
  notes.outboxCommitted({ batches: 1, events: 500, bytes: 9_000, ms: 3 });
  notes.published({ tenant: acme, lane: 'live', events: 500, bytes: 9_000 });
  notes.acked({ tenant: acme, lane: 'live', events: 500, latencyMs: 12 });
  notes.uplinkConnected({ tenant: acme, url: 'x', protocol: 'mqtt5', downMs: 0 });
  notes.uplinkConnected({ tenant: acme, url: 'x', protocol: 'mqtt5', downMs: 9 });
  t.is(raw.length, 1);

  const text = await telemetry.metrics();
  for (const expected of [
    'riser_build_info{version="0.1.0"} 1',
    'riser_readings_accepted_total{tenant="acme",lane="live"} 501',
    'riser_readings_quality_total{quality="bad"} 2',
    'riser_outbox_committed_events_total 500',
    'riser_outbox_commit_duration_seconds_bucket{le="0.005"} 1',
    'riser_publish_total{result="acked",reason_code=""} 500',
    'riser_event_end_to_end_seconds_count 1',
    'riser_upstream_reconnects_total{tenant="acme"} 1',
  ]) {
    t.true(text.includes(`${expected}\n`), expected);
  }
  t.regex(text, /^process_cpu_seconds_total /m);
  t.regex(text, /^riser_event_loop_lag_seconds [\d.e-]+$/m);
});

test('gauges are read when they are scraped, and what is gone is not reported', async (t) => {
  const { telemetry } = open();
  let now = status({
    devices: [
      { device: meter, link: rtu, driver: 'modbus-rtu', state: 'offline', points: 3 },
      { device: deviceId('meter-2'), link: rtu, driver: 'modbus-rtu', state: 'online', points: 3 },
    ],
    drivers: [{ plugin: 'modbus', state: 'failed', restarts: 9 }],
  });
  telemetry.observe(() => now);
  const first = await telemetry.metrics();
  for (const expected of [
    'riser_ready 1',
    'riser_device_up{device="meter-1"} 0',
    'riser_device_up{device="meter-2"} 1',
    'riser_outbox_depth{state="pending"} 7',
    'riser_outbox_oldest_age_seconds 2.5',
    'riser_outbox_capacity_bytes 1000000',
    'riser_component_health{component="driver/modbus"} 0',
  ]) {
    t.true(first.includes(`${expected}\n`), expected);
  }

  now = status({ ready: false });
  const second = await telemetry.metrics();
  t.true(second.includes('riser_ready 0\n'));
  t.false(second.includes('meter-1'));
});

test('ten thousand devices make a thousand series, and the sums count them all', async (t) => {
  const { telemetry } = open();
  const devices = Array.from({ length: 10_000 }, (_, n) => ({
    device: deviceId(`d${n}`),
    link: rtu,
    driver: 'modbus-rtu',
    state: 'online' as const,
    points: 1,
  }));
  telemetry.observe(() => status({ devices }));
  const text = await telemetry.metrics();
  t.is(text.match(/^riser_device_up\{/gm)?.length, 1_000);
  t.true(text.includes('riser_devices{state="online"} 10000\n'));
});

test('a driver cannot make series without end, nor numbers under names of the gateway', async (t) => {
  const { telemetry, notes } = open();
  const metric = (name: string, value: number, labels?: Record<string, string>) =>
    notes.driverMetric({ plugin: 'modbus', name, value, ...(labels && { labels }) });
  metric('exceptions_total', 1, { code: '2' });
  metric('exceptions_total', 2, { code: '2' });
  metric('exceptions_total', 5, { other: 'x' });
  metric('exceptions_total', -5, { code: '2' });
  metric('queue', 7);
  metric('queue', Number.NaN);
  metric('restarts', 1);
  metric('bad name{', 1);
  metric('labels', 1, { 'a b': 'x' });
  metric('mine', 1, { plugin: 'other' });
  for (let n = 0; n < 5_000; n += 1) metric('flood', 1, { n: String(n) });

  const text = await telemetry.metrics();
  t.true(text.includes('riser_driver_exceptions_total{plugin="modbus",code="2"} 3\n'));
  t.true(text.includes('riser_driver_exceptions_total{plugin="modbus",code=""} 5\n'));
  t.true(text.includes('riser_driver_queue{plugin="modbus"} 7\n'));
  t.false(text.includes('bad name'));
  t.true((text.match(/^riser_driver_flood\{/gm)?.length ?? 0) <= 1_000);
  t.regex(text, /riser_metric_series_refused_total 40\d\d/);
});

test('beyond a hundred a name from outside counts as "other", and nothing is lost from the sum', async (t) => {
  const { telemetry, notes } = open();
  for (let n = 0; n < 150; n += 1) {
    notes.commandRefused({ tenant: acme, topic: 'x', reason: `reason ${n}` });
  }
  const text = await telemetry.metrics();
  const series = [...text.matchAll(/^riser_commands_refused_total\{(.*)\} (\d+)$/gm)];
  t.is(series.length, 101);
  t.is(
    series.reduce((sum, [, , count]) => sum + Number(count), 0),
    150,
  );
  t.true(text.includes('riser_commands_refused_total{reason="other"} 50\n'));
});

test('a status that throws leaves the other numbers readable', async (t) => {
  const { telemetry, notes } = open();
  telemetry.observe(() => {
    throw new Error('starting');
  });
  notes.readingsUnchanged({ count: 4 });
  const text = await telemetry.metrics();
  t.true(text.includes('riser_readings_unchanged_total 4\n'));
  t.true(text.includes('riser_scrape_errors_total 1\n'));
});

test('close tells what was held back, and may come twice', async (t) => {
  const { telemetry, notes, lines, clock } = open();
  notes.linkFailed({ link: rtu, reason: 'link-down', message: 'a' });
  notes.linkFailed({ link: rtu, reason: 'link-down', message: 'b' });
  await Promise.all([telemetry.close(), telemetry.close()]);
  notes.linkFailed({ link: rtu, reason: 'link-down', message: 'c' });
  t.deepEqual(
    lines().map(({ text, more }) => [text, more]),
    [
      ['a', undefined],
      ['b', 1],
    ],
  );
  t.is(clock.pending, 0);
});

test('the level can be changed while running', (t) => {
  const { telemetry, notes, lines } = open();
  notes.requestServed({ method: 'GET', route: '/status', status: 200, ms: 1 });
  telemetry.setLevel('debug');
  notes.requestServed({ method: 'GET', route: '/status', status: 200, ms: 1 });
  t.is(lines().length, 1);
});

/** A gateway's telemetry in a process of its own, on its real standard output. */
function inProcess(limits: string, script: string) {
  const module = new URL('../../../src/telemetry/create-telemetry.ts', import.meta.url).href;
  const source = `
    import { openSync } from 'node:fs';
    import { createTelemetry } from '${module}';
    const telemetry = createTelemetry({ level: 'info', version: '1', gateway: 'gw-1' });
    const { notes } = telemetry;
    ${script}
  `;
  return spawn(
    '/bin/sh',
    ['-c', `${limits} exec "$0" --input-type=module -e "$1"`, process.execPath, source],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

test('with no file descriptor left, lines are written and metrics are read', async (t) => {
  const child = inProcess(
    'ulimit -n 48;',
    `try { for (;;) openSync('/dev/null'); } catch {}
     const text = await telemetry.metrics();
     notes.summary({ bytes: text.length, commits: Number(text.includes('riser_outbox_commits_total')) });
     await telemetry.close();`,
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [out, [code]] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  t.is(code, 0);
  t.like(JSON.parse(Buffer.concat(out).toString()), { code: 'summary', commits: 1 });
});

test('a reader that goes away does not end the gateway', async (t) => {
  const child = inProcess(
    '',
    `process.on('SIGTERM', async () => {
       for (let n = 0; n < 50; n += 1) notes.readingsRefused({ reason: 'r' + n, count: 1 });
       await new Promise((resolve) => setImmediate(resolve));
       await telemetry.close();
       process.exit(7);
     });
     setInterval(() => {}, 1000);
     notes.summary({ n: 1 });`,
  );
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  t.is(code, 7);
});

test('a full disk below standard output does not end the gateway', async (t) => {
  const child = inProcess(
    'exec >/dev/full;',
    `for (let n = 0; n < 20; n += 1) {
       notes.readingsRefused({ reason: 'r' + n, count: 1 });
       await new Promise((resolve) => setImmediate(resolve));
     }
     await telemetry.close();
     process.exit(7);`,
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [code] = await once(child, 'exit');
  t.is(code, 7);
});

test('the last line before an exit without close is written', async (t) => {
  const child = inProcess('', 'notes.summary({ n: 1 }); notes.outboxRecovered(); process.exit(3);');
  t.teardown(() => child.kill('SIGKILL'));
  const [out, [code]] = await Promise.all([child.stdout.toArray(), once(child, 'exit')]);
  t.is(code, 3);
  t.is(Buffer.concat(out).toString().trim().split('\n').length, 2);
});

test('a pipe that nobody reads costs a megabyte, lines that are counted, and no time', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-pipe-'));
  const pipe = path.join(folder, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const reader = openSync(pipe, constants.O_RDWR);
  t.teardown(() => {
    closeSync(reader);
    rmSync(folder, { recursive: true, force: true });
  });
  const child = inProcess(
    `exec >'${pipe}';`,
    `const text = 'x'.repeat(2000);
     for (let n = 0; n < 1500; n += 1) notes.linkFailed({ link: 'l' + n, reason: 'busy', message: text });
     const lost = /result="lost"} (\\d+)/.exec(await telemetry.metrics())?.[1] ?? '0';
     process.stderr.write(lost);
     await telemetry.close();
     process.exit(7);`,
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [err, [code]] = await Promise.all([child.stderr.toArray(), once(child, 'exit')]);
  t.is(code, 7);
  t.true(Number(Buffer.concat(err).toString()) > 500, Buffer.concat(err).toString());
});
