import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ExecutionContext } from 'ava';
import type { GatewayStatus } from '../../src/model/status.ts';

/** A configuration folder with a state and a runtime folder beside it, removed after the test. */
export class TestSite {
  readonly folder: string;

  constructor(t: Pick<ExecutionContext, 'teardown'>) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'riser-test-'));
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    for (const name of ['config', 'state', 'run']) mkdirSync(path.join(this.folder, name));
  }

  get config(): string {
    return path.join(this.folder, 'config');
  }

  get state(): string {
    return path.join(this.folder, 'state');
  }

  get socket(): string {
    return path.join(this.folder, 'run', 'control.sock');
  }

  /** Writes a file of the configuration, such as `links.d/net.yaml`; JSON is YAML too. */
  write(name: string, content: string | object): void {
    const file = path.join(this.config, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content, null, 2));
  }
}

/** A gateway in a process of its own, as systemd would start it. */
export class GatewayProcess {
  readonly #site: TestSite;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(t: Pick<ExecutionContext, 'teardown'>, site: TestSite, env: NodeJS.ProcessEnv = {}) {
    this.#site = site;
    this.#env = env;
    t.teardown(() => this.kill());
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** What it has printed, the last 64 KiB. */
  get output(): string {
    return this.#output;
  }

  /** Starts it; does not wait for it to be ready. */
  spawn(): void {
    const { config, state, folder } = this.#site;
    this.#child = spawn(
      process.execPath,
      [
        'src/main.ts',
        'run',
        '--config',
        config,
        '--set',
        `paths.state=${state}`,
        '--set',
        `paths.runtime=${path.join(folder, 'run')}`,
        '--set',
        'http.port=0',
      ],
      {
        env: { ...process.env, NODE_COMPILE_CACHE: 'node_modules/.cache/node', ...this.#env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-65_536);
    };
    this.#child.stdout?.on('data', keep);
    this.#child.stderr?.on('data', keep);
  }

  /** Starts it and waits until it says that it is ready. */
  async start(deadlineMs = 20_000): Promise<void> {
    this.spawn();
    await this.until((status) => status.ready, deadlineMs);
  }

  /** Ends it as a power cut would; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL');
  }

  /** Sends a signal and resolves with the exit code once it has ended. */
  async signal(name: NodeJS.Signals): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    const gone = this.exited();
    if (child.exitCode === null && child.signalCode === null) child.kill(name);
    return await gone;
  }

  /** Resolves with the exit code once it has ended; null after a signal. */
  async exited(): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      return child?.exitCode ?? null;
    }
    return await new Promise((resolve) => child.once('close', (code) => resolve(code)));
  }

  async get<Answer>(route: string): Promise<Answer> {
    return await callControl<Answer>(this.#site.socket, 'GET', route);
  }

  async post<Answer>(route: string, body: object = {}): Promise<Answer> {
    return await callControl<Answer>(this.#site.socket, 'POST', route, body);
  }

  async status(): Promise<GatewayStatus> {
    return await this.get<GatewayStatus>('/api/v1/status');
  }

  /** Asks until the status is as wished; fails with the last one and the log. */
  async until(
    wished: (status: GatewayStatus) => boolean,
    deadlineMs = 20_000,
  ): Promise<GatewayStatus> {
    const end = performance.now() + deadlineMs;
    let last: GatewayStatus | undefined;
    let problem: unknown;
    while (performance.now() < end) {
      try {
        last = await this.status();
        if (wished(last)) return last;
      } catch (error) {
        problem = error;
      }
      if (this.#child !== undefined && this.#child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(
      `not as wished within ${deadlineMs} ms: ${JSON.stringify(last ?? String(problem))}\n${this.#output}`,
    );
  }
}

/** The control API said no, and why. */
export class ControlRefusal extends Error {
  readonly status: number;
  readonly #body: string;

  constructor(message: string, status: number, body: string) {
    super(message);
    this.status = status;
    this.#body = body;
  }

  get problem(): unknown {
    return JSON.parse(this.#body);
  }
}

/** One request over the daemon's Unix socket. Rejects on a status of 400 or more. */
export async function callControl<Answer>(
  socketPath: string,
  method: string,
  route: string,
  body?: object,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const call = request(
      {
        socketPath,
        method,
        path: route,
        timeout: 10_000,
        headers: payload === undefined ? {} : { 'content-type': 'application/json' },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          if (status >= 400)
            reject(new ControlRefusal(`${method} ${route}: ${status} ${text}`, status, text));
          else resolve(JSON.parse(text) as Answer);
        });
      },
    );
    call.on('timeout', () => call.destroy(new Error(`${method} ${route}: no answer in 10 s`)));
    call.on('error', reject);
    call.end(payload);
  });
}
