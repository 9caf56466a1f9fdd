/**
 * Breaks promises of the product on purpose, one at a time, and expects the tests to notice.
 *
 * `npm run mutants -- [--only <area or words of a promise>] [--list]`. Mutants are data, in
 * test/mutants/<area>.json. They are applied in a copy of the tree, so that nothing is left behind
 * and several engineers can work in the tree meanwhile. See docs/adr/0080-mutants-prove-the-tests.md.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const mutantFolder = 'test/mutants';
const ava = 'node_modules/ava/entrypoints/cli.js';
/** A test that hangs is red as well, but not for ever. */
const defaultTimeoutMs = 120_000;
/** A run that was told to end gets this long before it is killed. */
const killMs = 5_000;
const shortestPromise = 20;

/** One way to break the product, and the tests that must notice it. */
export interface Mutant {
  /** File of the list it stands in, such as `record`. */
  readonly area: string;
  /** What the product promises and the mutant breaks, as a sentence. */
  readonly promise: string;
  /** The file that is changed, relative to the root. */
  readonly file: string;
  /** Text that occurs exactly once in the file … */
  readonly find: string;
  /** … and what it becomes. */
  readonly replace: string;
  /** Test files of which at least one test must fail. */
  readonly test: readonly string[];
  /** Runs only tests whose title matches, as ava's --match. */
  readonly match?: string;
}

/** How a run of tests ended. */
export interface TestRun {
  readonly outcome: 'green' | 'red' | 'timeout' | 'no-test';
  /** Titles of tests that failed. */
  readonly failed: readonly string[];
  /** What went wrong, if no test said so. */
  readonly detail?: string;
}

/** Runs test files in a tree; never rejects. */
export type RunTests = (
  root: string,
  files: readonly string[],
  match: string | undefined,
) => Promise<TestRun>;

export type Verdict = 'killed' | 'SURVIVED' | 'stale' | 'baseline red' | 'no test ran';

/** What became of a mutant. */
export interface MutantResult {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  /** The first test that failed, or why there is no verdict. */
  readonly detail: string;
}

/** All mutants of a tree, by area and in the order of their lists. Throws an Error that names what is wrong with a list. */
export function readMutants(root: string): readonly Mutant[] {
  return readdirSync(path.join(root, mutantFolder))
    .filter((name) => name.endsWith('.json'))
    .sort()
    .flatMap((name) => {
      const list: unknown = JSON.parse(readFileSync(path.join(root, mutantFolder, name), 'utf8'));
      if (!Array.isArray(list)) throw new Error(`${mutantFolder}/${name} is no list`);
      return list.map((entry: unknown, index) =>
        mutantOf(entry, path.basename(name, '.json'), `${mutantFolder}/${name}[${index}]`),
      );
    });
}

function mutantOf(entry: unknown, area: string, where: string): Mutant {
  const { promise, file, find, replace, test, match, ...unknown } = (entry ?? {}) as Record<
    string,
    unknown
  >;
  const texts = { promise, file, find, replace, ...(match === undefined ? {} : { match }) };
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value !== 'string') throw new Error(`${where}: "${name}" must be a text`);
  }
  const isTexts = Array.isArray(test) && test.every((each) => typeof each === 'string');
  if (!isTexts || test.length === 0) throw new Error(`${where}: "test" must be a list of files`);
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) throw new Error(`${where}: "${stranger}" is no part of a mutant`);
  return { area, ...(texts as Omit<Mutant, 'area' | 'test'>), test };
}

/** Why a mutant cannot be applied to this tree, in words; undefined if it can. */
export function staleness(root: string, mutant: Mutant): string | undefined {
  const { promise, file, find, replace, test } = mutant;
  if (promise.length < shortestPromise) return 'its promise is no sentence';
  const missing = [file, ...test].find((each) => !existsSync(path.join(root, each)));
  if (missing !== undefined) return `${missing} does not exist`;
  if (find === '' || find === replace) return 'it changes nothing';
  const times = readFileSync(path.join(root, file), 'utf8').split(find).length - 1;
  return times === 1 ? undefined : `its text occurs ${times} times in ${file}`;
}

/** Applies a mutant. Returns the way to take it back. */
export function applyMutant(root: string, { file, find, replace }: Mutant): () => void {
  const target = path.join(root, file);
  const original = readFileSync(target, 'utf8');
  // A function, because "$&" in a text would mean something to replace().
  writeFileSync(
    target,
    original.replace(find, () => replace),
  );
  return () => writeFileSync(target, original);
}

/** Judges mutants one after the other in a tree that is only there for this. */
export async function judgeMutants(
  root: string,
  mutants: readonly Mutant[],
  run: RunTests,
  tell: (result: MutantResult) => void = () => {},
  signal?: AbortSignal,
): Promise<readonly MutantResult[]> {
  const baselines = new Map<string, TestRun>();
  const results: MutantResult[] = [];
  for (const mutant of mutants) {
    const [verdict, detail] = await judge(root, mutant, run, baselines);
    if (signal?.aborted === true) break;
    const result = { mutant, verdict, detail };
    results.push(result);
    tell(result);
  }
  return results;
}

async function judge(
  root: string,
  mutant: Mutant,
  run: RunTests,
  baselines: Map<string, TestRun>,
): Promise<readonly [Verdict, string]> {
  const stale = staleness(root, mutant);
  if (stale !== undefined) return ['stale', stale];
  for (const file of mutant.test) {
    // A test that is red anyway proves nothing.
    const before = baselines.get(file) ?? (await run(root, [file], undefined));
    baselines.set(file, before);
    if (before.outcome !== 'green') return ['baseline red', `${file}: ${reasonOf(before)}`];
  }
  const restore = applyMutant(root, mutant);
  try {
    const after = await run(root, mutant.test, mutant.match);
    switch (after.outcome) {
      case 'green':
        return ['SURVIVED', `by ${mutant.test.join(', ')}`];
      case 'no-test':
        return ['no test ran', reasonOf(after)];
      case 'red':
      case 'timeout':
        return ['killed', reasonOf(after)];
    }
  } finally {
    restore();
  }
}

