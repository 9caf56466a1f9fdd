import { GatewayError } from '../model/errors.ts';
import type { Committed } from '../model/outbox.ts';
import type { PendingBatch } from './worker-messages.ts';

/** What may wait for the commit in flight; beyond it the disk is too slow and appends are refused. */
const maxWaitingBatches = 5_000;
const maxWaitingBytes = 32 * 1024 * 1024;
/** What one commit takes, so that it does not take long. */
const maxGroupBatches = 500;
const maxGroupBytes = 4 * 1024 * 1024;

/** One call of append(). */
export interface PendingAppend {
  readonly batches: readonly PendingBatch[];
  readonly bytes: number;
  resolve(committed: readonly Committed[]): void;
  reject(error: GatewayError): void;
}

/** Appends that wait for the commit in flight, in order. */
export class AppendQueue {
  #appends: PendingAppend[] = [];
  #batches = 0;
  #bytes = 0;

  /** Batches that wait. */
  get batches(): number {
    return this.#batches;
  }

  get isEmpty(): boolean {
    return this.#appends.length === 0;
  }

  /** Rejects with OUTBOX_UNAVAILABLE when too much waits already. */
  push(batches: readonly PendingBatch[]): Promise<readonly Committed[]> {
    const bytes = batches.reduce((sum, { data }) => sum + data.length, 0);
    const isTooMuch =
      this.#batches + batches.length > maxWaitingBatches || this.#bytes + bytes > maxWaitingBytes;
    if (isTooMuch && !this.isEmpty) {
      return Promise.reject(
        new GatewayError(
          'OUTBOX_UNAVAILABLE',
          `${this.#batches} batches wait for the disk already, which is too slow`,
          { retryable: true, facts: { batches: this.#batches, bytes: this.#bytes } },
        ),
      );
    }
    return new Promise((resolve, reject) => {
      this.#appends.push({ batches, bytes, resolve, reject });
      this.#batches += batches.length;
      this.#bytes += bytes;
    });
  }

  /** Takes what goes into the next commit: at least one append, whole appends only. */
  takeGroup(): readonly PendingAppend[] {
    let batches = 0;
    let bytes = 0;
    let count = 0;
    for (const append of this.#appends) {
      const fits =
        batches + append.batches.length <= maxGroupBatches && bytes + append.bytes <= maxGroupBytes;
      if (!fits && count > 0) break;
      batches += append.batches.length;
      bytes += append.bytes;
      count += 1;
    }
    this.#batches -= batches;
    this.#bytes -= bytes;
    return this.#appends.splice(0, count);
  }

  /** Rejects everything that waits. */
  refuse(error: GatewayError): void {
    const appends = this.#appends;
    this.#appends = [];
    this.#batches = 0;
    this.#bytes = 0;
    for (const append of appends) append.reject(error);
  }
}
