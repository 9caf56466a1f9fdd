import { chmodSync, cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadCatalog } from '../../../src/field/catalog.ts';
import { deviceConfig, groupPlans } from '../../../src/field/device-config.ts';
import { fakeDevice, fakePlugins } from '../../support/field-bench.ts';

/** A copy of the fake plugins that a test may spoil. */
function copyOfPlugins(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'riser-plugins-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  cpSync(fakePlugins, dir, { recursive: true });
  return dir;
}

const manifest = (id: string, changes: object = {}) =>
  JSON.stringify({
    apiVersion: '1',
    drivers: [
      {
        id,
        module: './index.ts',
        displayName: id,
        linkConfigSchema: './any.schema.json',
        deviceConfigSchema: './any.schema.json',
        pointAddressSchema: './any.schema.json',
        profileKinds: ['fake'],
        capabilities: ['read'],
        maxConcurrencyPerLink: 1,
      },
    ],
    permissions: {},
    ...changes,
  });

test('good plugins are listed with their schemas, without running them', (t) => {
  const { drivers, plugins, problems, actions } = loadCatalog(fakePlugins);
  t.deepEqual(problems, []);
  t.deepEqual(
    plugins.map(({ name }) => name),
    ['faulty', 'steady'],
  );
  t.deepEqual(drivers.find(({ id }) => id === 'steady')?.linkConfigSchema, { type: 'object' });
  t.is(actions[0]?.name, 'count');
});

test('a folder that does not exist has no plugins and no problems', (t) => {
  t.deepEqual(loadCatalog('/nowhere/at/all').problems, []);
});

for (const [what, spoil, message] of [
  [
    'made for another driver API',
    (dir: string) => writeFileSync(join(dir, 'manifest.json'), manifest('x', { apiVersion: '2' })),
    /driver API "2"; this gateway has "1"/,
  ],
  [
    'whose manifest is no JSON',
    (dir: string) => writeFileSync(join(dir, 'manifest.json'), '{ "apiVersion": '),
    /manifest\.json is no JSON/,
  ],
  ['without a manifest', (dir: string) => rmSync(join(dir, 'manifest.json')), /does not exist/],
  [
    'that asks for what there is not',
    (dir: string) =>
      writeFileSync(join(dir, 'manifest.json'), manifest('x', { permissions: { root: true } })),
    /"root", which is not known/,
  ],
  [
    'with a link to something outside of it',
    (dir: string) => symlinkSync('/etc/passwd', join(dir, 'passwd')),
    /passwd is a symbolic link to something outside/,
  ],
  [
    'whose folder every user can change',
    (dir: string) => chmodSync(dir, 0o777),
    /can be changed by every user; run "chmod o-w"/,
  ],
  [
    'with a schema that is none',
    (dir: string) => writeFileSync(join(dir, 'any.schema.json'), '{ "type": "flower" }'),
    /any\.schema\.json is no JSON Schema/,
  ],
  [
    'whose module lies outside of it',
    (dir: string) =>
      writeFileSync(
        join(dir, 'manifest.json'),
        manifest('x').replace('./index.ts', './../steady/index.ts'),
      ),
    /module \.\/\.\.\/steady\/index\.ts is outside of it/,
  ],
  ['without its module', (dir: string) => rmSync(join(dir, 'index.ts')), /index\.ts .* not exist/],
] as const) {
  test(`a plugin ${what} is refused in words, and the others are used`, (t) => {
    const dir = copyOfPlugins(t);
    spoil(join(dir, 'faulty'));
    const { plugins, problems, drivers } = loadCatalog(dir);
    t.deepEqual(
      plugins.map(({ name }) => name),
      ['steady'],
    );
    t.deepEqual(
      drivers.map(({ id }) => id),
      ['steady'],
    );
    t.is(problems.length, 1);
    t.is(problems[0]?.plugin, 'faulty');
    t.regex(problems[0]?.message ?? '', message);
  });
}

test('of two plugins with one driver id neither is used', (t) => {
  const dir = copyOfPlugins(t);
  writeFileSync(join(dir, 'faulty', 'manifest.json'), manifest('steady'));
  const { plugins, problems } = loadCatalog(dir);
  t.is(plugins.length, 0);
  t.is(problems.length, 2);
  t.regex(problems[0]?.message ?? '', /driver steady is offered more than once, by faulty, steady/);
});

test('a plugin that is a symbolic link is refused', (t) => {
  const dir = copyOfPlugins(t);
  symlinkSync(join(fakePlugins, 'steady'), join(dir, 'linked'));
  const { problems, plugins } = loadCatalog(dir);
  t.deepEqual(
    problems.map(({ plugin }) => plugin),
    ['linked'],
  );
  t.is(plugins.length, 2);
});

test('a device becomes what its driver reads: intervals by point, lanes by plan', (t) => {
  const device = fakeDevice('d', 'l', { everyMs: 250, lane: 'alarm' });
  const [first, ...rest] = device.points;
  const { group: _none, ...onDemand } = first!;
  const mixed = { ...device, points: [onDemand, ...rest] };
  t.deepEqual(deviceConfig(mixed).options.points, [
    { pointId: 'p0', address: { addr: 0 }, everyMs: 0 },
    { pointId: 'p1', address: { addr: 1 }, everyMs: 250 },
  ]);
  t.deepEqual(groupPlans(mixed).get('fast')?.points, [
    { pointId: 'p1', address: { addr: 1 }, lane: 'alarm' },
  ]);
});