function reasonOf({ outcome, failed, detail }: TestRun): string {
  const [first] = failed;
  const more = failed.length > 1 ? ` (and ${failed.length - 1} more)` : '';
  if (outcome === 'timeout') return detail ?? 'timed out';
  return first === undefined ? (detail ?? outcome) : `${first}${more}`;
}

/** Reads ava's TAP. Tests of a file that could not be loaded, or hit an error outside of a test, are no tests. */
export function readTap(tap: string, code: number | null): TestRun {
  const ran = Number(/^# tests (\d+)$/m.exec(tap)?.[1] ?? 0);
  const failed = [...tap.matchAll(/^not ok \d+(?: - )?(.*)$/gm)].map(([, title = '']) => title);
  if (ran === 0) return { outcome: 'no-test', failed, detail: `ava ended with ${code}` };
  if (code === 0 && failed.length === 0) return { outcome: 'green', failed };
  return { outcome: 'red', failed, detail: `ava ended with ${code}` };
}

/** Runs test files with ava, those with real peers in their own configuration. */
export function avaRunner(timeoutMs = defaultTimeoutMs, signal?: AbortSignal): RunTests {
  return async (root, files, match) => {
    if (signal?.aborted === true) return { outcome: 'no-test', failed: [], detail: 'ended' };
    const serial = files.some((file) => /^test\/(integration|e2e)\//.test(file));
    const args = [
      ava,
      '--tap',
      // Ours comes first: the TAP reporter of ava 8.0.1 breaks down when ava itself runs out of time.
      '--timeout=1h',
      ...(serial ? ['--config', 'ava.integration.config.js'] : []),
      ...(match === undefined ? [] : ['--match', match]),
      ...files,
    ];
    // A group of its own, so that what a test has started ends with it.
    const child = spawn(process.execPath, args, {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const stop = () => endGroup(child, 'SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await outcomeOf(child, timeoutMs);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  };
}

async function outcomeOf(child: ChildProcess, timeoutMs: number): Promise<TestRun> {
  let tap = '';
  let late = false;
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    // Far more than any test file prints; a test that prints for ever must not fill the memory.
    if (tap.length < 4 * 1024 * 1024) tap += chunk;
  });
  const timers = [
    setTimeout(() => {
      late = true;
      endGroup(child, 'SIGTERM');
    }, timeoutMs),
    setTimeout(() => endGroup(child, 'SIGKILL'), timeoutMs + killMs),
  ];
  const code = await new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', (status) => {
      // Whatever a broken product has left running would hold the pipe open.
      endGroup(child, 'SIGKILL');
      child.stdout?.once('close', () => resolve(status));
      if (child.stdout?.closed !== false) resolve(status);
    });
  });
  for (const timer of timers) clearTimeout(timer);
  if (late) return { outcome: 'timeout', failed: [], detail: `timed out after ${timeoutMs} ms` };
  return readTap(tap, code);
}

function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

/** Copies what git knows of a tree and what it does not ignore; packages are linked. Returns the copy. */
export function copyTree(root: string): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'riser-mutants-'));
  const names = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  for (const name of names.split('\0')) {
    const from = path.join(root, name);
    // Deleted, but not committed yet.
    if (name === '' || !existsSync(from) || !statSync(from).isFile()) continue;
    const to = path.join(copy, name);
    mkdirSync(path.dirname(to), { recursive: true });
    copyFileSync(from, to);
  }
  if (existsSync(path.join(root, 'node_modules'))) {
    symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));
  }
  return copy;
}

/** Mutants of an area of this name or, if there is none, those whose promise or file contains the text. */
export function chooseMutants(mutants: readonly Mutant[], only: string): readonly Mutant[] {
  const area = mutants.filter((mutant) => mutant.area === only);
  if (area.length > 0) return area;
  return mutants.filter(({ promise, file }) => `${promise} ${file}`.includes(only));
}

function lineOf({ mutant, verdict, detail }: MutantResult): string {
  return `${verdict.padEnd(12)}  ${mutant.area}: ${mutant.promise}\n${' '.repeat(14)}${detail}`;
}

function show(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, list: { type: 'boolean', default: false } },
  });
  const root = path.join(import.meta.dirname, '..');
  const all = readMutants(root);
  const mutants = values.only === undefined ? all : chooseMutants(all, values.only);
  if (mutants.length === 0) {
    const areas = [...new Set(all.map(({ area }) => area))].join(', ');
    show(`there is no such mutant; areas are ${areas}`);
    return 1;
  }
  if (values.list) {
    for (const { area, promise, file } of mutants) show(`${area}: ${promise} (${file})`);
    return 0;
  }
  // Tests run in a group of their own, which Ctrl-C does not reach.
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const copy = copyTree(root);
  try {
    const tell = (result: MutantResult) => show(lineOf(result));
    const run = avaRunner(defaultTimeoutMs, stop.signal);
    const results = await judgeMutants(copy, mutants, run, tell, stop.signal);
    if (stop.signal.aborted) return 130;
    const bad = results.filter(({ verdict }) => verdict !== 'killed');
    show(`${results.length - bad.length} of ${results.length} killed`);
    for (const { mutant, verdict } of bad) show(`${verdict}: ${mutant.area}: ${mutant.promise}`);
    return bad.length === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

if (import.meta.main) process.exitCode = await main();
