import type {
  ActionManifest,
  DeviceConfig,
  DiscoveredDevice,
  DiscoveredPoint,
  DiscoverOptions,
  DriverError,
} from '#driver';
import type { Clock } from '../../model/clock.ts';
import { OpenRequests, stream, untilAborted } from './actions.ts';
import { boundedCall } from './bounded-call.ts';
import { asDriverError } from './driver-error.ts';
import { LinkDriverHost } from './driver-host.ts';
import { FrameError } from './frames.ts';
import type { LinkRunner } from './link-runner.ts';
import type { LinkTable, LoadedDriver } from './link-table.ts';
import type { FromDriver, ToDriver } from './messages.ts';
import { validate } from './validate.ts';

/** An action of the manifest, as far as the program has to know it. */
export type HostedAction = Pick<ActionManifest, 'name' | 'link'>;

export interface RequestServerOptions {
  readonly drivers: ReadonlyMap<string, LoadedDriver>;
  readonly actions: readonly HostedAction[];
  readonly clock: Clock;
  readonly links: LinkTable;
  /** Sends a frame; false when the kernel is slow. Throws FrameError when it is too long. */
  readonly send: (message: FromDriver) => boolean;
}

/** A message that asks for an answer. */
export type Request = Exclude<Extract<ToDriver, { readonly id: number }>, { readonly t: 'cancel' }>;

/** Requests that may be open. */
const maxOpenRequests = 256;
/** What is left to an action after it was cancelled, milliseconds. */
const actionGraceMs = 2_000;
/** Time within which an action must be settled when it has no other end. */
const actionMs = 3_600_000;

