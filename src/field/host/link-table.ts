import type { DriverError, DriverFactory } from '#driver';
import type { Clock } from '../../model/clock.ts';
import type { Batcher } from './batcher.ts';
import { asDriverError } from './driver-error.ts';
import { LinkDriverHost } from './driver-host.ts';
import type { LinkLimits } from './limits.ts';
import { LinkRunner } from './link-runner.ts';
import type { FromDriver, LinkReport, ToDriver } from './messages.ts';

/** One driver of the plugin, loaded. */
export interface LoadedDriver {
  readonly factory: DriverFactory;
  readonly maxConcurrencyPerLink: number;
}

export interface LinkTableOptions {
  readonly drivers: ReadonlyMap<string, LoadedDriver>;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly batcher: Batcher;
  readonly send: (message: FromDriver) => void;
}

interface Entry {
  readonly runner: LinkRunner;
  readonly host: LinkDriverHost;
}

type DeviceChange = Extract<ToDriver, { readonly t: 'reconfigure' | 'plan' | 'unplan' }>;

/** State changes are gathered for so long before they are reported. */
const reportDelayMs = 20;

/** Devices of a link in one report, so that it fits into a frame; the others are in the next one. */
const maxReported = 1_000;

/** The links of a driver process, by id, and the changes made to them in the order they came. */
export class LinkTable {
  readonly #options: LinkTableOptions;
  readonly #entries = new Map<string, Entry>();
  /** Closing links by id: the same medium is not opened before it is free. */
  readonly #closing = new Map<string, Promise<void>>();
  /** The last change under way, by link or by link and device. */
  readonly #turns = new Map<string, Promise<void>>();
  /** What was last reported of each device. */
  readonly #reported = new Map<string, string>();
  readonly #changed = new Set<string>();
  #reportTimer: Disposable | undefined;

  constructor(options: LinkTableOptions) {
    this.#options = options;
  }

  get(link: string): LinkRunner | undefined {
    return this.#entries.get(link)?.runner;
  }

  open(message: Extract<ToDriver, { readonly t: 'open' }>): void {
    const { link } = message;
    if (this.#entries.has(link)) this.drop(link);
    const entry = this.#make(message);
    if (entry === undefined) return;
    this.#entries.set(link, entry);
    for (const device of message.devices) {
      // Not open yet: nothing is asked of the driver.
      entry.runner.setDevice(device).catch(this.#report(link));
    }
    const before = this.#closing.get(link) ?? Promise.resolve();
    before
      .then(() => {
        if (this.#entries.get(link) === entry) entry.runner.open();
      })
      .catch(this.#report(link));
  }

  /** Applies changes of one device in the order they came; those of others do not wait for it. */
  change(message: DeviceChange): void {
    const device =
      message.t === 'reconfigure' ? (message.device?.id ?? message.remove) : message.device;
    const key = device === undefined ? message.link : `${message.link} ${device}`;
    const turn = (this.#turns.get(key) ?? Promise.resolve())
      .then(() => this.#apply(message))
      .catch(this.#report(message.link));
    this.#turns.set(key, turn);
    turn
      .finally(() => {
        if (this.#turns.get(key) === turn) this.#turns.delete(key);
      })
      .catch(() => undefined);
  }

  drop(link: string): void {
    const entry = this.#entries.get(link);
    if (entry === undefined) return;
    this.#entries.delete(link);
    for (const { device } of entry.runner.report().devices) {
      this.#options.batcher.forget(device);
      this.#reported.delete(device);
    }
    const closing = entry.runner.close().finally(() => {
      entry.host.close();
      if (this.#closing.get(link) === closing) this.#closing.delete(link);
    });
    this.#closing.set(link, closing);
  }

  /** Closes all links. */
  async close(): Promise<void> {
    this.#reportTimer?.[Symbol.dispose]();
    for (const link of [...this.#entries.keys()]) this.drop(link);
    await Promise.allSettled(this.#closing.values());
  }

  /** What all links, or some, are doing; of their devices only those that changed. */
  report(links: Iterable<string> = this.#entries.keys()): LinkReport[] {
    const reports: LinkReport[] = [];
    for (const link of links) {
      const entry = this.#entries.get(link);
      if (entry !== undefined) reports.push(this.#news(entry.runner.report()));
    }
    return reports;
  }

  #news(report: LinkReport): LinkReport {
    let told = 0;
    const devices = report.devices.filter((device) => {
      if (told === maxReported) return false;
      const state = JSON.stringify(device);
      if (this.#reported.get(device.device) === state) return false;
      this.#reported.set(device.device, state);
      told += 1;
      return true;
    });
    return { ...report, devices };
  }

  async #apply(message: DeviceChange): Promise<void> {
    const { link } = message;
    const runner = this.get(link);
    if (runner === undefined) return;
    if (message.t === 'plan') {
      runner.plan({ ...message, name: message.group });
      return;
    }
    if (message.t === 'unplan') {
      runner.unplan(message.device, message.group);
      return;
    }
    const { rev, config, device, remove } = message;
    let error: DriverError | undefined;
    if (config !== undefined) error = await runner.reconfigure(config);
    if (device !== undefined) error ??= await runner.setDevice(device);
    if (remove !== undefined) {
      error ??= await runner.removeDevice(remove);
      this.#options.batcher.forget(remove);
      this.#reported.delete(remove);
    }
    const { send } = this.#options;
    send({ t: 'reconfigured', rev, link, ...(error !== undefined && { error }) });
  }

  #make(message: Extract<ToDriver, { readonly t: 'open' }>): Entry | undefined {
    const { clock, limits, batcher, send, drivers } = this.#options;
    const { link } = message;
    const driver = drivers.get(message.driver);
    if (driver === undefined) {
      const text = `the plugin has no driver ${message.driver}`;
      send({ t: 'open-failed', link, error: { kind: 'internal', message: text } });
      return undefined;
    }
    const host = new LinkDriverHost({
      link,
      clock,
      send,
      lost: (error) => this.get(link)?.lose(asDriverError(error, 'link-down')),
    });
    try {
      const runner = new LinkRunner({
        link,
        driver: driver.factory(host),
        config: message.config,
        concurrency: driver.maxConcurrencyPerLink,
        clock,
        limits: { ...limits, openMs: message.deadlineMs },
        released: () => host.endTimers(),
        listener: {
          results: (device, lane, results) => batcher.add(link, device, lane, results),
          opened: () => send({ t: 'opened', link }),
          failed: (error) => send({ t: 'open-failed', link, error }),
          lost: (error) => send({ t: 'lost', link, error }),
          changed: () => this.#reportSoon(link),
        },
      });
      return { runner, host };
    } catch (error) {
      host.close();
      send({ t: 'open-failed', link, error: asDriverError(error) });
      return undefined;
    }
  }

  #reportSoon(link: string): void {
    this.#changed.add(link);
    this.#reportTimer ??= this.#options.clock.setTimeout(() => {
      this.#reportTimer = undefined;
      const links = this.report([...this.#changed]);
      this.#changed.clear();
      if (links.length > 0) this.#options.send({ t: 'report', links });
    }, reportDelayMs);
  }

  #report(link: string) {
    return (error: unknown) => {
      const msg = `a change of link ${link} failed: ${asDriverError(error).message}`;
      this.#options.send({ t: 'log', level: 'error', fields: { link }, msg });
    };
  }
}
