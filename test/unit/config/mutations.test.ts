import { rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findingCodes } from '../../../src/config/finding-codes.ts';
import { loadSite } from '../../../src/config/load-site.ts';
import type { Finding } from '../../../src/model/site.ts';
import { goodSite, otherDriver, registerDriver, siteFolder } from '../../support/site-folder.ts';

type File = keyof typeof goodSite;

const load = async (dir: string) =>
  await loadSite({
    dir,
    env: {},
    drivers: [registerDriver, otherDriver],
    hostname: 'host',
  });

interface Mutation {
  readonly name: string;
  readonly file: File;
  readonly text: string;
  /** Lines that the finding may point at: of the mutation, or of what it stands in. */
  readonly lines: readonly number[];
  readonly code?: string;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}

/** Line of the entry that a line stands in: the nearest line above that is indented less. */
function parentLine(text: string, line: number): number {
  const lines = text.split('\n');
  const depth = (at: number) => (lines[at - 1] ?? '').search(/[^\s-]/);
  for (let at = line - 1; at > 0; at--) {
    if ((lines[at - 1] ?? '').trim() !== '' && depth(at) < depth(line)) return at;
  }
  return 1;
}

/** Replaces one place of a file. `$` in `to` is nothing special. */
function replaced(
  file: File,
  from: string,
  to: string,
  code: string,
  more: number[] = [],
): Mutation {
  const text = goodSite[file];
  const at = text.indexOf(from);
  if (at < 0) throw new Error(`${from} is not in ${file}`);
  const line = lineOf(text, at + (from.startsWith('\n') ? 1 : 0));
  return {
    name: `${file}: ${JSON.stringify(from)} → ${JSON.stringify(to.slice(0, 40))}`,
    file,
    text: text.slice(0, at) + to + text.slice(at + from.length),
    lines: [line, parentLine(text, line), ...more],
    code,
  };
}

