import type { ActionOutput, ConfigIssue, DeviceConfig } from '#driver';
import { withDeadline } from '../kernel/wait.ts';
import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';
import type { Opaque } from '../model/point.ts';
import type { Plugin } from './catalog.ts';
import { DriverOutput } from './driver-output.ts';
import { FrameChannel } from './host/frames.ts';
import type { FromDriver, ToDriver } from './host/messages.ts';
import type { Launched } from './launch.ts';
import { type ActionCall, PendingRequests } from './pending-requests.ts';

export interface LinkCheckerOptions {
  readonly plugin: Plugin;
  readonly launch: () => Launched;
  readonly clock: Clock;
  /** Time that a check may take, with the start of its process. */
  readonly deadlineMs: number;
  /** Called when its process is gone; the checker is of no use any more. */
  readonly ended: () => void;
}

/** After so long without a check the process is ended: a configuration has many links. */
const idleMs = 2_000;

/** A driver process without links: it looks at configurations, and runs actions that need no link. */
export class LinkChecker {
  readonly #options: LinkCheckerOptions;
  readonly #ready = Promise.withResolvers<void>();
  #launched: Launched | undefined;
  #channel: FrameChannel<FromDriver, ToDriver> | undefined;
  #requests: PendingRequests | undefined;
  #idle: Disposable | undefined;
  #open = 0;

  constructor(options: LinkCheckerOptions) {
    this.#options = options;
  }

  /** Starts its process. */
  start(): void {
    const { launch, clock, plugin, ended } = this.#options;
    const launched = launch();
    const output = new DriverOutput(clock, () => undefined);
    if (launched.stdout !== undefined) output.read('stdout', launched.stdout);
    if (launched.stderr !== undefined) output.read('stderr', launched.stderr);
    const channel = new FrameChannel<FromDriver, ToDriver>(launched.stream, {
      message: (message) => {
        if (message.t === 'hello') this.#ready.resolve();
        else if ('id' in message) this.#requests?.take(message);
      },
      failed: () => launched.kill('SIGKILL'),
      drained: () => undefined,
      closed: () => launched.kill('SIGTERM'),
    });
    this.#requests = new PendingRequests(clock, (message) => channel.send(message));
    this.#launched = launched;
    this.#channel = channel;
    channel.open();
    // Nobody may be waiting when it fails.
    this.#ready.promise.catch(() => undefined);
    const gone = (words: string) => {
      const said = output.lastWords();
      const error = new GatewayError(
        'DRIVER_FAILED',
        `plugin ${plugin.name} cannot check its configuration: ${said ?? words}`,
      );
      this.#ready.reject(error);
      this.#requests?.failAll(error);
      ended();
    };
    launched.ended.then(gone, (error: unknown) => gone(String(error)));
  }

  /** What the driver finds wrong. Rejects DRIVER_FAILED or DEADLINE. */
  async check(
    driver: string,
    link: Opaque,
    devices: readonly DeviceConfig[],
  ): Promise<readonly ConfigIssue[]> {
    const { deadlineMs, plugin } = this.#options;
    this.#open += 1;
    this.#idle?.[Symbol.dispose]();
    try {
      await withDeadline(`the start of plugin ${plugin.name}`, deadlineMs, this.#ready.promise);
      const issues = this.#requests?.validate({ t: 'validate', driver, link, devices }, deadlineMs);
      return (await issues) ?? [];
    } catch (error) {
      // A plugin that does not answer now would not answer the next one either.
      this.#launched?.kill('SIGKILL');
      throw error;
    } finally {
      this.#left();
    }
  }

  /** Runs an action. Rejects DRIVER_FAILED, DEADLINE, ACTION_FAILED or the signal's reason. */
  async *action(call: ActionCall, signal: AbortSignal): AsyncGenerator<ActionOutput> {
    const { deadlineMs, plugin } = this.#options;
    this.#open += 1;
    this.#idle?.[Symbol.dispose]();
    try {
      await withDeadline(`the start of plugin ${plugin.name}`, deadlineMs, this.#ready.promise);
      if (this.#requests !== undefined) yield* this.#requests.action(call, signal);
    } finally {
      this.#left();
    }
  }

  /** Ends its process; resolves when it is gone. */
  async close(): Promise<void> {
    this.#end();
    this.#launched?.kill('SIGKILL');
    await this.#launched?.ended;
  }

  #left(): void {
    this.#open -= 1;
    if (this.#open === 0) {
      this.#idle = this.#options.clock.setTimeout(() => this.#end(), idleMs);
    }
  }

  #end(): void {
    this.#idle?.[Symbol.dispose]();
    this.#channel?.close();
    this.#launched?.kill('SIGTERM');
  }
}
