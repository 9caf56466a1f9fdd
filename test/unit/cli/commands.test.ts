import { once } from 'node:events';
import { chmod, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { outputSchemas } from '../../../src/cli/output-schemas.ts';
import { components } from '../../../src/http/schemas.ts';
import { ControlFake, envelope, latest } from '../../support/control-fake.ts';
import { runCli, serveFake, startCli } from '../../support/run-cli.ts';

const clock = (text: string) => text.replaceAll(/since \d\d:\d\d/g, 'since 09:41');

test('riser status prints the gateway at one look', async (t) => {
  const { env } = await serveFake(t);
  const { code, stdout, stderr } = await runCli(t, ['status'], env);
  t.is(code, 0);
  t.is(stderr, '');
  t.is(
    clock(stdout),
    `riser 1.0.0  gw-7f3a  "HQ North"  up 12 d 4 h
Collecting   2 of 3 devices   4 912 of 5 020 points fresh   4 900 good
Links        2 of 2 open   busiest plant-room 62 %
Upstream     connected to mqtts://in.example:8883 for 3 d 2 h, last ack 2 s ago
Outbox       12 waiting (oldest 3 s)   1 dead   1.2 % of 2 GiB
Drivers      fieldbus ok
             telemetry-x backoff (3rd restart): it used more memory than its
             limit of 128 MB
Modules      summary running
Needs attention (2)
 ! ahu-03: A device does not answer (1 h 12 min, since 09:41)
   No answer from unit 14 for 5 requests.
   → Check power and cabling of the device, then its unit id.
 ! acme-de: The cloud refused events for good (26 min, since 09:41)
   One event was refused with reason 0x99.
   → See "riser outbox status"; report the reason to the operator of the cloud.
`,
  );
});

test('riser read prints a table, and nothing else when all is well', async (t) => {
  const { env } = await serveFake(t);
  const { code, stdout, stderr } = await runCli(t, ['read', 'meter-1'], env);
  t.is(code, 0);
  t.is(stderr, '');
  t.is(
    stdout,
    `POINT                          VALUE  UNIT  QUALITY  AGE
ac.l1.voltage                  230.5  V     good     0 s
energy.import   18446744073709551615  kWh   good     0 s
breaker.closed                  true        good     0 s
ac.l1.current                      0  A     good     0 s
`,
  );
});

test('riser read says in words why a point is bad, and never shows it as a number', async (t) => {
  const control = new ControlFake();
  control.latestValues = [
    latest('ahu-03', 'fan.speed', 40, { unit: '%' }),
    latest('ahu-03', 'supply.temperature', null, { reason: 'timeout', unit: 'Cel' }),
    latest('ahu-03', 'valve', null, { reason: 'refused' }),
    latest('ahu-03', 'flow', 9999, { quality: 'uncertain', reason: 'out-of-range', unit: 'm3/h' }),
  ];
  const { env } = await serveFake(t, control);
  const { code, stdout } = await runCli(t, ['read', 'ahu-03'], env);
  t.is(code, 5);
  t.is(
    stdout,
    `POINT               VALUE  UNIT  QUALITY                  AGE
fan.speed              40  %     good                     0 s
supply.temperature      -  °C    bad: timeout             0 s
valve                   -        bad: refused             0 s
flow                 9999  m³/h  uncertain: out-of-range  0 s
 ! supply.temperature: was asked for, but its device did not answer
   → Check power and cabling of the device, then its unit id.
 ! valve: was refused by its device
   → Compare table, address and unit id with the register list of the device.
 ! flow: has a value outside the range of its profile
   → Compare with the display of the device; correct scale or range in the
     profile.
`,
  );
});

test('riser read takes some points, by name or whole id, and --last does not ask the device', async (t) => {
  const { env, control } = await serveFake(t);
  const points = ['ac.l1.current', 'meter-1/ac.l1.voltage'];
  const asked = await runCli(t, ['read', 'meter-1', ...points], env);
  t.is(asked.code, 0);
  t.deepEqual(control.reads, [{ device: 'meter-1', points: ['ac.l1.current', 'ac.l1.voltage'] }]);
  const last = await runCli(t, ['read', '--last', 'meter-1', ...points], env);
  t.is(last.code, 0);
  t.is(last.stdout.split('\n').length, 4);
  t.is(control.reads.length, 1);
  t.is((await runCli(t, ['read', '--last', 'meter-1', 'nope'], env)).code, 9);
});

test('riser watch prints what stands, then only what changes', async (t) => {
  const { env, control } = await serveFake(t);
  const running = await startCli(t, ['watch', 'pv-roof', '--count', '3'], env);
  await once(running.child.stderr!, 'data');
  const at = { time: Date.UTC(2026, 10, 20, 9, 41, 7), unit: 'W' };
  control.commit(latest('pv-roof', 'ac.power', 4100, at));
  control.commit(latest('pv-roof', 'ac.power', 4100, at), latest('meter-1', 'ac.l1.current', 7));
  control.commit(latest('pv-roof', 'ac.power', null, { ...at, reason: 'timeout' }));
  const { code, stdout, stderr } = await running.result;
  t.is(code, 0);
  t.regex(stderr, /^watching pv-roof; Ctrl-C ends\n$/);
  const [first, ...rest] = stdout.split('\n');
  t.regex(first!, / {2}pv-roof\/ac\.power {20} {2} +4200 W {2}uncertain: out-of-range$/);
  t.deepEqual(rest, [
    '09:41:07  pv-roof/ac.power                              4100 W',
    '09:41:07  pv-roof/ac.power                                 - W  bad: timeout',
    '',
  ]);
});

test('riser watch --jsonl prints one document a line', async (t) => {
  const { env, control } = await serveFake(t);
  const running = await startCli(t, ['watch', '--jsonl', '--count', '2'], env);
  while (control.listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
  control.commit(latest('meter-1', 'a', 1), latest('meter-1', 'b', 2));
  const { stdout } = await running.result;
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { value: number });
  t.deepEqual(
    lines.map(({ value }) => value),
    [1, 2],
  );
});

test('Ctrl-C ends a watch with 130 and without a complaint', async (t) => {
  const { env, control } = await serveFake(t);
  const running = await startCli(t, ['watch'], env);
  await once(running.child.stderr!, 'data');
  running.child.kill('SIGINT');
  const { code, stderr } = await running.result;
  t.is(code, 130);
  t.notRegex(stderr, /riser:/);
  while (control.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  t.is(control.listeners.size, 0);
});

test('Ctrl-C ends a read with 130, and the daemon stops reading', async (t) => {
  const { env, control } = await serveFake(t);
  const asked = Promise.withResolvers<AbortSignal>();
  control.beforeRead = async (signal) => {
    asked.resolve(signal);
    await once(signal, 'abort');
  };
  const running = await startCli(t, ['read', 'meter-1', '--json'], env);
  const signal = await asked.promise;
  running.child.kill('SIGINT');
  const { code, stdout } = await running.result;
  t.is(code, 130);
  t.like(JSON.parse(stdout), { schema: 'riser.error/1', exit: 130, code: 'INTERRUPTED' });
  if (!signal.aborted) await once(signal, 'abort');
  t.true(signal.aborted);
});

test('a reader that goes away ends a watch with 0 and without a complaint', async (t) => {
  const { env, control } = await serveFake(t);
  const running = await startCli(t, ['watch', '--all'], env);
  await once(running.child.stderr!, 'data');
  running.child.stdout!.destroy();
  const feed = setInterval(() => control.commit(latest('meter-1', 'a', 1)), 20);
  t.teardown(() => clearInterval(feed));
  const [code] = await once(running.child, 'exit');
  t.is(code, 0);
});

test('a watch that the daemon ends says so with 3', async (t) => {
  const { env, server } = await serveFake(t);
  const running = await startCli(t, ['watch'], env);
  await once(running.child.stderr!, 'data');
  await server.close();
  const { code, stderr } = await running.result;
  t.is(code, 3);
  t.regex(stderr, /the daemon ended the watch/);
});

test('riser outbox status prints what waits, what is lost and what was refused', async (t) => {
  const { env, control } = await serveFake(t);
  const { outbox } = control.current;
  control.current = { ...control.current, outbox: { ...outbox, commitP50Ms: 2.0561929999 } };
  const { code, stdout } = await runCli(t, ['outbox', 'status'], env);
  t.is(code, 0);
  t.is(
    stdout,
    `Waiting      12 events, the oldest for 3 s
Lost         0 events, each declared to the cloud by a gap event
Disk         25 MiB, 1.2 % of 2 GiB
Commits      half within 2.1 ms, 99 % within 9.4 ms
Streams (2)
 TENANT   LANE   EPOCH   OLDEST  NEXT     HELD
 acme-de  live   k3f9c2       1     7  1.2 KiB
 acme-de  alarm  k3f9c2       1     2    311 B
Dead letters (1)
 ! acme-de/live 99412, 40 events, 2026-11-19T22:05:11.000Z
   refused by the broker with reason 0x99 (payload format invalid)
`,
  );
});

test('riser outbox peek prints envelopes and how to go on', async (t) => {
  const { env } = await serveFake(t);
  const { code, stdout, stderr } = await runCli(t, ['outbox', 'peek', '--limit', '1'], env);
  t.is(code, 0);
  t.is(
    stdout,
    `1  riser.readings.v1  2026-11-20T09:41:00.120Z  //gw-7f3a/acme-de/live  (k3f9c2.1)
    meter-1/ac.l1.voltage  230.5
    ahu-03/supply.temperature  -  timeout  +40 ms
`,
  );
  t.is(stderr, 'next: riser outbox peek --tenant acme-de --lane live --after 2\n');
});

test('riser outbox export writes every envelope, to stdout or to a file that it does not overwrite', async (t) => {
  const { env, control, folder } = await serveFake(t);
  const all = Array.from({ length: 500 }, (_, index) => envelope(index * 2 + 1));
  control.envelopes = new Map([['acme-de/live', all]]);
  const expected = `${all.join('\n')}\n`;
  t.is((await runCli(t, ['outbox', 'export'], env)).stdout, expected);

  const file = path.join(folder, 'out.ndjson');
  const first = await runCli(t, ['outbox', 'export', file], env);
  t.is(first.code, 0, first.stderr);
  t.regex(first.stdout, /500 envelopes/);
  t.is(await readFile(file, 'utf8'), expected);
  t.is((await stat(file)).mode & 0o777, 0o600);

  control.envelopes = new Map([['acme-de/live', [envelope(1)]]]);
  const second = await runCli(t, ['outbox', 'export', file], env);
  t.is(second.code, 8);
  t.regex(second.stderr, /exists already/);
  t.is(await readFile(file, 'utf8'), expected);
  t.is((await runCli(t, ['outbox', 'export', file, '--yes'], env)).code, 0);
  t.is(await readFile(file, 'utf8'), `${envelope(1)}\n`);
});

test('an export that the daemon breaks off leaves no file and fails', async (t) => {
  const { env, control, folder } = await serveFake(t);
  const peek = control.peek.bind(control);
  control.envelopes = new Map([
    ['acme-de/live', Array.from({ length: 100 }, (_, index) => envelope(index * 2 + 1))],
  ]);
  control.peek = async (...args) => {
    if (args[2] > 50) throw new Error('the disk is gone');
    return await peek(...args);
  };
  const { code, stderr } = await runCli(t, ['outbox', 'export', path.join(folder, 'x')], env);
  t.is(code, 3, stderr);
  t.deepEqual(await readdir(folder), ['control.sock']);
});

test('riser config apply prints what changed', async (t) => {
  const { env } = await serveFake(t);
  const { code, stdout } = await runCli(t, ['config', 'apply'], env);
  t.is(code, 0);
  t.is(
    stdout,
    `added        meter-2
changed      ahu-03
restart for  http.port
Configuration 5b1c22d3 is running.
`,
  );
});

test('a configuration that is refused is told with file, line and caret', async (t) => {
  const { env, control } = await serveFake(t);
  control.applied = {
    ...control.applied,
    applied: false,
    findings: [
      {
        severity: 'error',
        code: 'E1203',
        file: 'devices.d/plant.yaml',
        line: 4,
        column: 13,
        pointer: '/devices/0/driver',
        message: 'there is no driver "tpc"\u001b[2J',
        hint: 'did you mean "tcp"?',
        excerpt: '    driver: tpc',
      },
    ],
  };
  const { code, stdout } = await runCli(t, ['config', 'apply'], env);
  t.is(code, 4);
  t.is(
    stdout,
    `devices.d/plant.yaml:4:13 error E1203 /devices/0/driver: there is no driver "tpc" [2J — did you mean "tcp"?
    4 |     driver: tpc
      |             ^
1 error in 1 file.
The running configuration is unchanged.
`,
  );
});

test('riser config validate works without a daemon, and its formats agree', async (t) => {
  const { folder, env } = await serveFake(t);
  const dir = path.join(folder, 'etc');
  await mkdir(dir);
  await writeFile(path.join(dir, 'riser.yaml'), 'gateway:\n  id: gw-1\n');
  t.is((await runCli(t, ['config', 'validate', dir], env)).code, 0);

  await writeFile(path.join(dir, 'riser.yaml'), 'gateway:\n  id: gw-1\n  titel: HQ\n');
  const text = await runCli(t, ['config', 'validate', dir], { RISER_SOCKET: '/nowhere' });
  t.is(text.code, 4);
  t.regex(text.stdout, /^riser\.yaml:3:3 error E\d+ .*titel.*did you mean "title"\?\n/);
  const github = await runCli(t, ['config', 'validate', dir, '--format', 'github']);
  t.is(github.code, 4);
  t.regex(github.stdout, /^::error file=riser\.yaml,line=3,col=3,/);
  const json = await runCli(t, ['config', 'validate', '--format', 'json'], { RISER_CONFIG: dir });
  t.is(json.code, 4);
  t.like(JSON.parse(json.stdout), { schema: 'riser.config-validation/1', valid: false, errors: 1 });
  t.is((await runCli(t, ['config', 'validate', path.join(folder, 'missing')])).code, 4);
});

test('riser config validate asks the drivers for what only they know', async (t) => {
  const { folder } = await serveFake(t);
  const dir = path.join(folder, 'etc');
  await cp('config/examples/small', dir, { recursive: true });
  const devices = path.join(dir, 'devices.d/plant.yaml');
  t.is((await runCli(t, ['config', 'validate', dir])).stdout, 'No errors, no warnings.\n');

  const text = await readFile(devices, 'utf8');
  await writeFile(devices, text.replace('unit: 7', 'unit: 1'));
  const { code, stdout } = await runCli(t, ['config', 'validate', dir]);
  t.is(code, 4);
  t.regex(stdout, /^devices\.d\/plant\.yaml:20:\d+ error .*unit 1 is taken by device meter-main/);
});

test('riser config show masks secrets and says where a setting comes from', async (t) => {
  const { folder } = await serveFake(t);
  const dir = path.join(folder, 'etc');
  await mkdir(dir);
  await writeFile(
    path.join(dir, 'riser.yaml'),
    'gateway:\n  id: gw-1\nuplink:\n  password: { env: CANARY_VARIABLE }\n',
  );
  const env = { CANARY_VARIABLE: 'CANARY-3', RISER_GATEWAY_TITLE: 'HQ' };
  const { code, stdout } = await runCli(t, ['config', 'show', dir, '--origin'], env);
  t.is(code, 0);
  t.regex(stdout, /^gateway\.id +"gw-1" {2}# riser\.yaml:2$/m);
  t.regex(stdout, /^gateway\.title +"HQ" {2}# env RISER_GATEWAY_TITLE$/m);
  t.regex(stdout, /^http\.port .* # default$/m);
  t.notRegex(stdout, /CANARY-3/);
});

test('text of a device cannot move the cursor of a terminal', async (t) => {
  const control = new ControlFake();
  const hostile = 'x\u001b[2J\u001b]0;owned\u0007\u202e';
  control.latestValues = [latest('meter-1', 'state', hostile, { unit: hostile })];
  control.envelopes = new Map([
    ['acme-de/live', [envelope(1, 'live', { n: 1, points: [hostile], r: [[0, 0, hostile]] })]],
  ]);
  const { env } = await serveFake(t, control);
  for (const args of [
    ['read', 'meter-1'],
    ['outbox', 'peek'],
    ['read', hostile],
  ]) {
    const { stdout, stderr } = await runCli(t, args, env);
    t.notRegex(`${stdout}${stderr}`.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u, args.join(' '));
  }
});

test('colours are for terminals only, and NO_COLOR forbids them', async (t) => {
  const { env } = await serveFake(t);
  const coloured = await runCli(t, ['status'], { ...env, FORCE_COLOR: '1' });
  t.true(coloured.stdout.includes('\u001b['));
  for (const more of [{}, { FORCE_COLOR: '1', NO_COLOR: '1' }]) {
    t.false((await runCli(t, ['status'], { ...env, ...more })).stdout.includes('\u001b['));
  }
  const plain = await runCli(t, ['status', '--no-color'], { ...env, FORCE_COLOR: '1' });
  t.false(plain.stdout.includes('\u001b['));
});

test('every --json document has the form that its schema name promises', async (t) => {
  const { env, folder, control } = await serveFake(t);
  control.onAction = ({ action }) => ({
    plugin: 'modbus',
    name: action,
    columns: [{ key: 'object', title: 'OBJECT' }],
    link: 'plant-room',
    pauses: 0,
    outputs: (async function* () {
      yield { kind: 'row', row: { object: 'vendor' } } as const;
      yield { kind: 'note', level: 'info', text: 'that is all' } as const;
    })(),
  });
  const dir = path.join(folder, 'etc');
  await mkdir(dir);
  await writeFile(path.join(dir, 'riser.yaml'), 'gateway:\n  id: gw-1\n');
  const commands: readonly (readonly [name: string, args: readonly string[]])[] = [
    ['riser.status/1', ['status']],
    ['riser.read/1', ['read', 'ahu-03']],
    ['riser.watch/1', ['watch', 'pv-roof', '--count', '1']],
    ['riser.action/1', ['modbus', 'identify', 'meter-1']],
    ['riser.action-row/1', ['modbus', 'identify', 'meter-1', '--jsonl']],
    ['riser.demo/1', ['demo', '--for', '4s']],
    ['riser.outbox-status/1', ['outbox', 'status']],
    ['riser.outbox-peek/1', ['outbox', 'peek']],
    ['riser.outbox-export/1', ['outbox', 'export', path.join(folder, 'out')]],
    ['riser.ready/1', ['ready']],
    ['riser.version/1', ['version']],
    ['riser.config-show/1', ['config', 'show', dir]],
    ['riser.config-validation/1', ['config', 'validate', dir]],
    ['riser.config-apply/1', ['config', 'apply']],
    ['riser.exit-codes/1', ['help', 'exit-codes']],
    ['riser.error/1', ['read', 'boiler']],
  ];
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  for (const [name, args] of commands) {
    const { stdout, stderr } = await runCli(t, [...args, '--json'], env);
    const document = JSON.parse(stdout) as { schema: string };
    t.is(document.schema, name, stderr);
    const matches = ajv.compile({
      ...outputSchemas[name]!.schema,
      components: { schemas: components },
    });
    t.true(matches(document), `${name}: ${JSON.stringify(matches.errors)}`);
  }
  t.deepEqual(commands.map(([name]) => name).toSorted(), Object.keys(outputSchemas).toSorted());
});

const exits: readonly (readonly [
  what: string,
  code: number,
  args: readonly string[],
  stderr: RegExp,
])[] = [
  ['all well', 0, ['ready'], /^$/],
  ['help', 0, ['read', '--help'], /^$/],
  ['a failed read of every point', 1, ['read', 'all-bad'], /^$/],
  ['no command', 2, [], /Usage: riser/],
  ['an unknown command', 2, ['stauts'], /Did you mean status\?/],
  ['an unknown option', 2, ['status', '--colour'], /unknown option '--colour'/],
  ['a missing argument', 2, ['read'], /missing required argument 'device'/],
  ['too many arguments', 2, ['status', 'now'], /too many arguments/],
  ['an option without its value', 2, ['status', '--timeout'], /argument missing/],
  ['a time that is none', 2, ['status', '--timeout', 'soon'], /--timeout takes seconds/],
  ['a device that cannot be one', 2, ['read', 'AHU 3'], /must match pattern/],
  ['a format that there is not', 2, ['config', 'validate', '--format', 'xml'], /--format takes/],
  ['an unknown help topic', 2, ['help', 'nothing'], /there is no command/],
  [
    'a socket that is not there',
    3,
    ['status', '--socket', '/nowhere/x.sock'],
    /systemctl start riser/,
  ],
  ['a folder that is not there', 4, ['config', 'show', '/nowhere'], /there is no folder/],
  ['some bad points', 5, ['read', 'some-bad'], /^$/],
  [
    'a daemon that takes too long',
    7,
    ['read', 'slow', '--timeout', '0.3'],
    /did not answer within 0\.3 s/,
  ],
  ['an unknown device', 9, ['read', 'boiler'], /there is no device "boiler"/],
  ['an unknown device to watch', 9, ['watch', 'boiler'], /there is no device "boiler"/],
  ['an unknown point', 9, ['read', 'meter-1', 'nope'], /has no point "nope"/],
  ['an unknown stream', 9, ['outbox', 'peek', '--tenant', 'globex'], /no stream globex\/live/],
  ['an empty stream', 9, ['outbox', 'peek', '--after', '9'], /nothing is held/],
];
for (const [what, code, args, stderr] of exits) {
  test(`exit code ${code} for ${what}`, async (t) => {
    const control = new ControlFake();
    control.latestValues = [
      ...control.latestValues,
      latest('all-bad', 'a', null, { reason: 'timeout' }),
      latest('some-bad', 'a', null, { reason: 'timeout' }),
      latest('some-bad', 'b', 1),
      latest('slow', 'a', 1),
    ];
    control.beforeRead = async (signal) => {
      if (control.reads.at(-1)?.device === 'slow') await once(signal, 'abort');
    };
    const { env } = await serveFake(t, control);
    const result = await runCli(t, args, env);
    t.is(result.code, code, result.stderr);
    t.regex(result.stderr, stderr);
  });
}

test('exit code 1 for a gateway that is not ready', async (t) => {
  const { env, control } = await serveFake(t);
  control.current = { ...control.current, ready: false, mode: 'starting' };
  const { code, stdout } = await runCli(t, ['ready'], env);
  t.is(code, 1);
  t.is(stdout, 'not ready: starting\n');
});

test('exit code 3 for the socket of a killed daemon, and for one that hangs up', async (t) => {
  const { folder, server, socket, env } = await serveFake(t);
  await server.close();
  const dead = path.join(folder, 'dead.sock');
  await writeFile(dead, '');
  t.is((await runCli(t, ['status', '--socket', dead])).code, 3);
  const rude = createServer((connection) => connection.destroy()).listen(socket);
  await once(rude, 'listening');
  t.teardown(() => void rude.close());
  const { code, stderr } = await runCli(t, ['status'], env);
  t.is(code, 3);
  t.regex(stderr, /closed the connection/);
});

test('exit code 6 for a socket that one may not use', async (t) => {
  const { env, socket } = await serveFake(t);
  await chmod(socket, 0);
  // For root nothing is forbidden, so the command runs as another user then.
  const uid = process.getuid?.() === 0 ? 65_534 : undefined;
  const { code, stderr } = await (await startCli(t, ['status'], env, uid)).result;
  t.is(code, 6, stderr);
  t.regex(stderr, /member of group riser/);
});

test('riser version does not need a daemon, and agrees with riser --version', async (t) => {
  const long = await runCli(t, ['version'], { RISER_SOCKET: '/nowhere' });
  t.regex(long.stdout, /^riser \d+\.\d+\.\d+ {2}node v\d+/);
  t.is((await runCli(t, ['--version'])).stdout, long.stdout);
});