const byHand: readonly Mutation[] = [
  replaced('riser.yaml', 'schema: riser/1', 'schema: riser/2', 'E1203'),
  replaced('riser.yaml', 'id: gw-test', 'id: GW Test', 'E1205'),
  replaced('riser.yaml', 'id: gw-test', 'id: 17', 'E1204'),
  replaced('riser.yaml', 'tenant: acme', 'tenant: acmee', 'E1301'),
  replaced('riser.yaml', '1073741824', '"1073741824"', 'E1204'),
  replaced('riser.yaml', '1073741824', '99999999999999999999', 'E1105'),
  replaced('riser.yaml', '1073741824', '9007199254740991', 'E1206'),
  replaced('riser.yaml', '1073741824', '.inf', 'E1105'),
  replaced('riser.yaml', '1073741824', '.nan', 'E1105'),
  replaced('riser.yaml', '1073741824', '-1', 'E1206'),
  replaced('riser.yaml', '1073741824', '1073741824.5', 'E1204'),
  replaced('riser.yaml', 'mqtts://in.example:8883', 'https://in.example', 'E1205'),
  replaced('riser.yaml', 'mqtts://in.example:8883', 'mqtts://me:hunter2@in.example', 'E1601'),
  replaced('riser.yaml', 'ack: cloud', 'ack: clowd', 'E1203'),
  replaced('riser.yaml', 'ack: cloud', 'password: hunter2', 'E1601'),
  replaced('riser.yaml', 'ack: cloud', 'password: { credential: ../x }', 'E1205'),
  replaced('riser.yaml', 'ack: cloud', 'password: { vault: x }', 'E1201'),
  replaced('riser.yaml', 'ack: cloud', 'password: {}', 'E1207'),
  replaced('riser.yaml', 'ack: cloud', 'password: { credential: nothing-there }', 'E1602'),
  replaced('riser.yaml', 'serverName: in.example', 'ca: certs/ca.pem', 'E1205'),
  replaced(
    'riser.yaml',
    'serverName: in.example',
    'key: |\n      -----BEGIN PRIVATE KEY-----',
    'E1601',
  ),
  replaced('riser.yaml', 'port: 0', 'port: 65536', 'E1206'),
  replaced('riser.yaml', 'level: debug', 'level: true', 'E1203'),
  replaced('riser.yaml', 'level: debug', 'level: *nowhere', 'E1101'),
  replaced('riser.yaml', '  title: Test', '\ttitle: Test', 'E1101'),
  replaced('riser.yaml', '  title: Test', '   title: Test', 'E1101', [3]),
  replaced('riser.yaml', 'title: Test', 'title: "Test', 'E1101', [17, 18]),
  replaced('riser.yaml', 'title: Test', 'title: [Test', 'E1101', [5]),
  replaced('riser.yaml', 'title: Test', 'title: Test: two', 'E1101'),
  replaced('riser.yaml', 'title: Test', 'title: !run Test', 'E1101'),
  replaced('riser.yaml', 'title: Test', 'id: twice', 'E1102'),
  replaced('riser.yaml', 'title: Test', '__proto__: { x: 1 }', 'E1201'),
  replaced('riser.yaml', 'log:', '---\nlog:', 'E1103', [15, 16]),
  replaced('riser.yaml', 'schema: riser/1\n', '- a list\n', 'E1101', [2]),
  replaced('tenants.d/all.yaml', 'id: beta', 'id: Beta', 'E1205'),
  replaced('tenants.d/all.yaml', 'id: beta', 'id: b_t', 'E1205'),
  replaced('tenants.d/all.yaml', 'id: beta', `id: ${'b'.repeat(64)}`, 'E1205'),
  replaced('tenants.d/all.yaml', 'id: beta', 'id: acme', 'E1306'),
  replaced('tenants.d/all.yaml', 'id: beta', 'id: +/#', 'E1205'),
  replaced('tenants.d/all.yaml', 'id: beta', 'title: beta', 'E1202'),
  replaced('tenants.d/all.yaml', 'riser.tenants/1', 'riser.links/1', 'E1203'),
  replaced('tenants.d/all.yaml', 'tenants:\n', 'tenants: acme\nx:\n', 'E1204'),
  replaced('links.d/plant.yaml', 'driver: register-tcp', 'driver: register_tcp', 'E1304'),
  replaced('links.d/plant.yaml', '    driver: register-tcp\n', '', 'E1202', [3]),
  replaced('links.d/plant.yaml', 'id: roof', 'id: plant', 'E1306'),
  replaced('links.d/plant.yaml', 'host: 10.0.0.1', 'hots: 10.0.0.1', 'E1201'),
  replaced('links.d/plant.yaml', 'host: 10.0.0.1', 'host: ""', 'E1205'),
  replaced('links.d/plant.yaml', 'host: 10.0.0.1', 'host: 10', 'E1204'),
  replaced('links.d/plant.yaml', 'mode: careful', 'mode: carefull', 'E1203'),
  replaced('links.d/plant.yaml', 'mode: careful', 'pin: "1234"', 'E1601'),
  replaced('links.d/plant.yaml', 'port: 502', 'port: 0', 'E1206'),
  replaced('links.d/plant.yaml', 'config:\n      host: 10.0.0.2', 'config: 10.0.0.2', 'E1204'),
  replaced('devices.d/plant.yaml', 'tenant: acme', 'tenant: acem', 'E1301'),
  replaced(
    'devices.d/plant.yaml',
    'tenant: beta\n  - id: pump',
    'tenant: bet\n  - id: pump',
    'E1301',
  ),
  replaced('devices.d/plant.yaml', 'link: plant', 'link: plnat', 'E1302'),
  replaced('devices.d/plant.yaml', 'link: plant', 'link: roof', 'E1305', [7]),
  replaced('devices.d/plant.yaml', 'example.meter@1', 'example.metre@1', 'E1303'),
  replaced('devices.d/plant.yaml', 'example.meter@1', 'example.meter@2', 'E1303'),
  replaced('devices.d/plant.yaml', 'example.meter@1', 'meter', 'E1205'),
  replaced('devices.d/plant.yaml', 'id: pump', 'id: meter', 'E1306'),
  replaced('devices.d/plant.yaml', 'unit: 1', 'unit: 256', 'E1206'),
  replaced('devices.d/plant.yaml', 'unit: 1', 'unti: 1', 'E1201'),
  replaced('devices.d/plant.yaml', 'intervalMs: 30000', 'intervalMs: 99', 'E1206'),
  replaced('devices.d/plant.yaml', 'intervalMs: 30000', 'intervalMs: 604800001', 'E1206'),
  replaced('devices.d/plant.yaml', 'intervalMs: 30000', 'intervalMs: 30s', 'E1204'),
  replaced('devices.d/plant.yaml', 'offsetMs: 500', 'offsetMs: 10000', 'E1407'),
  replaced('devices.d/plant.yaml', 'lane: bulk', 'lane: slow', 'E1203'),
  replaced('devices.d/plant.yaml', 'group: fast', 'group: fats', 'E1401'),
  replaced('devices.d/plant.yaml', 'class: alarm', 'class: alert', 'E1203'),
  replaced('devices.d/plant.yaml', 'addr: 4', 'adr: 4', 'E1201'),
  replaced('devices.d/plant.yaml', 'addr: 4', 'addr: -4', 'E1208'),
  replaced('devices.d/plant.yaml', 'id: fault', 'id: ac.voltage', 'E1406'),
  replaced('devices.d/plant.yaml', 'id: fault', 'id: Fault 1', 'E1205'),
  replaced('devices.d/plant.yaml', 'id: fault', 'id: "mppt[*].power"', 'E1205'),
  replaced('devices.d/plant.yaml', 'abs: 0.5', 'abs: -1', 'E1206'),
  replaced('devices.d/plant.yaml', 'enabled: false', 'enabled: no', 'E1204'),
  replaced('profiles.d/meter.yaml', 'version: 1.2.0', 'version: 1.2', 'E1204'),
  replaced('profiles.d/meter.yaml', 'version: 1.2.0', 'version: v1.2.0', 'E1205'),
  replaced('profiles.d/meter.yaml', 'id: example.meter', 'id: meter', 'E1205'),
  replaced('profiles.d/meter.yaml', 'kind: register', 'kind: Register', 'E1205'),
  replaced('profiles.d/meter.yaml', 'sources:\n  - title: Manual 1.0\n', '', 'E1202'),
  replaced('profiles.d/meter.yaml', 'sources:\n  - title: Manual 1.0', 'sources: []', 'E1207'),
  replaced('profiles.d/meter.yaml', 'group: slow', 'group: static', 'E1401'),
  replaced('profiles.d/meter.yaml', 'range: [0, 600]', 'range: [600, 0]', 'E1402'),
  replaced('profiles.d/meter.yaml', 'range: [0, 600]', 'range: [0]', 'E1207'),
  replaced('profiles.d/meter.yaml', 'range: [0, 600]', 'range: [0, "600"]', 'E1204'),
  replaced('profiles.d/meter.yaml', 'unit: kW.h', 'unit: kW h', 'E1205'),
  replaced('profiles.d/meter.yaml', 'decrease: suspect', 'decrease: suspicious', 'E1203'),
  replaced('profiles.d/meter.yaml', 'confirm: 3', 'confrim: 3', 'E1201'),
  replaced('profiles.d/meter.yaml', 'addr: 2', 'adress: 2', 'E1201'),
  replaced('profiles.d/meter.yaml', 'table: input', 'table: inptu', 'E1203'),
  replaced('profiles.d/meter.yaml', 'point: energy', 'pont: energy', 'E1201'),
  replaced('profiles.d/meter.yaml', 'id: power', 'id: energy', 'E1406'),
  replaced('profiles.d/meter.yaml', 'id: power', 'id: "mppt[*].power"', 'E1408'),
  replaced('profiles.d/meter.yaml', '      energy: 1', '      enegry: 1', 'E1409'),
  replaced(
    'profiles.d/meter.yaml',
    'kind: register',
    'kind: register\nextends: no.such',
    'E1303',
    [5],
  ),
  replaced('profiles.d/meter.yaml', 'deadband:', 'deadbnd:', 'E1201'),
  replaced('points.d/pump.csv', 'device,id', 'devcie,id', 'E1502'),
  replaced('points.d/pump.csv', 'device,id', 'id,id', 'E1508'),
  replaced('points.d/pump.csv', 'deadband_abs', 'deadband', 'E1502'),
  replaced('points.d/pump.csv', 'pump,flow', 'pmup,flow', 'E1307'),
  replaced('points.d/pump.csv', 'pump,flow', ',flow', 'E1506'),
  replaced('points.d/pump.csv', 'pump,flow', 'pump,', 'E1506'),
  replaced('points.d/pump.csv', 'pump,return', 'pump,flow', 'E1406'),
  replaced('points.d/pump.csv', 'pump,return', 'pump,Return temp', 'E1205'),
  replaced('points.d/pump.csv', '0.1,-40,120', '0.1,x,120', 'E1505'),
  replaced('points.d/pump.csv', '0.1,-40,120', '"0,1",-40,120', 'E1505'),
  replaced('points.d/pump.csv', '0.1,-40,120', '0.1,120,-40', 'E1402'),
  replaced('points.d/pump.csv', '0.1,-40,120', '0.1,,120', 'E1506'),
  replaced('points.d/pump.csv', 'holding,100', 'holdnig,100', 'E1203'),
  replaced('points.d/pump.csv', 'holding,100', 'holding,40001', 'E1507'),
  replaced('points.d/pump.csv', 'holding,100', 'holding,', 'E1202'),
  replaced('points.d/pump.csv', 'holding,100', 'holding,7,100', 'E1504'),
  replaced('points.d/pump.csv', 'measurement', 'measurment', 'E1203'),
  replaced('points.d/pump.csv', 'normal', 'nromal', 'E1401'),
  replaced('points.d/pump.csv', 'Flow', '"Flow', 'E1501', [1, 3]),
];

