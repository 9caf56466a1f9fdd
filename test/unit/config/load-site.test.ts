import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type LoadSiteOptions, loadSettingsOf, loadSite } from '../../../src/config/load-site.ts';
import type { InstalledDriver } from '../../../src/model/installed-driver.ts';
import type { Opaque } from '../../../src/model/point.ts';
import type { Finding } from '../../../src/model/site.ts';
import {
  goodSite,
  otherDriver,
  registerDriver,
  type SiteFiles,
  siteFolder,
} from '../../support/site-folder.ts';

const root = join(import.meta.dirname, '../../..');
const fixtures = join(import.meta.dirname, 'fixtures');

const load = async (dir: string, more: Partial<LoadSiteOptions> = {}) =>
  await loadSite({
    dir,
    env: {},
    drivers: [registerDriver, otherDriver],
    hostname: 'host',
    ...more,
  });

const told = (findings: readonly Finding[]) =>
  findings.map(
    (f) =>
      `${f.file}:${f.line} ${f.code} ${f.message}${f.hint === undefined ? '' : ` — ${f.hint}`}`,
  );

test('without any file there is a site: the defaults, one tenant, the name of the host', async (t) => {
  const { site, findings, origins } = await load('/nonexistent/riser', {
    hostname: 'Pi_4.Example.org',
  });
  t.deepEqual(findings, []);
  t.is(site?.settings.gateway.id as string, 'pi-4');
  t.is(site?.settings.gateway.tenant as string, 'default');
  t.deepEqual(
    site?.tenants.map((tenant) => tenant.id as string),
    ['default'],
  );
  t.is(site?.settings.outbox.maxBytes, 2 * 1024 ** 3);
  t.is(site?.settings.uplink.password, null);
  t.is(origins.get('gateway.id'), 'default');
  t.deepEqual(site?.devices, []);
});

test('a later source wins: default, riser.yaml, conf.d by name, environment, flag', async (t) => {
  const sources: readonly [
    string,
    Partial<LoadSiteOptions> & { files?: SiteFiles },
    number,
    string,
  ][] = [
    ['nothing', {}, 16, 'default'],
    ['riser.yaml', { files: { 'riser.yaml': '# c\nuplink:\n  window: 2\n' } }, 2, 'riser.yaml:3'],
    ['conf.d', { files: { 'conf.d/10-a.yaml': 'uplink: { window: 3 }' } }, 3, 'conf.d/10-a.yaml:1'],
    [
      'a later conf.d',
      { files: { 'conf.d/20-b.yaml': 'uplink: { window: 4 }' } },
      4,
      'conf.d/20-b.yaml:1',
    ],
    ['environment', { env: { RISER_UPLINK_WINDOW: '5' } }, 5, 'env RISER_UPLINK_WINDOW'],
    ['flag', { flags: { 'uplink.window': '6' } }, 6, 'flag --uplink.window'],
  ];
  const { dir, write } = siteFolder(t, {});
  let more: Partial<LoadSiteOptions> = {};
  for (const [name, { files, ...options }, window, origin] of sources) {
    write(files ?? {});
    more = { ...more, ...options };
    const { site, findings, origins } = await load(dir, more);
    t.deepEqual(findings, [], name);
    t.is(site?.settings.uplink.window, window, name);
    t.is(origins.get('uplink.window'), origin, name);
    t.is(site?.settings.uplink.keepaliveS, 30, 'its neighbours stay');
  }
});

test('a variable or flag with a wrong value is refused and never half understood', async (t) => {
  const wrong = [
    { RISER_UPLINK_WINDOW: '12abc' },
    { RISER_UPLINK_WINDOW: '' },
    { RISER_UPLINK_WINDOW: '0' },
    { RISER_UPLINK_WINDOW: '1e2' },
    { RISER_BROKER_ENABLED: 'maybe' },
    { RISER_LOG_LEVEL: 'loud' },
    { RISER_GATEWAY_ID: 'Not An Id' },
  ];
  for (const env of wrong) {
    const { site, findings } = await load('/nonexistent', { env });
    t.is(site, undefined, JSON.stringify(env));
    t.deepEqual(
      findings.map((f) => [f.code, f.file]),
      [['E1801', 'environment']],
    );
  }
  for (const [flags, code] of [
    [{ 'uplink.window': 'x' }, 'E1803'],
    [{ 'uplink.windwo': 3 }, 'E1804'],
    [{ 'uplink.password': 'hunter2' }, 'E1803'],
  ] as const) {
    const { findings } = await load('/nonexistent', { flags });
    t.deepEqual(
      findings.map((f) => f.code),
      [code],
    );
    t.false(JSON.stringify(findings).includes('hunter2'));
  }
  t.is(
    (await load('/nonexistent', { flags: { 'uplink.windwo': 3 } })).findings[0]?.hint,
    'did you mean "uplink.window"?',
  );
});

