import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import type { DeviceConfig, Driver, DriverError, Json, PointRequest, PointResult } from '#driver';
import { ContractHost } from './contract-host.ts';
import type { Kit } from './driver-bench.ts';
import type { ContractPeer } from './tcp-peer.ts';

/** What became of a call. */
export type Settled<Result> =
  | { readonly outcome: 'done'; readonly result: Result; readonly ms: number }
  | { readonly outcome: 'failed'; readonly error: DriverError; readonly ms: number }
  | { readonly outcome: 'hung'; readonly ms: number };

/** How long anything may take before it counts as hung, milliseconds. */
export const patienceMs = 10_000;
/** What the contract gives a driver to settle after an abort or close(), milliseconds. */
export const settleMs = 500;
/** Spare time for a machine with other work. */
const loadMs = 1_000;

/** One driver with its link, used as the gateway does it. */
export class DriverSession {
  readonly host = new ContractHost();
  readonly kit: Kit;
  readonly driver: Driver;
  readonly #peer: ContractPeer | undefined;
  readonly link: Json;
  #lost = 0;

  /** Starts a peer, if the driver asks one, and makes the driver; the link is not open yet. */
  static async create(t: ExecutionContext, kit: Kit): Promise<DriverSession> {
    const peer = kit.asks ? await kit.bench.startPeer?.(t) : undefined;
    const session = new DriverSession(kit, peer);
    t.teardown(() => session.driver.close());
    return session;
  }

  /** With the link open and some devices added. */
  static async open(t: ExecutionContext, kit: Kit, devices = 1): Promise<DriverSession> {
    const session = await DriverSession.create(t, kit);
    await session.connect();
    for (let n = 0; n < devices; n += 1) await session.add(kit.bench.device(n));
    return session;
  }

  private constructor(kit: Kit, peer: ContractPeer | undefined) {
    this.kit = kit;
    this.#peer = peer;
    this.driver = kit.factory(this.host);
    this.link = peer?.link ?? kit.bench.link ?? {};
  }

  get peer(): ContractPeer {
    if (this.#peer === undefined) throw new Error('the bench has no startPeer()');
    return this.#peer;
  }

  /** Requests at the peer, 0 where there is none. */
  get requests(): number {
    return this.#peer?.requests ?? 0;
  }

  connect(signal = never()): Promise<void> {
    return this.driver.connect(this.link, signal);
  }

  add(device: DeviceConfig): Promise<void> {
    return this.driver.addDevice(device, never());
  }

  /** Reads all points of device `n`, and others. */
  read(
    n = 0,
    more: readonly PointRequest[] = [],
    signal = never(),
  ): Promise<Settled<readonly PointResult[]>> {
    const { id, options } = this.kit.bench.device(n);
    const points = [
      ...options.points.map(({ pointId, address }) => ({ pointId, address })),
      ...more,
    ];
    return settled(this.driver.read(id, points, signal));
  }

  /**
   * Reads device `n` until it answers, opening the link again as the gateway does. Fails when a
   * value is wrong, or none comes.
   */
  async recover(t: ExecutionContext, n = 0): Promise<void> {
    const end = performance.now() + patienceMs;
    let last: unknown;
    while (performance.now() < end) {
      await this.reopen();
      const read = await this.read(n);
      last = read;
      if (read.outcome === 'done') {
        this.#areTrue(t, read.result, n);
        if (read.result.every(({ quality }) => quality === 'good')) return;
      }
      await delay(20);
    }
    t.fail(`no right value in ${patienceMs} ms; the last read gave ${JSON.stringify(last)}`);
  }

  /** Closes and opens the link if the driver gave it up. */
  async reopen(): Promise<void> {
    if (this.host.lost.length === this.#lost) return;
    this.#lost = this.host.lost.length;
    await this.driver.close();
    await settled(this.connect());
  }

  /** Fails if one of the values is not the one that the peer gives at present. */
  #areTrue(t: ExecutionContext, results: readonly PointResult[], n: number): void {
    for (const { pointId, quality, value } of results) {
      if (quality === 'bad') continue;
      t.is(value, this.kit.bench.expected(n, pointId, this.#peer?.salt ?? 0), pointId);
    }
  }
}

/** A signal that does not abort. */
export const never = (): AbortSignal => new AbortController().signal;

/** Waits for a call, but not for ever; a call that throws instead of rejecting has failed. */
export async function settled<Result>(call: Promise<Result>): Promise<Settled<Result>> {
  const start = performance.now();
  const ms = () => performance.now() - start;
  const stop = new AbortController();
  const hung = delay(patienceMs, undefined, { signal: stop.signal }).then(
    () => ({ outcome: 'hung' as const, ms: ms() }),
    () => ({ outcome: 'hung' as const, ms: ms() }),
  );
  const done = call.then(
    (result) => ({ outcome: 'done' as const, result, ms: ms() }),
    (error: DriverError) => ({ outcome: 'failed' as const, error, ms: ms() }),
  );
  try {
    return await Promise.race([done, hung]);
  } finally {
    stop.abort();
  }
}

/** Fails when a call took longer than the contract gives it. */
export function inTime(t: ExecutionContext, { ms }: Settled<unknown>, limitMs = settleMs): void {
  t.true(ms < limitMs + loadMs, `it took ${Math.round(ms)} ms; ${limitMs} are allowed`);
}

/** The kind of a failure; fails when the call did not fail. */
export function kindOf(t: ExecutionContext, call: Settled<unknown>): string {
  if (call.outcome === 'failed') {
    t.is(typeof call.error?.message, 'string', 'a rejection is a DriverError with a message');
    return String(call.error?.kind);
  }
  t.fail(`it should have been rejected, but was ${call.outcome}: ${JSON.stringify(call)}`);
  return call.outcome;
}

/** Open descriptors of this process. */
export const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Sockets, servers and timers of this thread, by kind. */
export function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/TCP|UDP|Pipe|TTY|Timeout|Immediate/i.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
