import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadCatalog } from '../../src/field/catalog.ts';
import { ActionDesk } from '../../src/gateway/action-desk.ts';
import type { ActionOutput } from '../../src/model/action.ts';
import type { Opaque } from '../../src/model/point.ts';
import type { Site } from '../../src/model/site.ts';
import { ControlFake } from '../support/control-fake.ts';
import { eventually, fakeDevice, fakeLink, startField } from '../support/field-bench.ts';
import { freePort } from '../support/free-port.ts';
import { runCli, serveFake, startCli } from '../support/run-cli.ts';

const plugins = join(import.meta.dirname, '..', '..', 'plugins');
const never = new AbortController().signal;
const image = (unit: number, faults: readonly Opaque[] = []) => ({
  unit,
  model: 'image',
  faults,
  image: { holding: { '0': '0000 4366 8000 1234 0000 0001 0002 0003' } },
});

/** Two simulated devices on two links that are polled, with the actions of the release. */
async function startSite(t: ExecutionContext, faults: readonly Opaque[] = []) {
  const catalog = loadCatalog(plugins);
  const { field, sink } = startField(t, { catalog });
  const [first, second] = [await freePort(), await freePort()];
  const simulator = fakeLink('site', 'simulator', {
    listeners: [
      { port: first, units: [image(1, faults), image(2)] },
      { port: second, units: [image(1)] },
    ],
  });
  const links = [
    fakeLink('one', 'modbus-tcp', { host: '127.0.0.1', port: first }),
    fakeLink('two', 'modbus-tcp', { host: '127.0.0.1', port: second }),
  ];
  const devices = [
    ['a', 'one', 1],
    ['b', 'one', 2],
    ['c', 'two', 1],
  ].map(([id, link, unit]) =>
    fakeDevice(String(id), String(link), {
      address: { unit: Number(unit) },
      everyMs: 100,
      pointAddress: (n) => ({ table: 'holding', addr: n, type: 'uint16' }),
    }),
  );
  await field.apply([simulator], []);
  await eventually(t, 'the simulator', () => field.links().some(({ state }) => state === 'open'));
  await field.apply([simulator, ...links], devices);
  await eventually(t, 'values', () =>
    ['a', 'b', 'c'].every((id) => sink.of(id).some(({ quality }) => quality === 'good')),
  );
  const site = { links: [simulator, ...links], devices } as unknown as Site;
  const desk = new ActionDesk({ catalog, field, site: () => site });
  return { field, sink, desk, first, second, catalog };
}

async function serve(t: ExecutionContext) {
  const site = await startSite(t);
  const control = new ControlFake();
  control.offered = site.catalog.actions;
  control.onAction = (request, signal) => site.desk.run(request, signal);
  return { ...site, ...(await serveFake(t, control)) };
}

test.serial(
  'an exclusive action pauses the polls of its link alone, and they resume',
  async (t) => {
    const { desk, sink } = await startSite(t);
    const running = desk.run({ action: 'probe', device: 'a', args: {} }, never);
    t.is(running.link, 'one');
    t.is(running.pauses, 2);
    const outputs: ActionOutput[] = [];
    for await (const output of running.outputs) outputs.push(output);
    t.true(outputs.some(({ kind }) => kind === 'row'));
    const [a, b] = [sink.of('a').length, sink.of('b').length];
    await eventually(t, 'polls again', () => sink.of('a').length > a && sink.of('b').length > b);
  },
);

test.serial('an exclusive action that is called off gives the link back', async (t) => {
  const { desk, sink, field } = await startSite(t);
  const stop = new AbortController();
  const args = { count: 1_000 };
  const running = desk.run({ action: 'probe', device: 'a', args }, stop.signal);
  await t.throwsAsync(
    async () => {
      for await (const { kind } of running.outputs) {
        if (kind === 'progress') stop.abort(new Error('Ctrl-C'));
      }
    },
    { message: 'Ctrl-C' },
  );
  const a = sink.of('a').length;
  await eventually(t, 'polls again', () => sink.of('a').length > a);
  t.true(field.links().every(({ state }) => state === 'open'));
});

test.serial(
  'a driver process that dies in an action ends it, and its links are polled again',
  async (t) => {
    const { desk, sink, field } = await startSite(t);
    const running = desk.run({ action: 'probe', device: 'a', args: { count: 1_000 } }, never);
    const { pid } = field.drivers().find(({ plugin }) => plugin === 'modbus') ?? {};
    await t.throwsAsync(
      async () => {
        for await (const { kind } of running.outputs) {
          if (kind === 'progress') process.kill(pid ?? Number.NaN, 'SIGKILL');
        }
      },
      { code: 'DRIVER_FAILED' },
    );
    const a = sink.of('a').length;
    const isGood = ({ quality }: { readonly quality: string }) => quality === 'good';
    await eventually(t, 'polls again', () => sink.of('a').slice(a).some(isGood));
  },
);

