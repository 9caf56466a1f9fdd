import type { Lane } from '../model/lane.ts';
import type { BatchHead, BatchTable } from './batch-table.ts';
import type { CursorTable } from './cursor-table.ts';
import type { GapReason } from './gap.ts';
import type { StreamState, StreamTable } from './stream-table.ts';
import type { Evicted, OutboxLimits } from './worker-messages.ts';

/** What is given up first. */
const evictionOrder: readonly Lane[] = ['bulk', 'live', 'alarm'];
/** Rows and events that one slice takes, so that a commit stays short. */
const sliceRows = 512;
const sliceEvents = 10_000;
/** Most bytes of acked batches that one commit drops. */
const sliceBytes = 4 * 1024 * 1024;
/** Acked batches are dropped this many bytes at a time, to write fewer pages. */
const retainSlackBytes = 256 * 1024;
const hourMs = 3_600_000;

/** Where losses are declared. */
export interface LossWriter {
  writeGap(stream: StreamState, first: number, n: number, reason: GapReason): void;
  countLost(events: number): void;
}

/** Decides what leaves the log, and declares what was not acked. All of it inside a transaction. */
export class Retention {
  readonly #batches: BatchTable;
  readonly #streams: StreamTable;
  readonly #cursors: CursorTable;
  readonly #limits: OutboxLimits;
  readonly #losses: LossWriter;
  #evicted: Evicted[] = [];

  constructor(
    tables: {
      readonly batches: BatchTable;
      readonly streams: StreamTable;
      readonly cursors: CursorTable;
    },
    limits: OutboxLimits,
    losses: LossWriter,
  ) {
    this.#batches = tables.batches;
    this.#streams = tables.streams;
    this.#cursors = tables.cursors;
    this.#limits = limits;
    this.#losses = losses;
  }

  /** How much was given up and is not told yet. */
  get evictedCount(): number {
    return this.#evicted.length;
  }

  /** Forgets what a transaction gave up that failed. */
  rollback(evictedCount: number): void {
    this.#evicted.length = evictedCount;
  }

  /** What was given up since it was asked last. */
  takeEvicted(): readonly Evicted[] {
    const evicted = this.#evicted;
    this.#evicted = [];
    return evicted;
  }

  /** Frees at least so many bytes of bodies if it can: acked ones first, alarms last. Returns how many it freed. */
  free(bytes: number): number {
    let freed = this.dropAcked(bytes);
    for (const lane of evictionOrder) {
      while (freed < bytes) {
        const got = this.#evictFrom(lane, bytes - freed);
        if (got === 0) break;
        freed += got;
      }
    }
    return freed;
  }

  /** Drops what is acked and no longer kept for replay, a slice of it. */
  trim(run: number): void {
    const { retainBytes, retainHours } = this.#limits;
    const excess = this.#streams.totalBytes - retainBytes;
    if (excess > Math.min(retainSlackBytes, retainBytes / 8)) {
      this.dropAcked(Math.min(excess, sliceBytes));
    }
    const before = run - retainHours * hourMs;
    for (const stream of this.#streams.all()) {
      const oldest = this.#batches.first(stream.sid);
      if (oldest === undefined || oldest.run_ms >= before) continue;
      this.#dropFrom(stream, Number.POSITIVE_INFINITY, before);
    }
  }

  /** Gives up what is too old, a slice of each stream. */
  expire(run: number): void {
    const before = run - this.#limits.maxAgeHours * hourMs;
    for (const stream of this.#streams.all()) {
      const oldest = this.#evictable(stream, 1)[0];
      if (oldest === undefined || oldest.run_ms >= before) continue;
      const rows = this.#evictable(stream, sliceRows).filter(({ run_ms }) => run_ms < before);
      this.#evict(stream, rows, 'age');
    }
  }

