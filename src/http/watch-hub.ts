import type { ServerResponse } from 'node:http';
import type { LatestValue } from '../model/field.ts';
import type { Control } from '../model/status.ts';
import { RequestFault } from './problem.ts';

/** Clients that may watch at the same time. */
export const maxWatchers = 32;

/** A client that has this much unread is cut: it may come back and read the values again. */
const maxBufferedBytes = 1024 * 1024;

/** Values in one event, so that one commit of a large site does not become one huge line. */
const maxValuesPerEvent = 500;

const pingMs = 15_000;

interface Watcher {
  readonly response: ServerResponse;
  /** Undefined: all devices. */
  readonly devices: ReadonlySet<string> | undefined;
}

/** Sends committed values to many clients as server-sent events, with one subscription to the gateway. */
export class WatchHub {
  readonly #control: Control;
  readonly #watchers = new Set<Watcher>();
  #subscription: AbortController | undefined;
  #ping: NodeJS.Timeout | undefined;
  #closed = false;
  /** Clients that were cut because they did not read. */
  cut = 0;

  constructor(control: Control) {
    this.#control = control;
  }

  get clients(): number {
    return this.#watchers.size;
  }

  /** Throws TOO_MANY_CLIENTS at the limit. Takes the response over until its client leaves. */
  add(response: ServerResponse, devices: readonly string[]): void {
    if (this.#closed || this.#watchers.size >= maxWatchers) {
      throw new RequestFault(
        'TOO_MANY_CLIENTS',
        `${maxWatchers} clients are watching already, and that is the limit.`,
      );
    }
    const watcher = { response, devices: devices.length === 0 ? undefined : new Set(devices) };
    this.#watchers.add(watcher);
    response.once('close', () => this.#remove(watcher));
    response.on('error', () => this.#remove(watcher));
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // A proxy that gathers the answer would hold values back.
      'x-accel-buffering': 'no',
    });
    response.write(': watching\n\n');
    this.#subscribe();
  }

  close(): void {
    this.#closed = true;
    for (const { response } of this.#watchers) response.end(': the gateway stops\n\n');
    this.#watchers.clear();
    this.#unsubscribe();
  }

  #subscribe(): void {
    if (this.#subscription !== undefined) return;
    this.#subscription = new AbortController();
    this.#control.watch((values) => this.#tell(values), this.#subscription.signal);
    this.#ping = setInterval(() => {
      for (const watcher of this.#watchers) this.#write(watcher, ': ping\n\n');
    }, pingMs).unref();
  }

  #unsubscribe(): void {
    clearInterval(this.#ping);
    this.#subscription?.abort();
    this.#subscription = undefined;
  }

  #remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    // Nobody watches: a commit must cost nothing then.
    if (this.#watchers.size === 0) this.#unsubscribe();
  }

  #tell(values: readonly LatestValue[]): void {
    for (let start = 0; start < values.length; start += maxValuesPerEvent) {
      const part = values.slice(start, start + maxValuesPerEvent);
      let whole: string | undefined;
      for (const watcher of this.#watchers) {
        const { devices } = watcher;
        if (devices === undefined) {
          whole ??= eventOf(part);
          this.#write(watcher, whole);
        } else {
          const wanted = part.filter(({ device }) => devices.has(device));
          if (wanted.length > 0) this.#write(watcher, eventOf(wanted));
        }
      }
    }
  }

  #write(watcher: Watcher, text: string): void {
    const { response } = watcher;
    if (response.destroyed) return;
    response.write(text);
    if (response.writableLength > maxBufferedBytes) {
      this.cut += 1;
      response.destroy();
      this.#remove(watcher);
    }
  }
}

/** JSON has no raw line breaks, so one line is one event. */
function eventOf(values: readonly LatestValue[]): string {
  return `event: values\ndata: ${JSON.stringify({ values })}\n\n`;
}