test('a variable that looks like a setting but is none is named; other variables are nobody’s business', async (t) => {
  const env = { RISER_UPLINK_WINDOWS: '3', RISER_CONFIG: '/x', PATH: '/bin', RISER_SOCKET: '/x' };
  const { site, findings } = await load('/nonexistent', { env });
  t.deepEqual(
    findings.map((f) => [f.code, f.hint]),
    [['W1802', 'did you mean "RISER_UPLINK_WINDOW"?']],
  );
  t.not(site, undefined);
});

test('a secret in the environment becomes a reference, and its text is nowhere', async (t) => {
  const env = { RISER_UPLINK_PASSWORD: 'hunter2' };
  const { site, findings, origins } = await load('/nonexistent', { env });
  t.deepEqual(findings, []);
  t.deepEqual(site?.settings.uplink.password, { env: 'RISER_UPLINK_PASSWORD' });
  t.is(origins.get('uplink.password'), 'env RISER_UPLINK_PASSWORD');
  t.false(JSON.stringify(site).includes('hunter2'));
});

test('a secret that cannot be read is an error, but the gateway still gets its site', async (t) => {
  const { dir } = siteFolder(t, {
    'riser.yaml': 'uplink: { password: { credential: nothing } }',
  });
  const { site, findings } = await load(dir);
  t.deepEqual(
    findings.map((f) => [f.code, f.severity, f.line]),
    [['E1602', 'error', 1]],
  );
  t.not(site, undefined);
});

test('points come from profile, table and device, and are split between record and driver', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const { site, findings } = await load(dir);
  t.deepEqual(findings, []);
  const [meter, pump] = site?.devices ?? [];
  t.deepEqual(meter?.groups, [
    { name: 'fast', intervalMs: 1000 },
    { name: 'slow', intervalMs: 30000 },
  ]);
  t.deepEqual(Object.keys(meter?.profileOptions ?? {}).sort(), [
    'defaults',
    'kind',
    'limits',
    'register',
  ]);
  t.is(meter?.profile?.version, '1.2.0');
  t.like(meter?.points[0], {
    id: 'meter/ac.voltage',
    title: 'Voltage',
    lane: 'live',
    range: [0, 600],
    deadband: { abs: 0.5 },
    address: { addr: 0, table: 'input', type: 'float32' },
  });
  t.like(meter?.points[1], {
    class: 'counter',
    lane: 'bulk',
    scale: 0.1,
    offset: 1,
    counter: { decrease: 'suspect', confirm: 3 },
    address: { addr: 2, table: 'input', type: 'float32' },
  });
  const [, , power, fault] = meter?.points ?? [];
  t.is(power?.scale, undefined);
  t.deepEqual(power?.address, {
    addr: '30005',
    scale: { point: 'energy' },
    table: 'input',
    type: 'float32',
  });
  t.like(fault, { lane: 'alarm', tenant: 'beta', class: 'alarm' });
  t.deepEqual(
    pump?.points.map((point) => [
      point.id as string,
      point.title,
      point.scale,
      point.range,
      point.address,
    ]),
    [
      ['pump/flow', 'Flow', 0.1, [-40, 120], { addr: 100, table: 'holding', type: 'int16' }],
      ['pump/return', 'Return', 0.1, [-40, 120], { addr: 101, table: 'holding', type: 'int16' }],
    ],
  );
  t.is(site?.devices.length, 2, 'a device that is not enabled is checked and left out');
});

test('the revision is one of the meaning: comments and the order of keys do not change it, a value does', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const revision = async () => (await load(dir)).site?.revision;
  const first = await revision();
  t.regex(first ?? '', /^[0-9a-f]{64}$/);
  const links = goodSite['links.d/plant.yaml'];
  write({
    'links.d/plant.yaml': links.replace(
      '      host: 10.0.0.1\n      port: 502\n',
      '      port: 502 # the usual\n      host: 10.0.0.1\n',
    ),
  });
  t.is(await revision(), first);
  write({ 'links.d/plant.yaml': links.replace('502', '503') });
  t.not(await revision(), first);
});

