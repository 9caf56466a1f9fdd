import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { findPeer } from './find-peer.ts';

const gcc = findPeer('gcc');

/** Whether programs with libmodbus can be built here. */
export function hasLibmodbus(): boolean {
  const args = ['-E', '-I/usr/include/modbus', '-include', 'modbus.h', '-'];
  return gcc !== undefined && spawnSync(gcc, args, { input: '' }).status === 0;
}

/** Compiles a program of this folder, once for each version of its source; returns its path. */
export function libmodbusProgram(name: string): string {
  const source = path.join(import.meta.dirname, `${name}.c`);
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const program = path.join(tmpdir(), `riser-${name}-${hash}`);
  if (existsSync(program)) return program;
  const fresh = `${program}.${process.pid}`;
  const flags = ['-O2', '-Wall', '-I/usr/include/modbus', source, '-o', fresh, '-lmodbus'];
  const { status, stderr } = spawnSync(gcc ?? '', flags, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}.c does not compile:\n${stderr}`);
  renameSync(fresh, program);
  return program;
}

/** Starts a server and waits for its first line; it ends with the test. */
export async function startServer(
  t: ExecutionContext,
  command: readonly [string, ...string[]],
  input = '',
): Promise<{ readonly line: string; readonly child: ChildProcess }> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  child.stdin.write(input);
  const ended = Promise.withResolvers<never>();
  child.once('close', (code) => ended.reject(new Error(`${program} ended with code ${code}`)));
  ended.promise.catch(() => undefined);
  const signal = AbortSignal.timeout(20_000);
  const [line] = (await Promise.race([once(child.stdout, 'data', { signal }), ended.promise])) as [
    Buffer,
  ];
  return { line: String(line).trim(), child };
}
