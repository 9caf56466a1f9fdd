import type { Duplex } from 'node:stream';
import type { Clock } from '../../model/clock.ts';
import { type Batch, Batcher, type BatcherLimits } from './batcher.ts';
import { FrameChannel } from './frames.ts';
import { type LinkLimits, linkLimits } from './limits.ts';
import { LinkTable, type LoadedDriver } from './link-table.ts';
import type { FromDriver, ToDriver } from './messages.ts';
import { type HostedAction, RequestServer } from './request-server.ts';

export interface HostProgramOptions {
  readonly plugin: string;
  readonly stream: Duplex;
  readonly drivers: ReadonlyMap<string, LoadedDriver>;
  readonly actions: readonly HostedAction[];
  readonly clock: Clock;
  readonly limits?: Partial<LinkLimits>;
  readonly batcher?: Partial<BatcherLimits>;
  /** Worst delay of the event loop since it was last asked for, milliseconds. */
  readonly lagMs: () => number;
  /** Runs a function soon; setImmediate, unless a test steps time. */
  readonly soon?: (fn: () => void) => void;
  /** The kernel is gone, asked for the end, or sent nonsense. */
  readonly ended: (cause: string) => void;
}

/** Log lines are left out while the kernel has this many bytes to take. */
const maxWaitingBytes = 1_048_576;
/** The program inside a driver process: obeys the frames of the kernel and sends what was read. */
export class HostProgram {
  readonly #options: HostProgramOptions;
  readonly #channel: FrameChannel<ToDriver, FromDriver>;
  readonly #batcher: Batcher;
  readonly #links: LinkTable;
  readonly #requests: RequestServer;

  constructor(options: HostProgramOptions) {
    this.#options = options;
    const { soon = setImmediate, clock, drivers } = options;
    this.#channel = new FrameChannel(options.stream, {
      message: (message) => this.#obey(message),
      failed: (error) => this.#end(`the kernel sent what is no frame: ${error.message}`),
      drained: () => this.#drained(),
      closed: () => this.#end('the kernel is gone'),
    });
    this.#batcher = new Batcher({
      soon: (fn) => soon(fn),
      send: (batch) => this.#sendBatch(batch),
      ...(options.batcher !== undefined && { limits: options.batcher }),
    });
    this.#links = new LinkTable({
      drivers,
      clock,
      limits: { ...linkLimits, ...options.limits },
      batcher: this.#batcher,
      send: (message) => this.#send(message),
    });
    this.#requests = new RequestServer({
      drivers,
      actions: options.actions,
      clock,
      links: this.#links,
      send: (message) => this.#channel.send(message),
    });
  }

  /** Begins to listen and says hello. */
  open(): void {
    this.#channel.open();
    const { plugin: driver } = this.#options;
    this.#channel.send({ t: 'hello', api: '1.0', driver, version: '1.0', pid: process.pid });
  }

  /** Closes all links; never rejects. */
  async close(): Promise<void> {
    this.#requests.close();
    await this.#links.close();
    this.#channel.close();
  }

  #obey(message: ToDriver): void {
    switch (message.t) {
      case 'open':
        this.#links.open(message);
        return;
      case 'reconfigure':
      case 'plan':
      case 'unplan':
        this.#links.change(message);
        return;
      case 'drop':
        this.#links.drop(message.link);
        return;
      case 'ack':
        this.#batcher.ack(message.batch);
        return;
      case 'ping':
        this.#pong(message.n);
        return;
      case 'cancel':
        this.#requests.cancel(message.id);
        return;
      case 'close':
        this.#end('it was asked to end');
        return;
      case 'read':
      case 'write':
      case 'validate':
      case 'discover':
      case 'browse':
      case 'action':
        this.#requests.begin(message);
    }
  }

  #pong(n: number): void {
    this.#send({
      t: 'pong',
      n,
      health: { status: 'ok' },
      links: this.#links.report(),
      loopLagMs: this.#options.lagMs(),
      rssBytes: rss(),
    });
  }

  #sendBatch({ batch, link, groups, drops }: Batch): boolean {
    let dropped = 0;
    for (const count of drops.values()) dropped += count;
    return this.#channel.send({
      t: 'readings',
      batch,
      link,
      groups,
      dropped,
      ...(dropped > 0 && { drops: [...drops].map(([of, count]) => ({ link: of, count })) }),
    });
  }

  #send(message: FromDriver): void {
    const optional = message.t === 'log' || message.t === 'metric';
    if (optional && this.#channel.waitingBytes > maxWaitingBytes) return;
    this.#channel.send(message);
  }

  #drained(): void {
    this.#batcher.drained();
    this.#requests.drained();
  }

  #end(cause: string): void {
    this.#requests.close();
    this.#options.ended(cause);
  }
}

function rss(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    // EMFILE: a metric must not be what ends a process that has used up its descriptors.
    return 0;
  }
}
