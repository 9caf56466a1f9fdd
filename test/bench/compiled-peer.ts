import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { findPeer } from '../support/find-peer.ts';

/**
 * Compiles a C program that uses libmodbus into a folder; undefined when there is no gcc or no
 * libmodbus.
 */
export function compiledPeer(source: string, folder: string): string | undefined {
  const gcc = findPeer('gcc');
  if (gcc === undefined) return undefined;
  const program = path.join(folder, path.basename(source, '.c'));
  const flags = ['-O2', '-I/usr/include/modbus', source, '-o', program, '-lmodbus'];
  return spawnSync(gcc, flags).status === 0 ? program : undefined;
}