test.serial(
  'while a link is taken its devices are not polled, and those of the others are',
  async (t) => {
    // Slow enough that the probe outlasts some polls.
    const { desk, sink } = await startSite(t, [{ kind: 'slow', ms: 20 }]);
    const running = desk.run({ action: 'probe', device: 'a', args: { count: 1_000 } }, never);
    let atBegin: { readonly b: number; readonly c: number } | undefined;
    for await (const output of running.outputs) {
      const now = { b: sink.of('b').length, c: sink.of('c').length };
      if (output.kind === 'progress') atBegin ??= now;
      if (atBegin === undefined || now.c < atBegin.c + 10) continue;
      // One poll of two points may have been on its way when the probe began.
      t.true(now.b <= atBegin.b + 2, `${now.b - atBegin.b} values of b`);
      return;
    }
    t.fail('the probe was over too soon');
  },
);

test.serial('an action is refused that nobody offers, or whose arguments do not fit', async (t) => {
  const { desk } = await startSite(t);
  const run = (request: Parameters<typeof desk.run>[0]) => () => desk.run(request, never);
  t.throws(run({ plugin: 'modbus', action: 'explode', args: {} }), { code: 'ACTION_UNKNOWN' });
  t.throws(run({ action: 'read', device: 'z', args: {} }), { code: 'DEVICE_UNKNOWN' });
  t.throws(run({ action: 'read', device: 'a', args: {} }), { message: /register/ });
  t.throws(run({ action: 'read', device: 'a', args: { register: '1', x: 1 } }), {
    message: /unknown: x/,
  });
  t.throws(run({ plugin: 'modbus', action: 'identify', args: {}, link: 'site' }), {
    message: /belongs to plugin simulator/,
  });
});

test.serial(
  'riser read DEVICE --register shows the raw registers through the live link',
  async (t) => {
    const { env } = await serve(t);
    const { code, stdout, stderr } = await runCli(t, ['read', 'a', '--register', '4x:40002'], env);
    t.is(code, 0, stderr);
    t.true(stdout.split('\n').every((line) => line.length <= 80));
    t.is(
      stdout.split('\n').slice(0, 14).join('\n'),
      `ADDRESS  TYPE     ABCD          CDAB         BADC         DCBA         PLAUSIBLE
      0  uint16   0             -            0            -
      0  int16    0             -            0            -
      0  uint32   17254         1130758144   26179        1715666944   ABCD BADC
      0  int32    17254         1130758144   26179        1715666944   ABCD BADC
      0  float32  2.4178e-41    230          3.6685e-41   2.3022e+23   CDAB
      0  uint64   7.4108e+13    1.3118e+18   1.1244e+14   3.7521e+18
      0  int64    7.4108e+13    1.3118e+18   1.1244e+14   3.7521e+18
      0  float64  3.6614e-310   5.6712e-221  5.5552e-310  7.1697e-58
      1  uint16   17254         -            26179        -            ABCD BADC
      1  int16    17254         -            26179        -            ABCD BADC
      1  uint32   1130790912    2147500902   1715667072   8414787      DCBA
      1  int32    1130790912    -2147466394  1715667072   8414787      DCBA
      1  float32  230.5         -2.4178e-41  2.3022e+23   1.1792e-38   ABCD`,
    );
  },
);

test.serial(
  'riser modbus scan finds the devices without the daemon, as a table and as JSON',
  async (t) => {
    const { first, second } = await startSite(t);
    const args = ['modbus', 'scan', 'tcp', '127.0.0.1', '--ports', `${first},${second}`];
    const env = { RISER_SOCKET: '/nonexistent/control.sock' };
    const { code, stdout, stderr } = await runCli(t, [...args, '--units', '1-2', '--json'], env);
    t.is(code, 0, stderr);
    const { rows, complete } = JSON.parse(stdout) as {
      rows: { port: number; unit: number }[];
      complete: boolean;
    };
    t.true(complete);
    t.deepEqual(
      rows.map(({ port, unit }) => `${port} ${unit}`).sort(),
      [`${first} 1`, `${first} 2`, `${second} 1`].sort(),
    );
    t.regex(stderr, /Plan: 1 host x port/);
  },
);

test.serial('Ctrl-C ends an action in the driver process and prints what was found', async (t) => {
  const { env, sink } = await serve(t);
  const { child, result } = await startCli(
    t,
    ['modbus', 'probe', 'a', '--count', '1000', '--yes', '--json'],
    env,
  );
  const told = new Promise<void>((resolve) => child.stderr?.once('data', () => resolve()));
  await told;
  child.kill('SIGINT');
  const { code, stdout } = await result;
  t.is(code, 130);
  t.false((JSON.parse(stdout) as { complete: boolean }).complete);
  const a = sink.of('a').length;
  await eventually(t, 'polls again', () => sink.of('a').length > a);
});

test.serial('what pauses a live bus is not begun without --yes', async (t) => {
  const { env, control } = await serve(t);
  const { code, stderr } = await runCli(t, ['modbus', 'probe', 'a'], env);
  t.is(code, 8);
  t.regex(stderr, /Link one is in use by 2 devices; polling on it pauses meanwhile\./);
  t.regex(stderr, /Add --yes/);
  t.deepEqual(
    control.ran.map(({ planOnly }) => planOnly),
    [true],
  );
});