test('published rules refuse profiles without sources, without tests, or with an undeclared group', async (t) => {
  const expected: Readonly<Record<string, readonly [string, number][]>> = {
    'good.yaml': [],
    'no-sources.yaml': [['E1202', 2]],
    'no-tests.yaml': [['E1202', 2]],
    'neither.yaml': [
      ['E1202', 2],
      ['E1202', 2],
    ],
    'undeclared-group.yaml': [['E1401', 13]],
  };
  for (const [name, findings] of Object.entries(expected)) {
    const { dir } = siteFolder(t, { [`profiles.d/${name}`]: readFileSync(join(fixtures, name)) });
    const result = await load(dir);
    t.deepEqual(
      result.findings.map((f) => [f.code, f.line]),
      findings,
      told(result.findings).join('\n'),
    );
  }
});

const profile = (
  id: string,
  version: string,
  more = '',
  points = '  - { id: a, addr: 1, group: fast }',
) =>
  `schema: riser.profile/1
id: ${id}
version: ${version}
kind: register
device: { manufacturer: x, models: [y], category: z }
sources: [{ title: x }]
groups: { fast: { intervalMs: 1000 } }
tests: [{ name: x }]
${more}
points:
${points}
`;

const deviceWith = (reference: string) => ({
  'links.d/l.yaml':
    'schema: riser.links/1\nlinks: [{ id: l, driver: register-tcp, config: { host: h } }]\n',
  'devices.d/d.yaml': `schema: riser.devices/1\ndevices: [{ id: d, tenant: default, link: l, profile: ${reference}, address: { unit: 1 } }]\n`,
});

test('a reference takes the newest version that fits', async (t) => {
  for (const [reference, version] of [
    ['t.t', '2.0.0'],
    ['t.t@1', '1.10.0'],
    ['t.t@1.2', '1.2.0'],
    ['t.t@1.2.0', '1.2.0'],
  ] as const) {
    const { dir } = siteFolder(t, {
      ...deviceWith(reference),
      'profiles.d/a.yaml': profile('t.t', '1.2.0'),
      'profiles.d/b.yaml': profile('t.t', '1.10.0'),
      'profiles.d/c.yaml': profile('t.t', '2.0.0'),
    });
    t.is((await load(dir)).site?.devices[0]?.profile?.version, version, reference);
  }
});

test('a profile takes over one other and may change its points, but not a chain of them', async (t) => {
  const { dir, write } = siteFolder(t, {
    ...deviceWith('t.child'),
    'profiles.d/base.yaml': profile(
      't.base',
      '1.0.0',
      'defaults: { type: int16 }',
      '  - { id: a, addr: 1, group: fast }\n  - { id: b, addr: 2 }',
    ),
    'profiles.d/child.yaml': profile(
      't.child',
      '1.0.0',
      'extends: t.base',
      '  - { id: b, addr: 7, unit: V }\n  - { id: c, addr: 9 }',
    ),
  });
  const { site, findings } = await load(dir);
  t.deepEqual(findings, []);
  t.deepEqual(
    site?.devices[0]?.points.map((point) => [point.name, point.address]),
    [
      ['a', { addr: 1, type: 'int16' }],
      ['b', { addr: 7, type: 'int16' }],
      ['c', { addr: 9, type: 'int16' }],
    ],
  );
  const hash = site?.devices[0]?.profile?.hash;
  write({ 'profiles.d/base.yaml': profile('t.base', '1.0.0', 'defaults: { type: uint16 }') });
  t.not(
    (await load(dir)).site?.devices[0]?.profile?.hash,
    hash,
    'a change of the base is a change',
  );
  write({ 'profiles.d/base.yaml': profile('t.base', '1.0.0', 'extends: t.root') });
  t.deepEqual(
    (await load(dir)).findings.map((f) => [f.code, f.file]),
    [
      ['E1303', 'profiles.d/base.yaml'],
      ['E1403', 'profiles.d/child.yaml'],
    ],
  );
});

test('a faulty profile of the release stops only those who use it', async (t) => {
  const shipped = siteFolder(t, {
    'bad.yaml': profile('t.bad', '1.0.0').replace('group: fast', 'group: fats'),
  });
  const { dir, write } = siteFolder(t, {});
  const options = { shippedProfiles: shipped.dir };
  t.deepEqual((await load(dir, options)).findings, []);
  write(deviceWith('t.bad'));
  const { site, findings } = await load(dir, options);
  t.is(site, undefined);
  t.deepEqual(
    findings.map((f) => f.code),
    ['E1401'],
  );
});