  /** Drops acked batches, those stored first, until so many bytes are free. */
  dropAcked(bytes: number): number {
    let freed = 0;
    while (freed < bytes) {
      let oldest: { readonly stream: StreamState; readonly run: number } | undefined;
      for (const stream of this.#streams.all()) {
        if (stream.oldest >= stream.next) continue;
        const head = this.#batches.first(stream.sid);
        if (head === undefined || !this.#isAcked(stream, head)) continue;
        if (oldest === undefined || head.run_ms < oldest.run) oldest = { stream, run: head.run_ms };
      }
      if (oldest === undefined) break;
      freed += this.#dropFrom(oldest.stream, bytes - freed, Number.POSITIVE_INFINITY);
    }
    return freed;
  }

  #dropFrom(stream: StreamState, bytes: number, storedBefore: number): number {
    if (stream.oldest >= stream.next) return 0;
    const rows: BatchHead[] = [];
    let freed = 0;
    let events = 0;
    for (const row of this.#batches.heads(stream.sid, stream.oldest, sliceRows)) {
      if (freed >= bytes || events >= sliceEvents) break;
      if (row.run_ms >= storedBefore || !this.#isAcked(stream, row)) break;
      rows.push(row);
      freed += row.bytes;
      events += row.n;
    }
    const last = rows.at(-1);
    if (last === undefined) return 0;
    this.#batches.delete(stream.sid, 0, last.seq + 1);
    stream.bytes -= freed;
    stream.oldest = this.#batches.first(stream.sid)?.seq ?? stream.next;
    stream.dirty = true;
    stream.changed = true;
    // Empty bodies do not exist, but a loop must end even if one does.
    return Math.max(1, freed);
  }

  #isAcked(stream: StreamState, row: BatchHead): boolean {
    return row.seq + row.n - 1 <= this.#cursors.ackedByAll(stream.sid);
  }

  /** Of the streams of a lane the one that holds most: who floods the outbox pays for it. */
  #evictFrom(lane: Lane, bytes: number): number {
    const streams = [...this.#streams.all()]
      .filter((stream) => stream.lane === lane && stream.bytes > 0)
      .sort((a, b) => b.bytes - a.bytes);
    for (const stream of streams) {
      const rows: BatchHead[] = [];
      let freed = 0;
      for (const row of this.#evictable(stream, sliceRows)) {
        if (freed >= bytes) break;
        rows.push(row);
        freed += row.bytes;
      }
      if (rows.length > 0) {
        this.#evict(stream, rows, 'quota');
        return Math.max(1, freed);
      }
    }
    return 0;
  }

  /** The oldest batches that are not acked and lie side by side. */
  #evictable(stream: StreamState, limit: number): readonly BatchHead[] {
    const { sid } = stream;
    const acked = this.#cursors.ackedByAll(sid);
    if (acked >= stream.next - 1) return [];
    const from = this.#batches.startOf(sid, acked + 1);
    const rows = this.#batches.unlostHeads(sid, from, limit);
    const end = rows.findIndex((row, index) => {
      const before = rows[index - 1];
      return before !== undefined && before.seq + before.n !== row.seq;
    });
    return end === -1 ? rows : rows.slice(0, end);
  }

  /** Puts one gap in the place of batches that lie side by side. */
  #evict(stream: StreamState, rows: readonly BatchHead[], reason: 'quota' | 'age'): void {
    const { sid } = stream;
    const [head, last] = [rows[0], rows.at(-1)];
    if (head === undefined || last === undefined) return;
    const events = rows.reduce((sum, { n }) => sum + n, 0);
    let first = head.seq;
    let end = last.seq + last.n;
    let bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    // A gap that somebody may have been given already stays as it is: a replay sends the same bytes.
    const sealed = Math.max(stream.sealed, this.#cursors.ackedByAny(sid));
    const before = this.#batches.before(sid, first);
    if (before?.gap === reason && before.seq + before.n === first && before.seq > sealed) {
      first = before.seq;
      bytes += before.bytes;
    }
    const after = this.#batches.at(sid, end);
    if (after?.gap === reason && after.seq > sealed) {
      end += after.n;
      bytes += after.bytes;
    }
    this.#batches.delete(sid, first, end);
    stream.bytes -= bytes;
    this.#losses.writeGap(stream, first, end - first, reason);
    this.#losses.countLost(events);
    stream.dirty = true;
    stream.changed = true;
    this.#evicted.push({ tenant: stream.tenant, lane: stream.lane, events, reason });
  }
}
