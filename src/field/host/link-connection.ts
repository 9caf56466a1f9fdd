import type { Driver, DriverError, Json } from '#driver';
import { Backoff } from '../../kernel/backoff.ts';
import type { Clock } from '../../model/clock.ts';
import { boundedCall } from './bounded-call.ts';
import { asDriverError } from './driver-error.ts';
import type { LinkLimits } from './limits.ts';

export type LinkState = 'opening' | 'open' | 'waiting' | 'closed';

export interface LinkConnectionOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly config: Json;
  /** Called when the link can be used. */
  readonly opened: () => void;
  /** Called when it cannot be used any more, before it is closed. */
  readonly lost: (error: DriverError) => void;
  /** Called at each attempt that failed. */
  readonly failed: (error: DriverError) => void;
  /** Called when the driver was closed, for what it left behind. */
  readonly released: () => void;
}

/**
 * Opens a link and opens it again, for as long as it lives: the deadline of an attempt is given to
 * the driver, the waits between them grow from 1 to 60 s.
 */
export class LinkConnection {
  readonly #options: LinkConnectionOptions;
  readonly #backoff: Backoff;
  #config: Json;
  #state: LinkState = 'closed';
  #error: DriverError | undefined;
  #closing = new AbortController();
  /** Ends the stay in the present state. */
  #leave: (() => void) | undefined;
  #lostWith: DriverError | undefined;
  /** Whether the next opening must not wait. */
  #atOnce = false;
  #life: Promise<void> | undefined;

  constructor(options: LinkConnectionOptions) {
    this.#options = options;
    this.#config = options.config;
    const { reopenMinMs, reopenMaxMs, breaker } = options.limits;
    this.#backoff = new Backoff({
      minMs: reopenMinMs,
      maxMs: reopenMaxMs,
      random: breaker.random,
    });
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Why it is not open. */
  get error(): DriverError | undefined {
    return this.#error;
  }

  /** Begins to open the link. */
  open(): void {
    this.#life ??= this.#live();
  }

  /** The link is of no use any more: it is closed, and opened again after a while. */
  lose(error: DriverError): void {
    if (this.#state === 'closed' || this.#state === 'waiting') return;
    this.#lostWith ??= error;
    if (this.#state === 'open') this.#leave?.();
  }

  /** Closes it and opens it at once, with another configuration if one is given. */
  reopen(error: DriverError, config?: Json): void {
    if (config !== undefined) this.#config = config;
    this.#backoff.reset();
    this.#atOnce = true;
    if (this.#state === 'waiting') this.#leave?.();
    else this.lose(error);
  }

  /** The configuration changed and the open link took it over. */
  adopt(config: Json): void {
    this.#config = config;
  }

  /** Closes the link for good. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException('the link is being closed', 'AbortError'));
    this.#leave?.();
    await this.#life;
    this.#state = 'closed';
  }

  async #live(): Promise<void> {
    const { clock, limits, opened, lost, failed } = this.#options;
    while (!this.#closing.signal.aborted) {
      this.#state = 'opening';
      this.#lostWith = undefined;
      const error = (await this.#connect()) ?? this.#lostWith;
      const since = clock.monotonic();
      if (error === undefined && !this.#closing.signal.aborted) {
        this.#state = 'open';
        this.#error = undefined;
        opened();
        await this.#stay();
        this.#error = this.#lostWith ?? closed;
        this.#state = 'waiting';
        lost(this.#error);
        if (clock.monotonic() - since >= limits.stableMs) this.#backoff.reset();
      } else if (!this.#closing.signal.aborted) {
        this.#error = error ?? closed;
        this.#state = 'waiting';
        failed(this.#error);
      }
      await this.#release();
      if (this.#closing.signal.aborted) break;
      if (!this.#atOnce) await this.#stay(this.#backoff.next());
      this.#atOnce = false;
    }
    this.#state = 'closed';
  }

  /** Undefined when the link is open. */
  async #connect(): Promise<DriverError | undefined> {
    const { driver, clock, limits } = this.#options;
    const config = this.#config;
    const called = await boundedCall(
      clock,
      limits.openMs,
      limits.graceMs,
      (signal) => driver.connect(config, signal),
      this.#closing.signal,
    );
    switch (called.outcome) {
      case 'done':
        return undefined;
      case 'failed':
        return asDriverError(called.error, called.late ? 'link-down' : 'internal');
      case 'hung':
        return {
          kind: 'link-down',
          message: `the driver did not open the link within ${limits.openMs} ms`,
        };
    }
  }

  async #release(): Promise<void> {
    const { driver, clock, limits, released } = this.#options;
    await boundedCall(clock, limits.closeMs, 0, () => driver.close());
    released();
  }

  /** Waits until something ends the present state, or for a time. */
  #stay(ms?: number): Promise<void> {
    if (this.#closing.signal.aborted || (ms === undefined && this.#lostWith !== undefined)) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer =
        ms === undefined ? undefined : this.#options.clock.setTimeout(() => this.#leave?.(), ms);
      this.#leave = () => {
        this.#leave = undefined;
        timer?.[Symbol.dispose]();
        resolve();
      };
    });
  }
}

const closed: DriverError = { kind: 'closed', message: 'the link was closed' };
