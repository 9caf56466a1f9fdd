import type { Table } from './address.ts';

const firstRetryMs = 60_000;
const longestRetryMs = 3_600_000;
/** A device cannot have more points than a profile may name. */
const mostEntries = 5000;

/** A stretch of a table. */
export interface Stretch {
  readonly table: Table;
  readonly address: number;
  readonly count: number;
}

interface Refusal extends Stretch {
  readonly code: number;
  readonly times: number;
  readonly retryAt: number;
}

/** How a point stands: read with the others, tried again apart from them, or left alone. */
export type Standing = 'good' | 'on-trial' | { readonly refusedWith: number };

/**
 * What a device refused to give, learnt while reading and kept in memory. Each refusal is tried
 * again after 1, 2, 4 … 60 minutes: a device that is starting up refuses everything.
 */
export class Refusals {
  readonly #points = new Map<string, Refusal>();
  /** Addresses over which no request may reach from below, and until when. */
  readonly #cuts = new Map<string, { readonly retryAt: number; readonly times: number }>();
  #changes = 0;
  #nextRetry = Number.POSITIVE_INFINITY;

  /** Moves whenever a plan made earlier may no longer be right. `now` in monotonic ms. */
  revision(now: number): number {
    if (now >= this.#nextRetry) this.#changed(now);
    return this.#changes;
  }

  /** `forAWhile`: the device has no value at present, which is worth asking every minute. */
  refuse(point: Stretch, code: number, now: number, forAWhile = false): void {
    const key = keyOf(point);
    const times = forAWhile ? 1 : (this.#points.get(key)?.times ?? 0) + 1;
    if (!this.#points.has(key) && times === 1 && this.#points.size >= mostEntries) return;
    const { table, address, count } = point;
    this.#points.set(key, { table, address, count, code, times, retryAt: retryAt(now, times) });
    this.#changed(now);
  }

  /** The device gave the point after all. */
  forgive(point: Stretch, now: number): void {
    if (this.#points.size > 0 && this.#points.delete(keyOf(point))) this.#changed(now);
  }

  /** Both sides of this address can be read, but not in one request. */
  cut(table: Table, address: number, now: number): void {
    const key = `${table} ${address}`;
    const times = (this.#cuts.get(key)?.times ?? 0) + 1;
    if (times === 1 && this.#cuts.size >= mostEntries) return;
    this.#cuts.set(key, { retryAt: retryAt(now, times), times });
    this.#changed(now);
  }

  standing(point: Stretch, now: number): Standing {
    if (this.#points.size === 0) return 'good';
    const refusal = this.#points.get(keyOf(point));
    if (refusal === undefined) return 'good';
    return now >= refusal.retryAt ? 'on-trial' : { refusedWith: refusal.code };
  }

  isCut(table: Table, address: number, now: number): boolean {
    if (this.#cuts.size === 0) return false;
    const cut = this.#cuts.get(`${table} ${address}`);
    return cut !== undefined && now < cut.retryAt;
  }

  /** Whether a refused point lies between these addresses, both included. */
  isHole(table: Table, from: number, to: number): boolean {
    for (const refusal of this.#points.values()) {
      const last = refusal.address + refusal.count - 1;
      if (refusal.table === table && refusal.address <= to && last >= from) return true;
    }
    return false;
  }

  #changed(now: number): void {
    this.#changes += 1;
    this.#nextRetry = Number.POSITIVE_INFINITY;
    for (const { retryAt } of [...this.#points.values(), ...this.#cuts.values()]) {
      if (retryAt > now) this.#nextRetry = Math.min(this.#nextRetry, retryAt);
    }
  }
}

function keyOf({ table, address, count }: Stretch): string {
  return `${table} ${address} ${count}`;
}

function retryAt(now: number, times: number): number {
  return now + Math.min(firstRetryMs * 2 ** (times - 1), longestRetryMs);
}
