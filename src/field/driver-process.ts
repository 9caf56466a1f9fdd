import type { Clock } from '../model/clock.ts';
import type { DriverProcessStatus } from '../model/field.ts';
import type { Notes } from '../model/notes.ts';
import { DriverOutput } from './driver-output.ts';
import { FrameChannel } from './host/frames.ts';
import type { FromDriver, ToDriver } from './host/messages.ts';
import type { Launched } from './launch.ts';
import { Quota } from './quota.ts';

/** The times by which a driver process is supervised. Tests shorten them. */
export interface SupervisionLimits {
  /** Time from the start to its hello; a slow box loads a big plugin in a few seconds. */
  readonly helloMs: number;
  readonly pingMs: number;
  /** Pings without an answer after which it is held to hang. */
  readonly missedPings: number;
  /** From SIGTERM to SIGKILL. */
  readonly termMs: number;
  /** Time that it has to close its links when it is asked to end. */
  readonly closeMs: number;
  /** Wait before the first restart; doubles with each failure within failureWindowMs. */
  readonly restartMs: number;
  readonly failureWindowMs: number;
  /** Failures within the window after which it is only tried again every retryMs. */
  readonly maxFailures: number;
  readonly retryMs: number;
  readonly maxRssBytes: number;
}

export const supervisionLimits: SupervisionLimits = {
  helloMs: 20_000,
  pingMs: 1_000,
  missedPings: 3,
  termMs: 2_000,
  closeMs: 4_000,
  restartMs: 200,
  failureWindowMs: 60_000,
  maxFailures: 5,
  retryMs: 300_000,
  // Buffers are outside of --max-old-space-size: the heap limit alone does not bound a leak.
  maxRssBytes: 256 * 1_048_576,
};

/** Time that is left to a process which has closed its connection, milliseconds. */
const exitMs = 1_000;
const levels: ReadonlySet<unknown> = new Set(['debug', 'info', 'warn', 'error']);
/** Log lines and metrics of a plugin in a second. */
const notesPerSecond = 200;

export interface DriverProcessOptions {
  readonly plugin: string;
  readonly launch: () => Launched;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly limits: SupervisionLimits;
  readonly listener: {
    /** It said hello: everything has to be told to it. */
    up(): void;
    /** A frame other than hello, log and metric. May throw: then it is ended as untrustworthy. */
    message(message: FromDriver): void;
    /** It ended, or could not be started. */
    down(cause: string, next: 'restart' | 'failed' | 'closed'): void;
  };
}

/**
 * One driver process and its lives: started, pinged, killed when it does not answer or grows too
 * big, restarted with growing waits, and given up for five minutes when that does not help.
 */