/** Names that a site makes up itself: another spelling is no fault where it stands. */
const ownNames = /^(fast|slow|normal|de|en|raw|name|scale|most|probe|schema)$/;

/** Each key spelt wrong, each value of the wrong kind, each colon lost. */
function generated(): readonly Mutation[] {
  const mutations: Mutation[] = [];
  for (const file of Object.keys(goodSite) as File[]) {
    if (!file.endsWith('.yaml')) continue;
    const lines = goodSite[file].split('\n');
    for (const [i, line] of lines.entries()) {
      const match = /^(\s*(?:- )?)([A-Za-z]+):(.*)$/.exec(line);
      if (match === null) continue;
      const [, indent = '', key = '', value = ''] = match;
      const text = (changed: string) => lines.with(i, changed).join('\n');
      const at = { file, lines: [i + 1, parentLine(goodSite[file], i + 1)] };
      // "schema" may be left out of riser.yaml, but not be spelt wrong either.
      if (!ownNames.test(key)) {
        mutations.push({
          ...at,
          name: `${file}:${i + 1} ${key} spelt wrong`,
          text: text(`${indent}${key}q:${value}`),
        });
      }
      if (value !== '' && !/^(raw|expect|energy|most|probe)$/.test(key)) {
        mutations.push({
          ...at,
          name: `${file}:${i + 1} ${key} is a list of lists`,
          text: text(`${indent}${key}: [[7]]`),
        });
      }
      if (value !== '') {
        mutations.push({
          ...at,
          name: `${file}:${i + 1} ${key} without its colon`,
          text: text(`${indent}${key}${value.replaceAll(':', '')}`),
          // Text that runs on is only noticed at the next key.
          lines: [...at.lines, i, i + 2],
        });
      }
    }
  }
  return mutations;
}

