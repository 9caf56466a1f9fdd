#!/usr/bin/env node
import { mkdirSync, statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import path from 'node:path';

/**
 * Compiled code is kept between calls: it halves the start. Only in a folder of ours, never in the
 * shared /tmp that Node would take, nor in the home of another user ("sudo -E"): whoever can write
 * there could plant code for root.
 */
function keepCompiledCode({ NODE_COMPILE_CACHE, CACHE_DIRECTORY, HOME }: NodeJS.ProcessEnv): void {
  if (NODE_COMPILE_CACHE !== undefined) return;
  const base = CACHE_DIRECTORY ?? (HOME === undefined ? undefined : path.join(HOME, '.cache'));
  if (base === undefined) return;
  const folder = path.join(base, 'riser', 'compiled');
  const isOurs = (each: string) => statSync(each).uid === process.getuid?.();
  try {
    if (!isOurs(CACHE_DIRECTORY ?? HOME ?? '')) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (isOurs(base) && isOurs(folder)) enableCompileCache(folder);
  } catch {
    // A read-only home: it starts more slowly, that is all.
  }
}

/** A defect: one line that says so, and an exit code. With RISER_DEBUG=1 where it happened. */
function die(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const text = process.env.RISER_DEBUG === '1' ? (stack ?? message) : message;
  process.stderr.write(`riser: defect: ${text}\n  → Report it together with the log.\n`, () =>
    process.exit(1),
  );
}

process.on('uncaughtException', die);
process.on('unhandledRejection', die);
keepCompiledCode(process.env);

const { runCommand } = await import('./cli/run-command.ts');
process.exit(await runCommand(process.argv.slice(2), process, process.env));
