import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Whether this machine can build the shim. */
export function canBuildShim(): boolean {
  if (process.platform !== 'linux') return false;
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Compiles the shim to a file; for LD_PRELOAD. */
export function buildShim(target: string): void {
  const source = fileURLToPath(new URL('shim.c', import.meta.url));
  execFileSync('gcc', [
    '-O2',
    '-Wall',
    '-shared',
    '-fPIC',
    '-o',
    target,
    source,
    '-ldl',
    '-lpthread',
  ]);
}
