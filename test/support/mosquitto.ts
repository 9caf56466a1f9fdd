import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findPeer } from './find-peer.ts';
import { freePort } from './free-port.ts';

const startLimitMs = 10_000;

export interface MosquittoOptions {
  /** Further lines of its configuration, after the listener's. */
  readonly config?: readonly string[];
  /** Lines of its access list; with one, nothing else is allowed. */
  readonly acl?: readonly string[];
  readonly allowAnonymous?: boolean;
  /** A listener on this port; else a free one. */
  readonly port?: number;
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
}

/** A real Mosquitto on a loopback port, with a folder of its own. */
export class Mosquitto {
  readonly port: number;
  readonly #folder: string;
  readonly #options: MosquittoOptions;
  #child: ChildProcess | undefined;

  constructor(port: number, folder: string, options: MosquittoOptions) {
    this.port = port;
    this.#folder = folder;
    this.#options = options;
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'mqtt' : 'mqtts'}://localhost:${this.port}`;
  }

  /** Of the running broker; -1 when there is none. */
  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** Starts it, again after kill() too; resolves when it takes connections. */
  async start(): Promise<void> {
    const program = findPeer('mosquitto');
    if (program === undefined) throw new Error('mosquitto is not installed');
    const configuration = path.join(this.#folder, 'mosquitto.conf');
    writeFileSync(configuration, this.#configuration());
    const child = spawn(program, ['-c', configuration], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const giveUpAt = performance.now() + startLimitMs;
    while (!(await takesConnections(this.port))) {
      if (child.exitCode !== null) throw new Error(`mosquitto ended: ${output}`);
      if (performance.now() > giveUpAt) throw new Error(`mosquitto did not start: ${output}`);
      await delay(20);
    }
  }

  /** Ends it like a power cut: nothing that it only had in memory survives. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  #configuration(): string {
    const { acl, config = [], allowAnonymous = true, tls } = this.#options;
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      `allow_anonymous ${allowAnonymous}`,
      'persistence false',
      'log_dest stderr',
      'user root',
      'max_queued_messages 0',
    ];
    if (tls !== undefined) {
      lines.push(`cafile ${tls.ca}`, `certfile ${tls.certificate}`, `keyfile ${tls.key}`);
    }
    if (acl !== undefined) {
      const file = path.join(this.#folder, 'acl');
      writeFileSync(file, `${acl.join('\n')}\n`, { mode: 0o600 });
      lines.push(`acl_file ${file}`);
    }
    return `${[...lines, ...config].join('\n')}\n`;
  }
}

/** A started Mosquitto; stop() ends it. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-mosquitto-'));
  const mosquitto = new Mosquitto(options.port ?? (await freePort()), folder, options);
  await mosquitto.start();
  return mosquitto;
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
