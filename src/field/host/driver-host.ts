import type { DriverError, DriverHost, DriverLog } from '#driver';
import type { Clock } from '../../model/clock.ts';
import type { FromDriver } from './messages.ts';

/** Series of one link that a driver may report. */
const maxSeries = 100;
/** Lines of log that a link may send in a second, and what it may save up. */
const logPerSecond = 20;
const logBurst = 100;
const maxMessageLength = 500;
const maxFieldsLength = 2_000;

export interface DriverHostOptions {
  readonly link: string;
  readonly clock: Clock;
  readonly send: (message: FromDriver) => void;
  readonly lost: (error: DriverError) => void;
}

/** What one driver object gets of the gateway. close() ends whatever it left running. */
export class LinkDriverHost implements DriverHost {
  readonly apiVersion = '1.0';
  readonly linkId: string;
  readonly log: DriverLog;
  readonly #options: DriverHostOptions;
  readonly #timers = new Set<Disposable>();
  readonly #series = new Set<string>();
  #logTokens = logBurst;
  #logAt: number;
  #logLost = 0;
  #closed = false;

  constructor(options: DriverHostOptions) {
    this.#options = options;
    this.#logAt = options.clock.monotonic();
    this.linkId = options.link;
    this.log = {
      debug: (fields, message) => this.#log('debug', fields, message),
      info: (fields, message) => this.#log('info', fields, message),
      warn: (fields, message) => this.#log('warn', fields, message),
      error: (fields, message) => this.#log('error', fields, message),
    };
  }

  now(): number {
    return this.#options.clock.wall();
  }

  monotonic(): number {
    return this.#options.clock.monotonic();
  }

  setTimeout(fn: () => void, ms: number): Disposable {
    if (this.#closed) return { [Symbol.dispose]: () => undefined };
    const timer = this.#options.clock.setTimeout(() => {
      this.#timers.delete(timer);
      fn();
    }, ms);
    this.#timers.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#timers.delete(timer);
        timer[Symbol.dispose]();
      },
    };
  }

  setInterval(fn: () => void, ms: number): Disposable {
    let current: Disposable | undefined;
    let ended = false;
    const arm = () => {
      current = this.setTimeout(() => {
        arm();
        fn();
      }, ms);
      if (ended) current[Symbol.dispose]();
    };
    arm();
    return {
      [Symbol.dispose]: () => {
        ended = true;
        current?.[Symbol.dispose]();
      },
    };
  }

  metric(name: string, value: number, labels?: Readonly<Record<string, string>>): void {
    if (this.#closed || !/^[a-z][a-z0-9_]{0,63}$/.test(name) || !Number.isFinite(value)) return;
    const series = labels === undefined ? name : `${name}${JSON.stringify(labels)}`;
    if (!this.#series.has(series)) {
      if (this.#series.size >= maxSeries || series.length > maxMessageLength) return;
      this.#series.add(series);
    }
    this.#options.send({ t: 'metric', name, value, ...(labels !== undefined && { labels }) });
  }

  connectionLost(reason: DriverError): void {
    if (!this.#closed) this.#options.lost(reason);
  }

  /** Ends all timers. What the driver asks for afterwards has no effect. */
  close(): void {
    this.#closed = true;
    this.endTimers();
  }

  /** Ends all timers, because the driver was closed; it may be connected again. */
  endTimers(): void {
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  #log(level: 'debug' | 'info' | 'warn' | 'error', fields: object, message: string): void {
    const now = this.#options.clock.monotonic();
    this.#logTokens = Math.min(
      logBurst,
      this.#logTokens + ((now - this.#logAt) / 1_000) * logPerSecond,
    );
    this.#logAt = now;
    if (this.#logTokens < 1) {
      this.#logLost += 1;
      return;
    }
    this.#logTokens -= 1;
    const lost = this.#logLost;
    this.#logLost = 0;
    this.#options.send({
      t: 'log',
      level,
      fields: { link: this.linkId, ...bounded(fields), ...(lost > 0 && { linesLeftOut: lost }) },
      msg: String(message).slice(0, maxMessageLength),
    });
  }
}

/** Log fields that can be written as JSON and are not too long; otherwise the reason why not. */
function bounded(fields: object): object {
  try {
    const text = JSON.stringify(fields, (_key, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value instanceof Error ? value.message : value,
    );
    if (text.length > maxFieldsLength) return { fields: text.slice(0, maxFieldsLength) };
    return JSON.parse(text) as object;
  } catch {
    return { fields: 'cannot be written as JSON' };
  }
}
