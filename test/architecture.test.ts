import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';

/** Who may import whom inside src. A folder may always import itself and what is named here. */
const middle = [
  'http',
  'extension',
  'webhook',
  'uplink',
  'record',
  'field',
  'modules',
  'outbox',
  'store',
  'config',
  'telemetry',
  'systemd',
];
const mayImport: Readonly<Record<string, readonly string[]>> = {
  model: [],
  driver: ['model'],
  kernel: ['model'],
  sqlite: ['kernel', 'model'],
  ...Object.fromEntries(middle.map((folder) => [folder, ['kernel', 'model']])),
  outbox: ['sqlite', 'kernel', 'model'],
  store: ['sqlite', 'kernel', 'model'],
  config: ['driver', 'kernel', 'model'],
  field: ['driver', 'kernel', 'model'],
  record: ['driver', 'kernel', 'model'],
  cli: ['gateway', ...middle, 'driver', 'kernel', 'model'],
  gateway: [...middle, 'driver', 'kernel', 'model'],
  main: ['cli', 'gateway'],
};

/** Each outside package has one home, so that it can be replaced there. */
const homesOf: Readonly<Record<string, readonly string[]>> = {
  'better-sqlite3': ['src/sqlite'],
  mqtt: ['src/uplink', 'tools'],
  aedes: ['src/uplink'],
  fastify: ['src/http'],
  convict: ['src/config'],
  'js-yaml': ['src/config'],
  yaml: ['src/config'],
  'csv-parse': ['src/config'],
  ajv: ['src/config', 'src/field'],
  pino: ['src/telemetry'],
  'prom-client': ['src/telemetry'],
  commander: ['src/cli'],
  'node-cron': ['src/kernel'],
  serialport: ['plugins/modbus'],
  'modbus-serial': ['plugins/modbus', 'plugins/simulator', 'tools'],
};

/** Words of one protocol. The kernel process knows none of them: they come from plugins. */
const protocolWords = /\b(modbus|bacnet|sunspec|coil|holding register|function codes?)\b/i;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

const statement =
  /^(?:import|export)\s+(?<type>type\s)?(?:[^'";]*?\sfrom\s)?'(?<target>[^']+)'|\b(?:import|require)\('(?<dynamic>[^']+)'\)/gm;

const files = globSync(['src/**/*.ts', 'plugins/**/*.ts', 'tools/**/*.ts'], {
  exclude: ['**/*.test.ts', 'plugins/*/test/**'],
});

const imports: readonly Import[] = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(statement)].map(({ groups }) => {
    const target = groups!.target ?? groups!.dynamic!;
    return {
      file,
      target: target.startsWith('.') ? path.join(path.dirname(file), target) : target,
      typeOnly: groups!.type !== undefined,
    };
  }),
);

const offenders = (broken: (i: Import) => boolean) =>
  imports.filter(broken).map((i) => `${i.file} imports ${i.target}`);

/** src/uplink/topics.ts → uplink; src/gateway.ts → gateway; #driver → driver. */
function folderOf(file: string): string | undefined {
  if (file === '#driver') return 'driver';
  return /^src\/([^/.]+)/.exec(file)?.[1];
}

/** `mqtt/lib/store` → mqtt; `@scope/name/x` → @scope/name. */
function packageOf(target: string): string {
  return target.split('/', target.startsWith('@') ? 2 : 1).join('/');
}

test('the walk sees the source', (t) => {
  t.true(files.length > 50);
  t.true(imports.length > 200);
});

test('a folder of src imports only the folders below it', (t) => {
  t.deepEqual(
    offenders(({ file, target }) => {
      const [from, to] = [folderOf(file), folderOf(target)];
      return (
        from !== undefined && to !== undefined && from !== to && !mayImport[from]?.includes(to)
      );
    }),
    [],
  );
});

test('only src/driver is reached as #driver, and only its types', (t) => {
  t.deepEqual(
    offenders(({ target, typeOnly }) => target === '#driver' && !typeOnly),
    [],
  );
});

test('a plugin takes types from #driver and nothing else from the gateway', (t) => {
  t.deepEqual(
    offenders(
      ({ file, target }) =>
        file.startsWith('plugins/') &&
        (target.startsWith('src/') || target.startsWith('tools/') || target.startsWith('test/')),
    ),
    [],
  );
});

test('a plugin does not reach into another plugin', (t) => {
  const plugin = (file: string) => /^plugins\/([^/]+)\//.exec(file)?.[1];
  t.deepEqual(
    offenders(({ file, target }) => {
      const [from, to] = [plugin(file), plugin(target)];
      return from !== undefined && to !== undefined && from !== to;
    }),
    [],
  );
});

test('an outside package is imported only in its home', (t) => {
  t.deepEqual(
    offenders(({ file, target, typeOnly }) => {
      const homes = homesOf[packageOf(target)];
      return !typeOnly && homes !== undefined && !homes.some((home) => file.startsWith(`${home}/`));
    }),
    [],
  );
});

test('every outside package of src has a home', (t) => {
  const known = (target: string) =>
    target.startsWith('src/') ||
    // Where the demo is concerned, see the next test.
    target.startsWith('plugins/') ||
    target.startsWith('tools/') ||
    target.startsWith('node:') ||
    target === '#driver' ||
    packageOf(target) in homesOf;
  t.deepEqual(
    offenders(({ file, target }) => file.startsWith('src/') && !known(target)),
    [],
  );
});

test('the gateway imports no plugin and no tool; only the demo shows them', (t) => {
  t.deepEqual(
    offenders(
      ({ file, target }) =>
        file.startsWith('src/') &&
        !file.startsWith('src/cli/demo') &&
        (target.startsWith('plugins/') || target.startsWith('tools/')),
    ),
    [],
  );
});

test('every production dependency is used', (t) => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const used = new Set(imports.map(({ target }) => packageOf(target)));
  t.deepEqual(
    Object.keys(dependencies).filter((name) => !used.has(name)),
    [],
  );
});

test('only main.ts ends the process, but for the program inside a driver process', (t) => {
  const ends = files.filter(
    (file) =>
      file.startsWith('src/') &&
      !file.startsWith('src/field/host/') &&
      /\bprocess\.exit\(/.test(readFileSync(file, 'utf8')),
  );
  t.deepEqual(ends, ['src/main.ts']);
});

test('the kernel process has no word of a protocol', (t) => {
  // The demo shows one protocol by its simulator; help texts of the CLI may give it as an example.
  const mayName = (file: string) => file.startsWith('src/cli/');
  const named = files
    .filter((file) => file.startsWith('src/') && !mayName(file))
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, index) => {
          const code = line.replace(/\/\/.*|^\s*\*.*|\/\*.*/, '');
          return protocolWords.test(code) ? [`${file}:${index + 1}: ${line.trim()}`] : [];
        }),
    );
  t.deepEqual(named, []);
});

test('every plugin has a manifest and a README', (t) => {
  const plugins = globSync('plugins/*').filter((folder) =>
    existsSync(path.join(folder, 'index.ts')),
  );
  t.true(plugins.length > 0);
  for (const plugin of plugins) {
    t.true(existsSync(path.join(plugin, 'manifest.json')), `${plugin}/manifest.json`);
    t.true(existsSync(path.join(plugin, 'README.md')), `${plugin}/README.md`);
  }
});
