import { statfs } from 'node:fs/promises';
import type { Part } from '../kernel/part.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { Outbox } from '../model/outbox.ts';
import type { UplinkStatus } from '../model/uplink.ts';

/** How often storage and clock are looked at. */
const everyMs = 5_000;
/** More unacked events than this while connected means that the cloud does not keep up. */
const growingPending = 1_000;
/** Older than this while connected means the same. */
const growingAgeMs = 10 * 60_000;
/** Below this share of free space a disk is nearly full. */
const lowShare = 0.1;
/** A big disk is not nearly full while it has this much. */
const enoughBytes = 1024 ** 3;

export interface WatchStorageOptions {
  readonly statePath: string;
  readonly outbox: Pick<Outbox, 'stats'>;
  readonly uplinks: () => readonly UplinkStatus[];
  readonly clock: Clock;
  readonly conditions: ConditionReporter;
}

/** Raises the conditions that no single part can see: a growing outbox, a filling disk, an unset clock. */
export class WatchStorage implements Part {
  readonly name = 'watch-storage';
  readonly #options: WatchStorageOptions;
  #timer: Disposable | undefined;
  #closed = false;

  constructor(options: WatchStorageOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  async #look(): Promise<void> {
    this.#lookAtOutbox();
    this.#lookAtClock();
    await this.#lookAtDisk();
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#look().catch(() => {});
    }, everyMs);
  }

  #lookAtOutbox(): void {
    const { pending, oldestAgeMs = 0, deadLetters } = this.#options.outbox.stats();
    const uplinks = this.#options.uplinks();
    const connected = uplinks.some(({ state }) => state === 'connected');
    this.#set(
      connected && (pending > growingPending || oldestAgeMs > growingAgeMs),
      'outbox-growing',
      '',
      `${pending} events wait although the cloud is connected, the oldest for ${Math.round(oldestAgeMs / 1000)} s`,
      uplinks.map(({ tenant }) => tenant),
    );
    this.#set(deadLetters > 0, 'dead-letters', '', `${deadLetters} batches are set aside`);
  }

  #lookAtClock(): void {
    this.#set(
      !this.#options.clock.synced(),
      'clock-unsynced',
      '',
      'No time server has been reached since the start; readings are marked as such',
    );
  }

  async #lookAtDisk(): Promise<void> {
    const { statePath } = this.#options;
    try {
      const { bavail, blocks, bsize } = await statfs(statePath);
      const free = bavail * bsize;
      const low = free < blocks * bsize * lowShare && free < enoughBytes;
      this.#set(
        low,
        'disk-low',
        statePath,
        `${Math.round(free / 1024 ** 2)} MiB are free at ${statePath}`,
      );
    } catch {
      // The outbox itself says when its folder cannot be used.
    }
  }

  #set(
    active: boolean,
    code: Parameters<ConditionReporter['raise']>[0],
    subject: string,
    text: string,
    under: readonly string[] = [],
  ): void {
    if (active) this.#options.conditions.raise(code, subject, text, { under });
    else this.#options.conditions.clear(code, subject);
  }
}