test('profiles.d replaces a profile of the release with the same version, and says so', async (t) => {
  const shipped = siteFolder(t, { 'a.yaml': profile('t.t', '1.0.0') });
  const { dir } = siteFolder(t, {
    ...deviceWith('t.t'),
    'profiles.d/a.yaml': profile('t.t', '1.0.0', '', '  - { id: mine, addr: 1 }'),
  });
  const { site, findings } = await load(dir, { shippedProfiles: shipped.dir });
  t.deepEqual(
    findings.map((f) => f.code),
    ['W1410'],
  );
  t.deepEqual(
    site?.devices[0]?.points.map((point) => point.name),
    ['mine'],
  );
});

test('an unknown name in a file that others cannot be blamed for is told once, not a hundred times', async (t) => {
  const { dir } = siteFolder(t, { ...goodSite, 'links.d/plant.yaml': 'schema: [broken' });
  const { findings } = await load(dir);
  t.deepEqual([...new Set(findings.map((f) => f.file))], ['links.d/plant.yaml']);
});

test('what a driver finds is told at the place in the file where it comes from', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const issues = [
    { path: '/link/port', code: 'PORT_ODD', line: 8, file: 'links.d/plant.yaml' },
    { path: '/link', code: 'LINK_OVERLOADED', line: 6, file: 'links.d/plant.yaml' },
    {
      path: '/devices/meter/address/unit',
      code: 'UNIT_TWICE',
      line: 9,
      file: 'devices.d/plant.yaml',
    },
    {
      path: '/devices/meter/points/fault/addr',
      code: 'POINTS_OVERLAP',
      line: 19,
      file: 'devices.d/plant.yaml',
    },
    {
      path: '/devices/meter/points/energy/addr',
      code: 'POINTS_OVERLAP',
      line: 37,
      file: 'profiles.d/meter.yaml',
    },
    {
      path: '/devices/pump/points/return/addr',
      code: 'POINTS_OVERLAP',
      line: 3,
      file: 'points.d/pump.csv',
    },
    {
      path: '/devices/meter/limits/most',
      code: 'LIMIT_HIGH',
      line: 15,
      file: 'profiles.d/meter.yaml',
    },
    { path: 'nonsense', code: 'not a code', line: 6, file: 'links.d/plant.yaml' },
  ];
  for (const { path, code, line, file } of issues) {
    const { site, findings } = await load(dir, {
      checkLink: async (driver) =>
        driver === 'register-tcp' ? [{ path, code, message: 'no', severity: 'error' }] : [],
    });
    t.is(site, undefined);
    t.like(
      findings[0],
      { file, code: code === 'not a code' ? 'E1701' : code, severity: 'error' },
      path,
    );
    t.is(findings[0]?.line, line, `${path}: ${told(findings)}`);
  }
});

test('a warning of a driver, or a driver that cannot answer, does not stop the site', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const asked: [string, readonly string[]][] = [];
  const { site, findings } = await load(dir, {
    checkLink: async (driver, _link, devices) => {
      asked.push([driver, devices.map((device) => device.id)]);
      if (driver === 'object-udp') throw new Error('it has crashed');
      return [{ path: '/link', message: 'busy', severity: 'warning' }];
    },
  });
  t.not(site, undefined);
  t.deepEqual(findings.map((f) => f.code).sort(), ['W1702', 'W1703']);
  t.deepEqual(asked.sort(), [
    ['object-udp', []],
    ['register-tcp', ['meter', 'pump']],
  ]);
});

test('a schema that a plugin has broken is told, and throws nothing', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const broken: InstalledDriver = { ...registerDriver, linkConfigSchema: { type: 'nonsense' } };
  const { findings } = await load(dir, { drivers: [broken, otherDriver] });
  t.true(findings.some((f) => f.code === 'E1704' && f.file === 'plugin register'));
});

test('more than 50 000 points are refused', async (t) => {
  const points = Array.from({ length: 101 }, (_, i) => `  - { id: p${i}, addr: ${i} }`).join('\n');
  const devices = Array.from(
    { length: 500 },
    (_, i) => `  - { id: d${i}, tenant: default, link: l, profile: t.t, address: { unit: 1 } }\n`,
  );
  const { dir } = siteFolder(t, {
    ...deviceWith('t.t'),
    'devices.d/d.yaml': `schema: riser.devices/1\ndevices:\n${devices.join('')}`,
    'profiles.d/t.yaml': profile('t.t', '1.0.0', '', points),
  });
  const { findings } = await load(dir);
  t.deepEqual(
    findings.map((f) => [f.code, f.line]),
    [['E1405', 498]],
  );
});