function judge(t: ExecutionContext, mutation: Mutation, findings: readonly Finding[]): void {
  const { name, code, file, lines } = mutation;
  const fitting = findings.filter(
    (finding) =>
      finding.file === file &&
      (code === undefined || finding.code === code) &&
      lines.includes(finding.line) &&
      finding.column > 0,
  );
  const told = findings.map((f) => `${f.file}:${f.line}:${f.column} ${f.code} ${f.message}`);
  t.true(
    fitting.length > 0,
    `${name}: wanted ${code ?? 'something'} at ${lines.join('/')}, got\n${told.join('\n')}`,
  );
  for (const finding of findings) {
    t.true(finding.code in findingCodes, finding.code);
    t.false(JSON.stringify(finding).includes('hunter2'), `${name} shows the secret`);
  }
}

test('a configuration without a fault has no finding', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const { site, findings } = await load(dir);
  t.deepEqual(findings, []);
  t.is(site?.devices.length, 2);
});

for (const [group, mutations] of [
  ['chosen by hand', byHand],
  ['made of every line', generated()],
] as const) {
  test(`each of ${mutations.length} faults ${group} is told with its code and its place`, async (t) => {
    const { dir, write } = siteFolder(t, goodSite);
    for (const mutation of mutations) {
      write({ [mutation.file]: mutation.text });
      const { site, findings } = await load(dir);
      judge(t, mutation, findings);
      if (mutation.code !== 'E1602') t.is(site, undefined, mutation.name);
      write({ [mutation.file]: goodSite[mutation.file] });
    }
  });
}

