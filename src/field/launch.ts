import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Duplex, duplexPair, type Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Clock } from '../model/clock.ts';
import type { Plugin } from './catalog.ts';
import { HostProgram } from './host/host-program.ts';
import type { LinkLimits } from './host/limits.ts';
import { type HostedPlugin, loadDrivers } from './host/load-drivers.ts';

/** A driver process that was started, or what stands for one. */
export interface Launched {
  readonly pid?: number;
  /** Carries the frames. */
  readonly stream: Duplex;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** Resolves with a few words when it has ended. */
  readonly ended: Promise<string>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Starts the driver process of a plugin. Throws when it cannot be started at all. */
export type Launch = (plugin: Plugin) => Launched;

export interface ProcessLaunchOptions {
  readonly bootId: string;
  /** Heap limit of the process in MB. */
  readonly heapMb: number;
  /** Folder for compiled code, one below it for each plugin; none: nothing is kept. */
  readonly cacheDir?: string;
}

const root = join(import.meta.dirname, '..', '..');
const program = join(import.meta.dirname, 'host', 'main.ts');
/** What the program itself is made of. */
const programFiles = [
  join(import.meta.dirname, 'host'),
  join(root, 'src', 'kernel'),
  join(root, 'src', 'model'),
  join(root, 'src', 'driver'),
  join(root, 'package.json'),
];
/** What the serialport package reads on its way to a port. */
const serialFiles = ['/dev', '/sys', '/etc/alpine-release'];
/** Part of util-linux: ends the child also when it spins and its kernel was killed. */
const setpriv = '/usr/bin/setpriv';
/** Output may still come for this long after the exit, milliseconds. */
const outputMs = 200;

/** Each plugin in a process of its own, with no more rights than its manifest asks for. */
export function processLaunch(options: ProcessLaunchOptions): Launch {
  let mayUseSetpriv: boolean | undefined;
  return (plugin) => {
    mayUseSetpriv ??= setprivWorks();
    const cacheDir = options.cacheDir === undefined ? undefined : cacheOf(options.cacheDir, plugin);
    const args = [
      ...nodeFlags(plugin, options.heapMb, cacheDir),
      program,
      JSON.stringify(hosted(plugin, options.bootId)),
    ];
    const command = mayUseSetpriv
      ? [setpriv, '--pdeathsig', 'KILL', '--no-new-privs', '--', process.execPath, ...args]
      : [process.execPath, ...args];
    const child = spawn(command[0] ?? process.execPath, command.slice(1), {
      cwd: plugin.dir,
      // Nothing of the gateway's own environment: it may hold passwords.
      env: {
        ...(process.env.TZ !== undefined && { TZ: process.env.TZ }),
        ...(cacheDir !== undefined && { NODE_COMPILE_CACHE: cacheDir }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`it could not be started: ${error.message}`));
      child.once('exit', (code, signal) => {
        const words = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
        const timer = setTimeout(resolve, outputMs, words);
        child.once('close', () => {
          clearTimeout(timer);
          resolve(words);
        });
      });
    });
    const stream = child.stdio?.[3];
    // Without descriptors left there is no process, and none of its streams.
    if (stream === undefined || stream === null) throw new Error('no descriptors are left');
    return {
      ...(child.pid !== undefined && { pid: child.pid }),
      stream: stream as Duplex,
      ...(child.stdout !== null && { stdout: child.stdout }),
      ...(child.stderr !== null && { stderr: child.stderr }),
      ended,
      kill: (signal) => {
        child.kill(signal);
      },
    };
  };
}

/** Old versions of it know no parent-death signal. */
function setprivWorks(): boolean {
  const args = ['--pdeathsig', 'KILL', '--no-new-privs', '--', '/bin/true'];
  return existsSync(setpriv) && spawnSync(setpriv, args, { timeout: 5_000 }).status === 0;
}

function nodeFlags(plugin: Plugin, heapMb: number, cacheDir: string | undefined): string[] {
  const {
    network = [],
    serial = false,
    nativeAddons = false,
    files = [],
  } = plugin.manifest.permissions;
  const read = [
    ...programFiles,
    plugin.dir,
    join(dirname(plugin.dir), 'package.json'),
    join(root, 'node_modules'),
    ...(serial ? serialFiles : []),
    ...files,
    ...(cacheDir === undefined ? [] : [cacheDir]),
  ];
  const write = [...(serial ? ['/dev'] : []), ...(cacheDir === undefined ? [] : [cacheDir])];
  return [
    '--permission',
    ...read.map((path) => `--allow-fs-read=${path}`),
    ...write.map((path) => `--allow-fs-write=${path}`),
    ...(network.length > 0 ? ['--allow-net'] : []),
    ...(nativeAddons ? ['--allow-addons'] : []),
    `--max-old-space-size=${heapMb}`,
    '--disable-warning=SecurityWarning',
    '--disable-warning=ExperimentalWarning',
  ];
}

/** A folder of its own, because a plugin may write there: no code of another one comes from it. */
function cacheOf(cacheDir: string, plugin: Plugin): string | undefined {
  const dir = join(cacheDir, plugin.name);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    return dir;
  } catch {
    // A start that is some milliseconds slower is no reason not to start.
    return undefined;
  }
}

function hosted(plugin: Plugin, bootId: string): HostedPlugin {
  const { name, dir, manifest } = plugin;
  return {
    name,
    bootId,
    drivers: manifest.drivers.map(({ id, module, maxConcurrencyPerLink }) => ({
      id,
      module: pathToFileURL(join(dir, module)).href,
      maxConcurrencyPerLink,
    })),
    actions: hostedActions(plugin),
  };
}

const hostedActions = ({ manifest }: Plugin) =>
  (manifest.actions ?? []).map(({ name, link }) => ({ name, link }));

/** The same program inside this process, for tests and tiny boxes: nothing protects the kernel. */
export function inlineLaunch(clock: Clock, limits?: Partial<LinkLimits>): Launch {
  return (plugin) => {
    const [kernelEnd, driverEnd] = duplexPair();
    const ended = Promise.withResolvers<string>();
    // Like a socket: when one end is closed the other one sees it.
    kernelEnd.on('close', () => driverEnd.destroy());
    driverEnd.on('close', () => kernelEnd.destroy());
    const start = async () => {
      const drivers = await loadDrivers(hosted(plugin, clock.bootId));
      const inline = new HostProgram({
        plugin: plugin.name,
        stream: driverEnd,
        drivers,
        actions: hostedActions(plugin),
        clock,
        ...(limits !== undefined && { limits }),
        lagMs: () => 0,
        ended: (cause) => {
          inline.close().then(
            () => ended.resolve(cause),
            () => ended.resolve(cause),
          );
        },
      });
      inline.open();
    };
    start().catch((error: unknown) => {
      driverEnd.destroy();
      ended.resolve(`it could not be started: ${String(error)}`);
    });
    return { stream: kernelEnd, ended: ended.promise, kill: () => kernelEnd.destroy() };
  };
}