export class DriverProcess {
  readonly #options: DriverProcessOptions;
  readonly #quota: Quota;
  #state: DriverProcessStatus['state'] = 'stopped';
  #launched: Launched | undefined;
  #channel: FrameChannel<FromDriver, ToDriver> | undefined;
  #output: DriverOutput | undefined;
  /** Why it is being ended by us; undefined when it ends by itself. */
  #cause: string | undefined;
  #detail: string | undefined;
  #failures: number[] = [];
  #givenUp = false;
  /** When it said hello; infinite while it has not. */
  #upAt = Number.POSITIVE_INFINITY;
  #restarts = 0;
  #rssBytes: number | undefined;
  #timer: Disposable | undefined;
  #killTimer: Disposable | undefined;
  #ping = 0;
  #pong = 0;
  #missed = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(options: DriverProcessOptions) {
    this.#options = options;
    this.#quota = new Quota(options.clock, notesPerSecond);
  }

  get isUp(): boolean {
    return this.#state === 'running';
  }

  /** Starts it, at once also when it waits for its restart. */
  start(): void {
    if (this.#closing) return;
    if (this.#state === 'stopped' || this.#state === 'backoff' || this.#state === 'failed') {
      this.#failures = [];
      this.#givenUp = false;
      this.#launch();
    }
  }

  /** False when it is not up, or slow to take what is sent. Throws FrameError when it is too long. */
  send(message: ToDriver): boolean {
    return this.#channel?.send(message) ?? false;
  }

  /** Ends it because it did something that no driver may do. */
  punish(cause: string): void {
    this.#end(cause, 'SIGKILL');
  }

  status(): DriverProcessStatus {
    const pid = this.#launched?.pid;
    return {
      plugin: this.#options.plugin,
      state: this.#state,
      restarts: this.#restarts,
      ...(pid !== undefined && { pid }),
      ...(this.#rssBytes !== undefined && { rssBytes: this.#rssBytes }),
      ...(this.#detail !== undefined && { detail: this.#detail }),
    };
  }

  /** Asks it to end, then makes it; resolves when it is gone. May come twice. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#timer?.[Symbol.dispose]();
    const launched = this.#launched;
    if (launched === undefined) {
      this.#state = 'stopped';
      return;
    }
    if (this.#state !== 'stopping') {
      const wasUp = this.isUp && this.#missed === 0;
      this.#state = 'stopping';
      this.#cause ??= 'the gateway ended it';
      if (wasUp) this.send({ t: 'close' });
      else this.#kill();
      if (wasUp) this.#timer = this.#after(this.#options.limits.closeMs, () => this.#kill());
    }
    await launched.ended;
    await new Promise<void>((resolve) => {
      if (this.#launched === undefined) resolve();
      else this.#idle = resolve;
    });
  }

  #launch(): void {
    const { launch, clock, limits, notes, plugin } = this.#options;
    this.#timer?.[Symbol.dispose]();
    this.#state = 'starting';
    this.#cause = undefined;
    this.#ping = 0;
    this.#pong = 0;
    this.#missed = 0;
    let launched: Launched;
    try {
      launched = launch();
    } catch (error) {
      this.#ended(`it could not be started: ${(error as Error).message}`);
      return;
    }
    this.#launched = launched;
    this.#output = new DriverOutput(clock, (stream, message, leftOutBytes) =>
      notes.driverLog({
        plugin,
        level: stream === 'stderr' ? 'warn' : 'info',
        message,
        fields: { stream, ...(leftOutBytes > 0 && { leftOutBytes }) },
      }),
    );
    if (launched.stdout !== undefined) this.#output.read('stdout', launched.stdout);
    if (launched.stderr !== undefined) this.#output.read('stderr', launched.stderr);
    this.#channel = new FrameChannel(launched.stream, {
      message: (message) => this.#take(message),
      failed: (error) => this.#end(`it sent what no driver sends: ${error.message}`, 'SIGKILL'),
      drained: () => undefined,
      closed: () => this.#closed(),
    });
    this.#channel.open();
    this.#timer = this.#after(limits.helloMs, () =>
      this.#end(`it did not say hello within ${limits.helloMs / 1_000} s`),
    );
    const settled = (words: string) => {
      if (this.#launched === launched) this.#ended(words);
    };
    launched.ended.then(settled, (error: unknown) => settled(String(error)));
  }

  #take(message: FromDriver): void {
    const { listener } = this.#options;
    // What it still sends while it is being ended for a fault counts for nothing.
    if (this.#cause !== undefined && !this.#closing) return;
    if (message.t === 'hello') this.#hello(message);
    else if (message.t === 'log' || message.t === 'metric') this.#note(message);
    else if (this.#state === 'running' || this.#closing) {
      if (message.t === 'pong') this.#ponged(message);
      listener.message(message);
    }
  }

  /** Passes on what the plugin has to tell people, within limits. */
  #note(message: Extract<FromDriver, { readonly t: 'log' | 'metric' }>): void {
    const { notes, plugin } = this.#options;
    if (!this.#quota.take()) return;
    if (message.t === 'log') {
      const { level, msg, fields } = message;
      notes.driverLog({
        plugin,
        level: levels.has(level) ? level : 'info',
        message: String(msg).slice(0, 1_000),
        fields: typeof fields === 'object' && fields !== null ? fields : {},
      });
      return;
    }
    const { name, value, labels } = message;
    if (typeof name !== 'string' || !Number.isFinite(value)) return;
    notes.driverMetric({ plugin, name, value, ...(labels !== undefined && { labels }) });
  }

  #hello({ api, pid }: Extract<FromDriver, { readonly t: 'hello' }>): void {
    const { notes, plugin, listener, limits } = this.#options;
    if (this.#state !== 'starting') return;
    if (api !== '1.0') {
      this.#end(`it speaks version ${String(api)} of the protocol; this gateway speaks 1.0`);
      return;
    }
    this.#state = 'running';
    this.#upAt = this.#options.clock.monotonic();
    this.#detail = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#after(limits.pingMs, () => this.#tick());
    notes.driverStarted({ plugin, pid });
    listener.up();
  }

  #tick(): void {
    const { limits, notes, plugin } = this.#options;
    // Counted in pings, not in time: a kernel that was itself suspended must not blame the driver.
    this.#missed = this.#pong === this.#ping ? 0 : this.#missed + 1;
    if (this.#missed >= limits.missedPings) {
      const silentMs = this.#missed * limits.pingMs;
      notes.driverHung({ plugin, silentMs });
      this.#end(`it did not answer for ${silentMs / 1_000} s`);
      return;
    }
    if (this.#missed === 0) {
      this.#ping += 1;
      this.send({ t: 'ping', n: this.#ping });
    }
    this.#timer = this.#after(limits.pingMs, () => this.#tick());
  }

  #ponged({ n, rssBytes }: Extract<FromDriver, { readonly t: 'pong' }>): void {
    const { maxRssBytes } = this.#options.limits;
    this.#pong = n === this.#ping ? n : this.#pong;
    this.#rssBytes = rssBytes;
    if (rssBytes > maxRssBytes) {
      const mb = (bytes: number) => Math.round(bytes / 1_048_576);
      this.#end(`it uses ${mb(rssBytes)} MB of memory; ${mb(maxRssBytes)} MB are allowed`);
    }
  }

  /** Mostly it is on its way to its end, and that tells more than a signal of ours would. */
  #closed(): void {
    this.#timer?.[Symbol.dispose]();
    if (!this.#closing) this.#state = 'stopping';
    this.#timer = this.#after(exitMs, () => this.#end('it closed its connection to the gateway'));
  }

  /** Makes it end; how it ended is told when it has. */
  #end(cause: string | undefined, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): void {
    if (this.#launched === undefined) return;
    this.#timer?.[Symbol.dispose]();
    this.#cause ??= cause;
    if (!this.#closing) this.#state = 'stopping';
    this.#channel?.close();
    this.#kill(signal);
  }

  #kill(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): void {
    this.#launched?.kill(signal);
    this.#killTimer ??= this.#after(this.#options.limits.termMs, () =>
      this.#launched?.kill('SIGKILL'),
    );
  }

  #ended(words: string): void {
    const { notes, plugin, listener, limits, clock } = this.#options;
    this.#timer?.[Symbol.dispose]();
    this.#killTimer?.[Symbol.dispose]();
    this.#killTimer = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#launched = undefined;
    this.#rssBytes = undefined;
    const said = this.#output?.lastWords();
    const cause = this.#cause ?? (said === undefined ? words : `${words}: ${said}`);
    this.#detail = cause;
    if (this.#closing) {
      this.#state = 'stopped';
      this.#detail = undefined;
      listener.down(cause, 'closed');
      this.#idle?.();
      return;
    }
    this.#restarts += 1;
    const now = clock.monotonic();
    this.#failures = [...this.#failures.filter((at) => now - at < limits.failureWindowMs), now];
    // One that was given up has to run for a while before it gets five attempts again.
    if (now - this.#upAt >= limits.failureWindowMs) this.#givenUp = false;
    this.#upAt = Number.POSITIVE_INFINITY;
    if (this.#givenUp || this.#failures.length >= limits.maxFailures) {
      this.#givenUp = true;
      this.#state = 'failed';
      notes.driverFailed({ plugin, cause });
      this.#timer = this.#after(limits.retryMs, () => this.#launch());
      listener.down(cause, 'failed');
      return;
    }
    this.#state = 'backoff';
    const restartInMs = limits.restartMs * 2 ** (this.#failures.length - 1);
    notes.driverExited({ plugin, cause, restartInMs });
    this.#timer = this.#after(restartInMs, () => this.#launch());
    listener.down(cause, 'restart');
  }

  #after(ms: number, fn: () => void): Disposable {
    return this.#options.clock.setTimeout(fn, ms);
  }
}
