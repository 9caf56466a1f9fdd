import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { type ConditionCode, conditionKinds } from '../../../src/model/condition.ts';
import { referencePages } from '../../../tools/generate-reference.ts';

const root = path.join(import.meta.dirname, '../../..');
const runbooks = path.join(root, 'docs/runbooks');
const codes = Object.keys(conditionKinds) as ConditionCode[];
const text = (code: string) => readFileSync(path.join(runbooks, `${code}.md`), 'utf8');

test('the pages of reference are those that the catalogues make (else run tools/generate-reference.ts)', (t) => {
  for (const [name, content] of referencePages()) {
    t.is(readFileSync(path.join(root, name), 'utf8'), content, name);
  }
});

test('every condition has a runbook, and every runbook a condition', (t) => {
  t.deepEqual(readdirSync(runbooks).toSorted(), codes.map((code) => `${code}.md`).toSorted());
});

test('a runbook says what it means, what to look at, what to do and whom to call', (t) => {
  for (const code of codes) {
    const runbook = text(code);
    t.true(runbook.startsWith(`# ${conditionKinds[code].title}\n\nCondition \`${code}\`.\n`), code);
    t.deepEqual(
      [...runbook.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading),
      ['What it means', 'What to look at', 'What to do', 'Whom to call'],
      code,
    );
    t.notRegex(runbook, /^##.*\n+(##|$(?![\s\S]))/m, code);
  }
});

test('a link in a runbook leads somewhere', (t) => {
  for (const code of codes) {
    for (const [, target = ''] of text(code).matchAll(/\]\(([^)]+)\)/g)) {
      t.true(existsSync(path.join(runbooks, target)), `${code}: ${target}`);
    }
  }
});

test('every command that a runbook or a remedy asks for exists', (t) => {
  const program = globSync('src/cli/*.ts', { cwd: root })
    .map((file) => readFileSync(path.join(root, file), 'utf8'))
    .join('\n');
  const known = new Set([...program.matchAll(/\.command\('([a-z-]+)/g)].map(([, name]) => name));
  const groups = new Set(['config', 'outbox']);
  const said = [
    ...codes.map((code) => text(code)),
    ...codes.map((code) => conditionKinds[code].remedy),
  ].join('\n');
  const asked = [...said.matchAll(/[`"]riser ([a-z]+)(?: ([a-z]+))?/g)];
  t.true(asked.length > 30);
  for (const [all, first = '', second = ''] of asked) {
    t.true(known.has(first) || groups.has(first), all);
    if (groups.has(first)) t.true(known.has(second), all);
  }
});

test('every log line that a runbook looks for is written', (t) => {
  const log = referencePages().get('docs/reference/log.md') ?? '';
  for (const code of codes) {
    for (const [, line] of text(code).matchAll(/"code":"([a-z-]+)"/g)) {
      t.true(log.includes(`| \`${line}\` |`), `${code}: ${line}`);
    }
  }
});