test('a table of Excel with semicolons, a byte order mark and CRLF is read', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  write({
    'points.d/pump.csv':
      '\uFEFFdevice;id;scale;addr;alone\r\npump;a;0.1;7;TRUE\r\n;;;;\r\npump;b;;0x10;\r\n',
  });
  const { site, findings } = await load(dir);
  t.deepEqual(told(findings), []);
  t.deepEqual(
    site?.devices[1]?.points.map((point) => [point.name, point.scale, point.address]),
    [
      ['a', 0.1, { addr: 7, alone: true }],
      ['b', undefined, { addr: 16 }],
    ],
  );
  write({ 'points.d/pump.csv': "device,id,addr\npump,a,'40001\npump,b,40001\n" });
  const other = await load(dir);
  t.deepEqual(
    other.findings.map((f) => [f.code, f.line, f.column]),
    [['E1507', 3, 8]],
  );
});

test('a file with the wrong ending is named', async (t) => {
  const { dir } = siteFolder(t, {
    'devices.d/a.yml': 'x',
    'points.d/a.xlsx': 'x',
    'devices.d/a.yaml~': 'x',
  });
  const { site, findings } = await load(dir);
  t.deepEqual(
    findings.map((f) => [f.code, f.file]),
    [
      ['W1005', 'devices.d/a.yml'],
      ['W1005', 'points.d/a.xlsx'],
    ],
  );
  t.not(site, undefined);
});

test('the example site and the example of all settings are valid', async (t) => {
  const { dir, write } = siteFolder(t, {});
  const example = readFileSync(join(root, 'config/riser.example.yaml'), 'utf8');
  write({ 'riser.yaml': example });
  t.deepEqual((await load(dir)).findings, []);
  // The same with every setting taken out of its comment: nothing in it is misspelt or out of limits.
  const all = example
    .split('\n')
    .map((line) =>
      /^# +#|^# yaml/.test(line) ? line : line.replace(/^# (?= *[A-Za-z]+:( |$))/, ''),
    )
    .join('\n')
    .replace('tenant: my-id', 'tenant: default');
  t.regex(all, /^outbox:\n/m);
  write({ 'riser.yaml': all });
  t.deepEqual(told((await load(dir)).findings), []);

  const small = await load(join(root, 'config/examples/small'), {
    drivers: [modbusOfThisRepository()],
  });
  t.deepEqual(told(small.findings), []);
  t.deepEqual(
    small.site?.devices.map((device) => [device.id as string, device.points.length]),
    [
      ['meter-main', 4],
      ['heat-pump', 4],
    ],
  );
});

test('settings can be had before drivers are known, and agree with those of the site', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const options = { dir, env: { RISER_HTTP_PORT: '1234' }, hostname: 'host' };
  const { settings, site } = await load(dir, options);
  t.deepEqual(await loadSettingsOf(options), settings);
  t.deepEqual(site?.settings, settings);
  write({ 'riser.yaml': 'http: { port: many }\nlog: { level: warn }\n' });
  t.like(await loadSettingsOf({ dir, env: {} }), { http: { port: 9464 }, log: { level: 'warn' } });
});

test('with one tenant the gateway belongs to it, with several somebody must say', async (t) => {
  const { dir, write } = siteFolder(t, {
    'tenants.d/a.yaml': 'schema: riser.tenants/1\ntenants: [{ id: acme }]\n',
  });
  t.is((await load(dir)).site?.settings.gateway.tenant as string, 'acme');
  write({ 'tenants.d/b.yaml': 'schema: riser.tenants/1\ntenants: [{ id: beta }]\n' });
  t.deepEqual(
    (await load(dir)).findings.map((f) => f.code),
    ['E1308'],
  );
});

/** The driver that the example speaks to, as its manifest describes it. */
function modbusOfThisRepository(): InstalledDriver {
  const folder = join(root, 'plugins/modbus');
  const json = (path: string) => JSON.parse(readFileSync(join(folder, path), 'utf8')) as Opaque;
  const manifest = json('manifest.json') as {
    drivers: {
      id: string;
      displayName: string;
      profileKinds: string[];
      maxConcurrencyPerLink: number;
      linkConfigSchema: string;
      deviceConfigSchema: string;
      pointAddressSchema: string;
    }[];
  };
  const driver = manifest.drivers.find((known) => known.id === 'modbus-tcp');
  if (driver === undefined) throw new Error('no modbus-tcp');
  return {
    ...driver,
    plugin: 'modbus',
    linkConfigSchema: json(driver.linkConfigSchema),
    deviceConfigSchema: json(driver.deviceConfigSchema),
    pointAddressSchema: json(driver.pointAddressSchema),
  };
}
