/**
 * Runs the benches, each beside its peer: `npm run bench -- [--only name[,name]] [--json]`.
 *
 * RISER_BENCH_ROUNDS rounds of each (3), RISER_BENCH_QUIET_MS at most waited for a quiet machine
 * before each measurement (10000), RISER_BENCH_DIR for the files of disk benches.
 */
import { cpus, totalmem } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Bench, BenchResult } from './bench-result.ts';
import { closeOpenScopes } from './bench-scope.ts';
import { lineOf, noisyCores } from './report.ts';

const names = [
  'ingest',
  'size',
  'start',
  'modbus-link',
  'drain',
  'latency',
  'load',
  'pipeline',
] as const;

const { values } = parseArgs({
  options: { only: { type: 'string' }, json: { type: 'boolean', default: false } },
});
const only = values.only?.split(',');
const unknown = only?.find((name) => !names.some((known) => known === name));
if (unknown !== undefined) {
  process.stderr.write(`there is no bench ${unknown}; there are ${names.join(', ')}\n`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const end = () => process.exit(130);
    closeOpenScopes().then(end, end);
  });
}
if (!values.json) {
  process.stdout.write(
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, ` +
      `${(totalmem() / 2 ** 30).toFixed(1)} GiB, Node ${process.versions.node}\n` +
      `Median (smallest … largest); "noisy": others used more than ${noisyCores} cores meanwhile.\n`,
  );
}
for (const name of names.filter((name) => only?.includes(name) ?? true)) {
  const bench = (await import(`./${name}.ts`)) as Bench;
  if (!values.json) process.stdout.write(`\n${bench.name}: ${bench.description}\n`);
  let results: readonly BenchResult[];
  try {
    results = await bench.run();
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${bench.name} failed: ${error instanceof Error ? error.stack : error}\n`);
    continue;
  }
  for (const result of results) {
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ bench: bench.name, ...result })}\n`
        : `  ${lineOf(result)}\n`,
    );
  }
}
