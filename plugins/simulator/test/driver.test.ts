import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import type { DeviceConfig, DriverError, DriverHost, Json } from '#driver';
import { freePort } from '../../../test/support/free-port.ts';
import createSimulator from '../index.ts';
import { SimulatedSite } from '../site.ts';
import { standaloneRuntime } from '../standalone.ts';
import { RawClient, request } from './raw-client.ts';

const soon = () => AbortSignal.timeout(5000);
const twoMeters = {
  listeners: [
    { port: 0, units: [{ unit: 1, model: 'meter' }] },
    {
      port: 0,
      units: [
        { unit: 1, model: 'meter' },
        { unit: 2, model: 'pump' },
      ],
    },
  ],
};
const counters = ['requests', 'connections', 'faultsInjected', 'cutOff'];

test('an open link offers each unit with the port that is really bound', async (t) => {
  const driver = openedDriver(t);
  await driver.connect(twoMeters, soon());
  const found = await discover(driver);
  t.is(found.length, 3);
  t.deepEqual(
    found.map(({ address }) => (address as { unit: number; model: string }).model),
    ['meter', 'meter', 'pump'],
  );
  for (const { address, key } of found) {
    const { host, port, unit } = address as { host: string; port: number; unit: number };
    t.is(key, `${host}:${port}/${unit}`);
    const client = await RawClient.open(port);
    const answer = await client.ask(request(1, unit, 43, [0x0e01], Buffer.from([0])));
    t.is(answer[7], 43);
    client.close();
  }
  t.is((await discover(driver, 2)).length, 2);
});

test('two units without a seed do not say the same', async (t) => {
  const driver = openedDriver(t);
  await driver.connect(twoMeters, soon());
  const answers: string[] = [];
  for (const { address } of (await discover(driver)).slice(0, 2)) {
    const { port, unit } = address as { port: number; unit: number };
    const client = await RawClient.open(port);
    answers.push((await client.ask(request(1, unit, 4, [0, 2]))).toString('hex'));
    client.close();
  }
  t.not(answers[0], answers[1]);
});

test('the counters of the simulator are points', async (t) => {
  const driver = openedDriver(t);
  await driver.connect(
    {
      listeners: [
        {
          port: 0,
          units: [{ unit: 1, model: 'meter', faults: [{ kind: 'exception', code: 4, every: 2 }] }],
        },
        { port: 0, units: [] },
      ],
    },
    soon(),
  );
  await driver.addDevice(device('sim', {}), soon());
  await driver.addDevice(device('second', { listener: 1 }), soon());
  const [found] = await discover(driver);
  const client = await RawClient.open((found!.address as { port: number }).port);
  t.teardown(() => client.close());
  for (let n = 0; n < 4; n++) await client.ask(request(n, 1, 4, [0, 2]));
  const points = counters.map((counter) => ({ pointId: counter, address: { counter } }));
  const values = async (id: string) =>
    (await driver.read(id, points, soon())).map(({ value }) => value);
  t.deepEqual(await values('sim'), [4, 1, 2, 0]);
  t.deepEqual(await values('second'), [0, 0, 0, 0]);
  const [other, missing] = await driver.read(
    'second',
    [
      { pointId: 'a', address: { counter: 'requests', listener: 0 } },
      { pointId: 'b', address: { counter: 'requests', listener: 7 } },
    ],
    soon(),
  );
  t.is(other?.value, 4);
  t.like(missing, { quality: 'bad', error: { kind: 'bad-address' } });
});

test('connect, close and connect a thousand times leave nothing open', async (t) => {
  const driver = openedDriver(t);
  await driver.connect(twoMeters, soon());
  await driver.close();
  const sockets = () =>
    process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
  for (let n = 0; n < 1000; n++) {
    await driver.connect(twoMeters, soon());
    await Promise.all([driver.close(), driver.close()]);
  }
  // Listening and closing take no turn of the event loop; handles are forgotten at the next one.
  await new Promise((resolve) => setTimeout(resolve, 1));
  // Other tests of this file run at the same time with a socket or two of their own.
  t.true(sockets() < 20, String(sockets()));
  t.is(driver.health().status, 'down');
});

test('closing ends connections, and the port is free at once', async (t) => {
  const driver = openedDriver(t);
  await driver.connect(twoMeters, soon());
  const [found] = await discover(driver);
  const { port } = found!.address as { port: number };
  const client = await RawClient.open(port);
  await client.ask(request(1, 1, 4, [0, 2]));
  await driver.close();
  await client.closed();
  await driver.connect({ listeners: [{ port, units: [] }] }, soon());
  t.is(driver.health().status, 'ok');
});

