/**
 * Runs both ava configurations and ends with one line: `N passed, N failed, N skipped`.
 *
 * The quick tests run side by side, those with real peers one file after the other. Arguments are
 * passed on: `npm test -- --match='*outbox*'`.
 */
import { spawn } from 'node:child_process';

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

const runs: readonly (readonly string[])[] = [[], ['--config', 'ava.integration.config.js']];
const ava = 'node_modules/ava/entrypoints/cli.js';

/** Reads ava's TAP output, shows failures as they come, and counts. */
async function run(args: readonly string[]): Promise<Tally & { readonly code: number }> {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const child = spawn(process.execPath, [ava, '--tap', ...args, ...process.argv.slice(2)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let rest = '';
  let failing = false;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) failing = count(line, tally, failing);
  });
  const code = await new Promise<number>((resolve) => {
    child.once('close', (status, signal) => resolve(status ?? (signal === null ? 0 : 1)));
  });
  return { ...tally, code };
}

function count(line: string, tally: Tally, failing: boolean): boolean {
  const result = /^\s*(not )?ok \d+ ?(.*)$/.exec(line);
  if (result === null) {
    if (failing || line.startsWith('#')) show(line);
    return failing;
  }
  const [, not, title = ''] = result;
  if (/# (SKIP|TODO)/i.test(title)) {
    tally.skipped += 1;
    show(`skipped ${title}`);
    return false;
  }
  if (not === undefined) {
    tally.passed += 1;
    return false;
  }
  tally.failed += 1;
  show(`FAILED ${title}`);
  return true;
}

function show(line: string): void {
  process.stdout.write(`${line}\n`);
}

const total: Tally = { passed: 0, failed: 0, skipped: 0 };
let worst = 0;
for (const args of runs) {
  const { passed, failed, skipped, code } = await run(args);
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
  // A crash of a test file is a failure even if no test of it was counted.
  if (code !== 0 && failed === 0) total.failed += 1;
  worst = Math.max(worst, code);
}
show(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = worst === 0 && total.failed === 0 && total.passed > 0 ? 0 : 1;