/** Serves what the kernel asks for by id: reads, writes, checks, discovery and actions. */
export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #requests = new OpenRequests();
  /** Devices of checks whose last frame has not come yet. */
  readonly #parts = new Map<number, DeviceConfig[]>();
  #drainWaiters: (() => void)[] = [];

  constructor(options: RequestServerOptions) {
    this.#options = options;
  }

  /** Begins to serve a request; it is answered in any case, once. */
  begin(message: Request): void {
    const { id } = message;
    if (message.t === 'validate') {
      const before = this.#parts.get(id) ?? [];
      const devices = [...before, ...message.devices];
      this.#parts.delete(id);
      if (message.more === true) {
        this.#parts.set(id, devices);
        return;
      }
      this.#run({ ...message, devices });
      return;
    }
    this.#run(message);
  }

  #run(message: Request): void {
    const { id } = message;
    const failed = (error: unknown) =>
      this.#answer({ t: 'result', id, error: asDriverError(error) });
    if (this.#requests.size >= maxOpenRequests) {
      failed({ kind: 'busy', message: 'too much is asked of the driver process at present' });
      return;
    }
    this.#requests.run(id, (signal) => this.#serve(message, signal)).catch(failed);
  }

  cancel(id: number): void {
    this.#requests.cancel(id);
  }

  /** The kernel takes frames again. */
  drained(): void {
    for (const resume of this.#drainWaiters.splice(0)) resume();
  }

  /** Cancels everything. */
  close(): void {
    this.#requests.cancelAll();
    this.drained();
  }

  async #serve(message: Request, signal: AbortSignal): Promise<void> {
    switch (message.t) {
      case 'read': {
        const { id, link, device, points, deadlineMs } = message;
        const results = await this.#link(link).readNow(device, points, deadlineMs, signal);
        this.#answer({ t: 'result', id, results });
        return;
      }
      case 'write':
        await this.#write(message, signal);
        return;
      case 'validate': {
        const { id, driver, link, devices } = message;
        const issues = await validate(
          this.#driver(driver).factory,
          link,
          devices,
          this.#options.clock,
        );
        this.#answer({ t: 'issues', id, issues });
        return;
      }
      case 'discover':
      case 'browse':
        await this.#find(message, signal);
        return;
      case 'action':
        await this.#act(message, signal);
    }
  }

  #write(message: Extract<ToDriver, { readonly t: 'write' }>, signal: AbortSignal): Promise<void> {
    const { id, device, write, deadlineMs } = message;
    const runner = this.#link(message.link);
    const { driver } = runner;
    if (driver.write === undefined) throw unable('write');
    const refused: DriverError = { kind: 'link-down', message: 'the link is not open' };
    return new Promise((resolve) => {
      const answer = (rest: { readonly error?: DriverError }) => {
        this.#answer({ t: 'result', id, ...rest });
        resolve();
      };
      const taken = runner.run({
        kind: 'write',
        device,
        refuse: () => answer({ error: refused }),
        run: async () => {
          const call = (stop: AbortSignal) => driver.write?.(device, write, stop);
          const called = await boundedCall(this.#options.clock, deadlineMs, 1_000, call, signal);
          if (called.outcome === 'done') {
            this.#answer({ t: 'result', id, write: called.result ?? { outcome: 'unknown' } });
            resolve();
          } else if (called.outcome === 'hung') {
            this.#answer({ t: 'result', id, write: { outcome: 'unknown' } });
            resolve();
          } else answer({ error: asDriverError(called.error) });
        },
      });
      if (!taken) answer({ error: refused });
    });
  }

  async #find(
    message: Extract<ToDriver, { readonly t: 'discover' | 'browse' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { id } = message;
    const { driver } = this.#link(message.link);
    const end = (error?: DriverError) =>
      this.#answer({ t: 'found', id, end: true, ...(error !== undefined && { error }) });
    if (message.t === 'browse') {
      if (driver.browse === undefined) throw unable('browse');
      await this.#stream<DiscoveredPoint>(signal, end, {
        begin: (stop) => driver.browse?.(message.device, stop) ?? none(),
        item: (point) => this.#options.send({ t: 'found', id, point }),
      });
      return;
    }
    if (driver.discover === undefined) throw unable('discover');
    const options = message.options as unknown as DiscoverOptions;
    await this.#stream<DiscoveredDevice>(signal, end, {
      begin: (stop) => driver.discover?.(options, stop) ?? none(),
      item: (device) => this.#options.send({ t: 'found', id, device }),
    });
  }

  async #act(
    message: Extract<ToDriver, { readonly t: 'action' }>,
    signal: AbortSignal,
  ): Promise<void> {
    const { id, name, args, link, planOnly } = message;
    const action = this.#options.actions.find((known) => known.name === name);
    if (action === undefined) throw unable(`run ${name}`);
    const end = (error?: DriverError) =>
      this.#answer({ t: 'output', id, end: true, ...(error !== undefined && { error }) });
    const runner = link === undefined ? undefined : this.#link(link);
    const host = runner === undefined ? this.#strayHost() : undefined;
    const driver = runner?.driver ?? this.#anyDriver().factory(host as LinkDriverHost);
    const work = () =>
      this.#stream(signal, end, {
        begin: (stop) => {
          if (driver.action === undefined) throw unable(`run ${name}`);
          const outputs = driver.action(name, args, stop);
          return planOnly === true ? firstOf(outputs) : outputs;
        },
        item: (output) => this.#options.send({ t: 'output', id, output }),
      });
    try {
      if (runner === undefined || action.link !== 'exclusive' || planOnly === true) await work();
      else await this.#alone(runner, work, end);
    } finally {
      if (host !== undefined) {
        await boundedCall(this.#options.clock, actionGraceMs, 0, () => driver.close());
        host.close();
      }
    }
  }

  /** Runs something while nothing else is asked on its link. */
  #alone(
    runner: LinkRunner,
    work: () => Promise<void>,
    end: (error: DriverError) => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const refuse = () => {
        end({ kind: 'link-down', message: 'the link is not open' });
        resolve();
      };
      const run = () => work().finally(resolve);
      if (!runner.run({ kind: 'exclusive', run, refuse })) refuse();
    });
  }

  /** Streams what a plugin gives and ends it exactly once, also when the plugin never does. */
  async #stream<Item>(
    signal: AbortSignal,
    end: (error?: DriverError) => void,
    source: {
      readonly begin: (signal: AbortSignal) => AsyncIterable<Item>;
      readonly item: (item: Item) => boolean;
    },
  ): Promise<void> {
    let ended = false;
    const endOnce = (error?: DriverError) => {
      if (!ended) end(error);
      ended = true;
    };
    const { clock } = this.#options;
    const stop = AbortSignal.any([signal, AbortSignal.timeout(actionMs)]);
    const drained = () => new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
    await Promise.race([
      stream({ ...source, drained, end: endOnce }, stop),
      untilAborted(clock, actionGraceMs, stop),
    ]);
    endOnce({ kind: 'timeout', message: 'the driver did not end it' });
  }

  #link(link: string): LinkRunner {
    const runner = this.#options.links.get(link);
    if (runner === undefined) throw noLink(link);
    return runner;
  }

  #driver(id: string): LoadedDriver {
    const driver = this.#options.drivers.get(id);
    if (driver === undefined) throw unable(`speak ${id}`);
    return driver;
  }

  #anyDriver(): LoadedDriver {
    const [driver] = this.#options.drivers.values();
    if (driver === undefined) throw unable('do anything');
    return driver;
  }

  #strayHost(): LinkDriverHost {
    return new LinkDriverHost({
      link: 'none',
      clock: this.#options.clock,
      send: (message) => {
        this.#options.send(message);
      },
      lost: () => undefined,
    });
  }

  /** Answers a request; one that does not fit into a frame becomes an error. */
  #answer(message: Extract<FromDriver, { readonly id: number }>): void {
    try {
      this.#options.send(message);
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      const error: DriverError = { kind: 'not-supported', message: 'the answer is too long' };
      this.#options.send({ t: 'result', id: message.id, error });
    }
  }
}

/** The plan of an action comes before it touches the medium, and it goes on only when it is asked to. */
async function* firstOf<Item>(items: AsyncIterable<Item>): AsyncIterable<Item> {
  for await (const item of items) {
    yield item;
    return;
  }
}

async function* none<Item>(): AsyncIterable<Item> {}

const unable = (what: string): DriverError => ({
  kind: 'not-supported',
  message: `the driver cannot ${what}`,
});

const noLink = (link: string): DriverError => ({
  kind: 'closed',
  message: `the driver process does not know link ${link}`,
});