test('a port that is taken rejects with words about it and leaves nothing open', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  const driver = openedDriver(t);
  const config = {
    listeners: [
      { port: 0, units: [] },
      { port, units: [] },
    ],
  };
  const error = await rejection(driver.connect(config, soon()));
  t.is(error.kind, 'link-down');
  t.regex(error.message, new RegExp(`127\\.0\\.0\\.1:${port}: another program has this port`));
  t.is(driver.health().detail, error.message);
  t.deepEqual(await discover(driver), []);
});

test('a site that cannot be opened as a whole is not open at all', async (t) => {
  const free = await freePort();
  const config = { listeners: [free, free].map((port) => ({ port, units: [] })) };
  const site = new SimulatedSite(config, standaloneRuntime());
  await t.throwsAsync(site.open(soon()), { name: 'EndpointError' });
  await t.throwsAsync(RawClient.open(free), { code: 'ECONNREFUSED' });
});

test('closing while it opens leaves nothing open', async (t) => {
  const driver = openedDriver(t);
  const opening = rejection(driver.connect(twoMeters, soon()));
  await driver.close();
  t.is((await opening).kind, 'closed');
  t.is((await rejection(driver.connect(twoMeters, AbortSignal.abort()))).kind, 'closed');
  t.is(driver.health().status, 'down');
});

const wrongConfigs: ReadonlyArray<{ config: Json; path: string; message: RegExp }> = [
  { config: {}, path: '/link/listeners', message: /at least one endpoint/ },
  {
    config: { listeners: [{ units: [] }] },
    path: '/link/listeners/0/port',
    message: /whole number/,
  },
  {
    config: { listeners: [{ port: 5 }] },
    path: '/link/listeners/0/units',
    message: /list the devices/,
  },
  {
    config: {
      listeners: [
        { port: 5, units: [] },
        { port: 5, units: [] },
      ],
    },
    path: '/link/listeners/1/port',
    message: /another listener has 127\.0\.0\.1:5/,
  },
  {
    config: {
      listeners: [
        {
          port: 0,
          units: [
            { unit: 1, model: 'meter' },
            { unit: 1, model: 'pump' },
          ],
        },
      ],
    },
    path: '/link/listeners/0/units/1/unit',
    message: /unit 1 is there twice/,
  },
  {
    config: { listeners: [{ port: 0, units: [{ unit: 1, model: 'kettle' }] }] },
    path: '/link/listeners/0/units/0/model',
    message: /meter, pump, image or counter/,
  },
  {
    config: { listeners: [{ port: 0, units: [{ unit: 1, model: 'meter', seed: 5000 }] }] },
    path: '/link/listeners/0/units/0/seed',
    message: /0 to 4095/,
  },
  {
    config: {
      listeners: [
        { port: 0, units: [{ unit: 1, model: 'image', image: { input: { '0x00': '436' } } }] },
      ],
    },
    path: '/link/listeners/0/units/0/image',
    message: /"436" is not a word/,
  },
  {
    config: {
      listeners: [
        {
          port: 0,
          units: [
            { unit: 1, model: 'image', image: { input: { '0': '0001 0002', '0x0001': '0003' } } },
          ],
        },
      ],
    },
    path: '/link/listeners/0/units/0/image',
    message: /input 1 is given twice/,
  },
  {
    config: {
      listeners: [
        {
          port: 0,
          units: [{ unit: 1, model: 'meter', faults: [{ kind: 'dropUnits', units: [1] }] }],
        },
      ],
    },
    path: '/link/listeners/0/units/0/faults/0',
    message: /belongs to a listener/,
  },
  {
    config: {
      listeners: [{ port: 0, units: [], faults: [{ kind: 'refuseRange', from: 9, to: 3 }] }],
    },
    path: '/link/listeners/0/faults/0',
    message: /runs backwards, from 9 to 3/,
  },
  {
    config: {
      listeners: [{ port: 0, units: [], faults: [{ kind: 'silent', every: 2, probability: 0.5 }] }],
    },
    path: '/link/listeners/0/faults/0',
    message: /either every or probability/,
  },
];
for (const { config, path, message } of wrongConfigs) {
  test(`a wrong config is refused at ${path} (${message.source})`, async (t) => {
    const driver = openedDriver(t);
    const issues = driver.validateLink?.(config, []) ?? [];
    t.is(issues[0]?.path, path);
    t.regex(issues[0]!.message, message);
    t.is((await rejection(driver.connect(config, soon()))).kind, 'bad-address');
  });
}

