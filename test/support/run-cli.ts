import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import { ControlServer } from '../../src/http/control-server.ts';
import { ControlFake } from './control-fake.ts';
import { silentNotes } from './silent-notes.ts';

type Teardown = Pick<ExecutionContext, 'teardown'>;

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly result: Promise<CliResult>;
}

/** Processes at a time: tests of a file run together, and fifty starts at once would only wait for each other. */
const maxRunning = 3;
let running = 0;
const waiting: (() => void)[] = [];

async function takePlace(): Promise<void> {
  if (running >= maxRunning) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
}

/** Hands the place to whoever waits longest. */
function leavePlace(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else next();
}

/** Starts `riser …` in a process of its own: no terminal, no colours, UTC. It is killed after the test. */
export async function startCli(
  t: Teardown,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  uid?: number,
): Promise<RunningCli> {
  await takePlace();
  const child = spawn(process.execPath, ['src/main.ts', ...args], {
    env: {
      PATH: process.env.PATH,
      TZ: 'UTC',
      NODE_COMPILE_CACHE: 'node_modules/.cache/node',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid }),
  });
  t.teardown(() => void child.kill('SIGKILL'));
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
    child.once('close', leavePlace);
  });
  const result = Promise.all([exited, all(child.stdout), all(child.stderr)]).then(
    ([code, stdout, stderr]) => ({ code, stdout, stderr }),
  );
  return { child, result };
}

/** Everything that is printed; a test may have closed the pipe. */
function all(stream: Readable): Promise<string> {
  return text(stream).catch(() => '');
}

/** Runs `riser …` to its end. */
export async function runCli(
  t: Teardown,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<CliResult> {
  return (await startCli(t, args, env)).result;
}

/** A control API with a fake gateway behind it, and the environment that makes `riser` use it. */
export async function serveFake(t: Teardown, control = new ControlFake()) {
  const folder = await mkdtemp(path.join(tmpdir(), 'riser-cli-'));
  const socket = path.join(folder, 'control.sock');
  const server = new ControlServer({
    socketPath: socket,
    control,
    metrics: async () => '',
    notes: silentNotes(),
    version: '1.0.0',
  });
  await server.start(AbortSignal.timeout(10_000));
  t.teardown(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { control, server, folder, socket, env: { RISER_SOCKET: socket } };
}
