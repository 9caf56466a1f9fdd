import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  applyMutant,
  avaRunner,
  chooseMutants,
  copyTree,
  judgeMutants,
  type Mutant,
  type RunTests,
  readMutants,
  readTap,
  staleness,
} from '../../../tools/mutants.ts';

const root = path.join(import.meta.dirname, '../../..');

test('every mutant can be applied to the tree as it is', (t) => {
  const mutants = readMutants(root);
  t.true(mutants.length > 0);
  for (const mutant of mutants) {
    t.is(staleness(root, mutant), undefined, `${mutant.area}: ${mutant.promise}`);
  }
});

test('every mutant breaks a promise of its own, told as a sentence', (t) => {
  const mutants = readMutants(root);
  for (const { promise } of mutants) t.regex(promise, /^[A-Z].+\.$/);
  t.is(new Set(mutants.map(({ promise }) => promise)).size, mutants.length);
  const changes = mutants.map(({ file, find, replace }) => `${file}\n${find}\n${replace}`);
  t.is(new Set(changes).size, mutants.length);
});

/** A product of one function, with a test that knows half of it. */
function smallTree(t: ExecutionContext): string {
  const tree = mkdtempSync(path.join(tmpdir(), 'riser-small-tree-'));
  t.teardown(() => rmSync(tree, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    mkdirSync(path.dirname(path.join(tree, name)), { recursive: true });
    writeFileSync(path.join(tree, name), text);
  };
  write('package.json', '{"type":"module","ava":{"extensions":["ts"]}}');
  write(
    'src/sum.ts',
    'export const sum = (a: number, b: number) => a + b;\nexport const zero = () => 0;\n',
  );
  write(
    'test/sum.test.ts',
    `import test from 'ava';
import { sum } from '../src/sum.ts';
test('two and two are four', (t) => t.is(sum(2, 2), 4));
test('a sum ends', async (t) => {
  while (sum(1, 1) === -1) await new Promise((resolve) => setTimeout(resolve, 50));
  t.pass();
});
`,
  );
  write('test/red.test.ts', "import test from 'ava';\ntest('is red', (t) => t.fail());\n");
  write('test/mutants/sum.json', '[]\n');
  symlinkSync(path.join(root, 'node_modules'), path.join(tree, 'node_modules'));
  return tree;
}

const mutantOf = (change: Partial<Mutant>): Mutant => ({
  area: 'sum',
  promise: 'The sum of two numbers is their sum.',
  file: 'src/sum.ts',
  find: 'a + b',
  replace: 'a - b',
  test: ['test/sum.test.ts'],
  ...change,
});

test('a mutant is killed, survives, hangs or cannot be judged, and the tree is as before', async (t) => {
  const tree = smallTree(t);
  const before = readFileSync(path.join(tree, 'src/sum.ts'), 'utf8');
  const mutants = [
    mutantOf({}),
    mutantOf({ find: '() => 0', replace: '() => 1' }),
    mutantOf({ find: 'a + b', replace: 'a + + b a' }),
    mutantOf({ test: ['test/red.test.ts'] }),
    mutantOf({ find: 'a * b' }),
    mutantOf({ match: 'no such title' }),
  ];
  const results = await judgeMutants(tree, mutants, avaRunner(30_000));
  t.deepEqual(
    results.map(({ verdict }) => verdict),
    ['killed', 'SURVIVED', 'no test ran', 'baseline red', 'stale', 'no test ran'],
  );
  t.is(results[0]!.detail, 'two and two are four');
  t.is(readFileSync(path.join(tree, 'src/sum.ts'), 'utf8'), before);
});

test('a test that hangs is ended, and counts as red', async (t) => {
  const tree = smallTree(t);
  const restore = applyMutant(tree, mutantOf({ replace: '-1' }));
  const run = await avaRunner(3_000)(tree, ['test/sum.test.ts'], 'a sum ends');
  restore();
  t.is(run.outcome, 'timeout');
});

test('a test file that is red anyway is run once and not for each of its mutants', async (t) => {
  const tree = smallTree(t);
  const runs: string[] = [];
  const red: RunTests = async (_root, files) => {
    runs.push(...files);
    return { outcome: 'red', failed: ['it'] };
  };
  const results = await judgeMutants(tree, [mutantOf({}), mutantOf({ replace: 'b' })], red);
  t.deepEqual(
    results.map(({ verdict }) => verdict),
    ['baseline red', 'baseline red'],
  );
  t.deepEqual(runs, ['test/sum.test.ts']);
});

test('a text that occurs twice or not at all, or a file that is gone, makes a mutant stale', (t) => {
  const tree = smallTree(t);
  t.is(staleness(tree, mutantOf({})), undefined);
  t.regex(staleness(tree, mutantOf({ find: 'export' })) ?? '', /occurs 2 times in src\/sum.ts/);
  t.regex(staleness(tree, mutantOf({ find: 'nothing' })) ?? '', /occurs 0 times/);
  t.regex(staleness(tree, mutantOf({ file: 'src/gone.ts' })) ?? '', /src\/gone.ts does not exist/);
  t.regex(staleness(tree, mutantOf({ test: ['test/gone.ts'] })) ?? '', /does not exist/);
  t.is(staleness(tree, mutantOf({ replace: 'a + b' })), 'it changes nothing');
});

test('a replacement is taken as it is written', (t) => {
  const tree = smallTree(t);
  applyMutant(tree, mutantOf({ replace: "'$&$1'" }));
  t.regex(readFileSync(path.join(tree, 'src/sum.ts'), 'utf8'), /'\$&\$1'/);
});

test('a list that is malformed is told with its place', (t) => {
  const tree = smallTree(t);
  const list = (text: string) => writeFileSync(path.join(tree, 'test/mutants/sum.json'), text);
  const { area: _, ...entry } = mutantOf({ match: 'two*' });
  list(JSON.stringify([entry]));
  t.deepEqual(readMutants(tree), [mutantOf({ match: 'two*' })]);

  list('{}');
  t.throws(() => readMutants(tree), { message: /sum.json is no list/ });
  list(JSON.stringify([entry, { ...entry, find: 1 }]));
  t.throws(() => readMutants(tree), { message: /sum.json\[1\]: "find" must be a text/ });
  list(JSON.stringify([{ ...entry, test: [] }]));
  t.throws(() => readMutants(tree), { message: /"test" must be a list of files/ });
  list(JSON.stringify([{ ...entry, tests: 'a' }]));
  t.throws(() => readMutants(tree), { message: /"tests" is no part of a mutant/ });
});

test('an area is chosen by its name, single mutants by words', (t) => {
  const mutants = [
    mutantOf({}),
    mutantOf({ area: 'other', promise: 'Nothing is lost on the way.' }),
  ];
  t.deepEqual(chooseMutants(mutants, 'sum'), [mutants[0]!]);
  t.deepEqual(chooseMutants(mutants, 'is lost'), [mutants[1]!]);
  t.deepEqual(chooseMutants(mutants, 'no such words'), []);
});

test('an error before the first test is no proof, one after it is', (t) => {
  const crashed =
    'TAP version 13\nnot ok 1 - SyntaxError: x\n\n1..0\n# tests 0\n# pass 0\n# fail 1\n';
  t.is(readTap(crashed, 1).outcome, 'no-test');
  const rejected = 'ok 1 - fine\nnot ok 2 - Error: x\n\n1..1\n# tests 1\n# pass 1\n# fail 1\n';
  t.is(readTap(rejected, 1).outcome, 'red');
  t.is(readTap('ok 1 - fine\n\n1..1\n# tests 1\n# pass 1\n# fail 0\n', 0).outcome, 'green');
  t.is(readTap('', null).outcome, 'no-test');
});

test('the copy holds what git knows and what is new, without what it ignores', (t) => {
  const tree = smallTree(t);
  writeFileSync(path.join(tree, '.gitignore'), 'node_modules\n*.log\n');
  writeFileSync(path.join(tree, 'big.log'), 'x');
  execFileSync('git', ['init', '-q'], { cwd: tree });
  const copy = copyTree(tree);
  t.teardown(() => rmSync(copy, { recursive: true, force: true }));
  const has = (name: string) => {
    try {
      return readFileSync(path.join(copy, name)).length > 0;
    } catch {
      return false;
    }
  };
  t.true(has('src/sum.ts'));
  t.true(has('node_modules/ava/package.json'));
  t.false(has('big.log'));
  applyMutant(copy, mutantOf({}));
  t.regex(readFileSync(path.join(tree, 'src/sum.ts'), 'utf8'), /a \+ b/);
});
