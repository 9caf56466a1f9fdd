import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import { findPeer } from './find-peer.ts';

/** Two ends of a serial line made by socat, and the way to pull the adapter out and plug it in. */
export interface SerialPair {
  /** Lasting names; they lead to other ports after the adapter was plugged in again. */
  readonly ours: string;
  readonly theirs: string;
  /** The port itself at present. */
  port(): string;
  plugIn(): Promise<void>;
  unplug(): Promise<void>;
}

/** Makes a line that ends with the test. */
export async function serialPair(t: ExecutionContext): Promise<SerialPair> {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-line-'));
  const ours = path.join(folder, 'ours');
  const theirs = path.join(folder, 'theirs');
  let line: ChildProcess | undefined;
  const pair: SerialPair = {
    ours,
    theirs,
    port: () => realpathSync(ours),
    async plugIn() {
      const end = (name: string) => `pty,raw,echo=0,link=${name}`;
      line = spawn(findPeer('socat') ?? 'socat', [end(ours), end(theirs)], { stdio: 'ignore' });
      await untilThere(ours);
      await untilThere(theirs);
    },
    async unplug() {
      const running = line;
      line = undefined;
      if (running === undefined || running.exitCode !== null) return;
      const ended = once(running, 'exit');
      running.kill('SIGTERM');
      await ended;
    },
  };
  t.teardown(async () => {
    await pair.unplug();
    rmSync(folder, { recursive: true, force: true });
  });
  await pair.plugIn();
  return pair;
}

async function untilThere(file: string): Promise<void> {
  const end = performance.now() + 10_000;
  while (!existsSync(file)) {
    if (performance.now() > end) throw new Error(`socat did not make ${file}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}