test('a file that is not there, not text or no file at all is told and never throws', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  write({ 'links.d/plant.yaml': Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe, 0x0a]) });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1003' && f.line === 1));
  write({ 'links.d/plant.yaml': 'schema: riser.links/1\nlinks: []\n#\u0000' });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1003' && f.line === 3));
  write({ 'links.d/plant.yaml': `# ${'x'.repeat(4 * 1024 * 1024)}` });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1002'));
  rmSync(join(dir, 'links.d'), { recursive: true });
  write({ 'links.d': 'a file' });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1001'));
});

test('an alias bomb is refused, whichever way it is wound', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const levels = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x]'
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
  );
  write({ 'riser.yaml': `${levels.join('\n')}\n` });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1104' && f.line > 0));
  write({ 'riser.yaml': `a: &a x\nb: [${Array(200).fill('*a').join(', ')}]\n` });
  t.true((await load(dir)).findings.some((f) => f.code === 'E1104' && f.line > 0));
});

test('a large ruin of a file is told in a moment, not in minutes', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const keys = Array.from({ length: 200_000 }, (_, i) => `k${i}: ${i}\n`).join('');
  for (const text of [
    `schema: riser.devices/1\n${keys}`,
    'a: [\n'.repeat(300_000),
    'a: 1\n- b\n'.repeat(300_000),
    `a: ${'x'.repeat(4_000_000)}`,
    `schema: riser.devices/1\nx: ${'a-'.repeat(1_000_000)}\n`,
    `a: ${'['.repeat(1_000_000)}`,
    'a: "x\n'.repeat(20_000),
  ]) {
    write({ 'devices.d/plant.yaml': text });
    const { findings } = await load(dir);
    const found = findings.filter((f) => f.file === 'devices.d/plant.yaml');
    t.true(found.length > 0 && found.every((f) => f.line > 0));
    t.true(found.every((f) => f.message.length + f.pointer.length < 1_100));
  }
});

test('2 000 random changes of bytes never throw, and what is refused says where', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const files = Object.keys(goodSite) as File[];
  let seed = 20261120;
  const random = (below: number) => {
    // Numerical Recipes' generator: the same run each time.
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const noise = Buffer.from(':-[]{}"\'#&*!|>%@`,\n\t  0aé');
  for (let i = 0; i < 2_000; i++) {
    const file = files[random(files.length)] ?? 'riser.yaml';
    const bytes = Buffer.from(goodSite[file]);
    for (let changes = random(3) + 1; changes > 0; changes--) {
      bytes[random(bytes.length)] =
        random(4) === 0 ? random(256) : (noise[random(noise.length)] ?? 0);
    }
    write({ [file]: bytes });
    const { site, findings } = await load(dir);
    if (site === undefined)
      t.true(
        findings.some((f) => f.severity === 'error'),
        `${i}: ${file}`,
      );
    write({ [file]: goodSite[file] });
  }
});