test('devices and points of the simulator are checked before use', (t) => {
  const driver = openedDriver(t);
  const good = device('sim', { listener: 1 }, [{ counter: 'requests' }]);
  t.deepEqual(driver.validateDevice(good), []);
  t.deepEqual(driver.validateLink?.(twoMeters, [good]), []);
  const [issue] = driver.validateDevice(device('sim', {}, [{ counter: 'speed' }]));
  t.is(issue?.path, '/points/p0/counter');
  const [missing] = driver.validateLink?.(twoMeters, [device('sim', { listener: 2 })]) ?? [];
  t.is(missing?.path, '/devices/sim/address/listener');
});

test('the schemas accept what is meant and refuse what is mistyped', (t) => {
  const accepts = validator('link');
  const all: Json[] = [
    { kind: 'silent', every: 3 },
    { kind: 'late', ms: 400, poison: true, probability: 0.1 },
    { kind: 'slow', ms: 5, functions: [3, 4] },
    { kind: 'exception', code: 4, limit: 2 },
    { kind: 'busy', times: 2 },
    { kind: 'halfFrame', close: true },
    { kind: 'garbage', bytes: 300 },
    { kind: 'lengthLie', length: 0 },
    { kind: 'bytewise', ms: 2 },
    { kind: 'refuseRange', from: 4, to: 9 },
    { kind: 'maxRegisters', n: 60 },
    { kind: 'dropUnits', units: [3] },
    { kind: 'sleep', everyMs: 60_000, forMs: 1000 },
    ...['closeBeforeAnswer', 'reset', 'wrongTransaction', 'wrongUnit'].map((kind) => ({ kind })),
    ...['wrongFunction', 'shortData', 'duplicate'].map((kind) => ({ kind })),
  ];
  const image = { holding: { '0x0000': '4366 3333' }, coil: { '0': 1 } };
  t.true(accepts(twoMeters));
  t.true(
    accepts({
      seed: 3,
      listeners: [
        { port: 1502, units: [{ unit: 1, model: 'image', image }], faults: all, serialise: true },
      ],
    }),
  );
  const withFault = (fault: Json) => ({ listeners: [{ port: 0, units: [], faults: [fault] }] });
  for (const fault of [{ kind: 'late' }, { kind: 'explode' }, { kind: 'silent', evry: 2 }]) {
    t.false(accepts(withFault(fault)), JSON.stringify(fault));
  }
  t.false(accepts({ listeners: [] }));
  t.false(accepts({ listeners: [{ port: 70_000, units: [] }] }));
  t.false(accepts({ listeners: [{ port: 0, units: [], serialize: true }] }));
  t.true(validator('point')({ counter: 'requests', listener: 0 }));
  t.false(validator('point')({ counter: 'speed' }));
  t.true(validator('device')({}));
  t.false(validator('device')({ unit: 1 }));
});

function openedDriver(t: { teardown(run: () => Promise<void>): void }) {
  const driver = createSimulator(driverHost());
  t.teardown(() => driver.close());
  return driver;
}

function driverHost(): DriverHost {
  return {
    ...standaloneRuntime(),
    linkId: 'training',
    apiVersion: '1.0',
    metric: () => {},
    connectionLost: () => {},
  };
}

async function discover(driver: ReturnType<typeof createSimulator>, maxDevices = 100) {
  const found = [];
  const options = { limits: { maxDevices, maxRequestsPerSecond: 10 }, hints: {} };
  for await (const one of driver.discover!(options, soon())) found.push(one);
  return found;
}

function device(id: string, address: Json, points: readonly Json[] = []): DeviceConfig {
  return {
    id,
    address,
    options: {
      profile: {},
      points: points.map((p, n) => ({ pointId: `p${n}`, address: p, everyMs: 1000 })),
    },
  };
}

async function rejection(promise: Promise<unknown>): Promise<DriverError> {
  return await promise.then(
    () => {
      throw new Error('it did not reject');
    },
    (error: DriverError) => error,
  );
}

function validator(name: string) {
  const file = new URL(`../schema/${name}.schema.json`, import.meta.url);
  const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
  return ajv.compile(JSON.parse(readFileSync(file, 'utf8')));
}
