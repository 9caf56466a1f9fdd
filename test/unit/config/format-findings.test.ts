import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { describeSettings } from '../../../src/config/describe-settings.ts';
import { FindingList, maxFindings } from '../../../src/config/finding-list.ts';
import { formatFindings, summarizeFindings } from '../../../src/config/format-findings.ts';
import { loadSite } from '../../../src/config/load-site.ts';
import { settingSpecs } from '../../../src/config/settings-schema.ts';
import { SourceFile } from '../../../src/config/source-file.ts';
import { nearest } from '../../../src/config/suggest.ts';
import type { Finding } from '../../../src/model/site.ts';
import { generatedFiles } from '../../../tools/generate.ts';

const finding: Finding = {
  severity: 'error',
  code: 'E1203',
  file: 'devices.d/plant.yaml',
  line: 4,
  column: 13,
  pointer: '/devices/0/driver',
  message: '"modbus_tcp" is not one of modbus-tcp, bacnet-ip',
  hint: 'did you mean "modbus-tcp"?',
  excerpt: '    driver: modbus_tcp',
};

const whole: Finding = {
  severity: 'warning',
  code: 'W1005',
  file: 'a,b.yml',
  line: 0,
  column: 0,
  pointer: '',
  message: 'ignored\n::error::injected',
};

test('a finding as text has place, code, hint, its line and a caret below the column', (t) => {
  t.is(
    formatFindings([finding, whole], 'text'),
    `devices.d/plant.yaml:4:13 error E1203 /devices/0/driver: "modbus_tcp" is not one of modbus-tcp, bacnet-ip — did you mean "modbus-tcp"?
    4 |     driver: modbus_tcp
      |             ^
a,b.yml warning W1005: ignored
::error::injected
1 error, 1 warning in 2 files.
`,
  );
  t.is(summarizeFindings([]), 'No errors, no warnings.');
});

test('in a long line the caret stays below its column', (t) => {
  const excerpt = `${'a'.repeat(150)}X${'b'.repeat(50)}`;
  const lines = formatFindings([{ ...finding, column: 151, excerpt }], 'text').split('\n');
  const [, shown = '', caret = ''] = lines;
  t.is(shown[caret.indexOf('^')], 'X');
});

test('findings as JSON name their schema, and annotations cannot be broken out of', (t) => {
  const json = JSON.parse(formatFindings([finding, whole], 'json')) as object;
  t.like(json, { schema: 'riser.config-validation/1', valid: false, errors: 1, warnings: 1 });
  t.is(
    formatFindings([finding, whole], 'github'),
    `::error file=devices.d/plant.yaml,line=4,col=13,title=E1203::/devices/0/driver: "modbus_tcp" is not one of modbus-tcp, bacnet-ip — did you mean "modbus-tcp"?
::warning file=a%2Cb.yml,title=W1005::ignored%0A::error::injected
`,
  );
});

test('text from a file cannot drive the terminal', (t) => {
  const list = new FindingList();
  const at = new SourceFile('a.yaml', 'x: "\u001b[2Jgone"\n', true);
  list.add({ code: 'E1201', at, pointer: '/x', message: 'bad \u001b]0;title\u0007 \u202e value' });
  const [found] = list.list();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  t.notRegex(`${found?.message}${found?.excerpt}`, /[\u0000-\u001f\u202e]/);
});

test('findings are kept once, in the order of the lines, and at most a thousand', (t) => {
  const list = new FindingList();
  const at = new SourceFile('a.yaml', 'b: 1\na: 2\n', true);
  list.add({ code: 'E1201', at, pointer: '/a', message: 'second' });
  list.add({ code: 'E1201', at, pointer: '/b', message: 'first' });
  list.add({ code: 'E1201', at, pointer: '/b', message: 'first' });
  t.deepEqual(
    list.list().map((f) => [f.line, f.message]),
    [
      [1, 'first'],
      [2, 'second'],
    ],
  );
  for (let i = 0; i < maxFindings + 10; i++) {
    list.add({ code: 'E1201', at, pointer: '/a', message: `no. ${i}` });
  }
  t.is(list.list().length, maxFindings + 1);
  t.like(list.list().at(-1), { code: 'W1999', message: '12 more were found and are not listed' });
});

test('what was meant is guessed near by, and nothing far away', (t) => {
  const words = ['title', 'tenant', 'address', 'intervalMs'];
  t.is(nearest('titel', words), 'title');
  t.is(nearest('adress', words), 'address');
  t.is(nearest('IntervalMS', words), 'intervalMs');
  t.is(nearest('xyz', words), undefined);
  t.is(nearest('', words), undefined);
  t.is(nearest('a'.repeat(1_000), words), undefined);
});

test('settings are described with their origin, and secrets only by where they are', async (t) => {
  const env = { RISER_UPLINK_PASSWORD: 'hunter2', RISER_HTTP_PORT: '0' };
  const { settings, origins } = await loadSite({ dir: '/nonexistent', env, drivers: [] });
  const described = describeSettings(settings, origins);
  const row = (name: string) => described.find((setting) => setting.name === name);
  t.is(described.length, settingSpecs.size);
  t.deepEqual(row('http.port'), { name: 'http.port', value: '0', origin: 'env RISER_HTTP_PORT' });
  t.is(row('uplink.password')?.value, '(secret: environment variable RISER_UPLINK_PASSWORD)');
  t.is(row('uplink.tls.key')?.value, '(none)');
  t.is(row('outbox.retainHours')?.origin, 'default');
  t.false(JSON.stringify(described).includes('hunter2'));
});

test('every setting has its variable by one rule, and a word of documentation', (t) => {
  for (const [name, spec] of settingSpecs) {
    const rule = `RISER_${name.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`;
    t.is(spec.env, rule);
    t.true(spec.doc.length > 10 && /[.]$/.test(spec.doc), name);
  }
});

test('generated files are as their source says: run "npm run generate" after a change', (t) => {
  const root = join(import.meta.dirname, '../../..');
  for (const [path, content] of generatedFiles()) {
    t.is(readFileSync(join(root, path), 'utf8'), content, path);
  }
});
