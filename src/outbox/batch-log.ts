import { statSync } from 'node:fs';
import { GatewayError } from '../model/errors.ts';
import { streamSource } from '../model/event.ts';
import type { Committed } from '../model/outbox.ts';
import { type Database, pageBytes } from '../sqlite/open-database.ts';
import { breaksHandle, sqliteCode } from '../sqlite/storage-error.ts';
import { BatchReader } from './batch-reader.ts';
import { envelope } from './envelope.ts';
import { FileSize } from './file-size.ts';
import { type GapReason, gapEnvelope } from './gap.ts';
import { LogTables } from './log-tables.ts';
import { Retention } from './retention.ts';
import { RunningTime } from './running-time.ts';
import { checksum, encodeBody, type StoredBody } from './stored-body.ts';
import type { StreamState } from './stream-table.ts';
import type {
  Change,
  CursorMove,
  LogFigures,
  LogOptions,
  Moment,
  PendingBatch,
  ReadResult,
  Requests,
} from './worker-messages.ts';

/** Ages are looked at this often, in milliseconds of running time. */
const agesEveryMs = 1_000;
/** Running time and snapshots of streams are written with a commit this often … */
const snapshotEveryMs = 10_000;
/** … and by themselves this often when nothing else is written. */
const idleSnapshotEveryMs = 60_000;
/** With more streams than this the oldest unacked batch is looked for only this often. */
const fewStreams = 8;
const oldestEveryMs = 250;
/** A row takes about this many bytes besides its body. */
const rowOverheadBytes = 64;

interface Encoded extends StoredBody {
  readonly stream: StreamState;
  readonly batch: PendingBatch;
  readonly seq: number;
}

/**
 * The log in one open file: appends, reads, cursors, budgets. Synchronous; its owner is the worker.
 *
 * After a method has thrown, either nothing of it has happened and the log can be used, or the file
 * must be closed (see breaksHandle()).
 */
export class BatchLog {
  readonly db: Database;
  readonly running: RunningTime;
  readonly tables: LogTables;
  readonly #options: LogOptions;
  readonly #retention: Retention;
  readonly #reader: BatchReader;
  readonly #size: FileSize;
  #now: Moment;
  #lost: number;
  #bytesWritten = 0;
  #agesAt = Number.NEGATIVE_INFINITY;
  #snapshotAt: number;
  #setAside: readonly string[] = [];
  #oldest: Record<string, number> = {};
  #oldestAt = Number.NEGATIVE_INFINITY;

  constructor(db: Database, options: LogOptions, now: Moment) {
    this.db = db;
    this.#options = options;
    this.#now = now;
    this.tables = new LogTables(db, options);
    this.#retention = new Retention(this.tables, options.limits, this);
    this.#size = new FileSize(db, options.limits.maxBytes);
    this.#load();
    this.#lost = this.tables.meta.get('lost') ?? 0;
    this.running = new RunningTime(this.tables.newestRun() + 1, now.monotonic);
    this.#snapshotAt = this.running.sessionStart;
    this.#reader = new BatchReader(this.tables, options.gateway, this.running);
  }

  /** Runs work in one transaction; on failure what is in memory is read from the file again. */
  transact<Result>(work: () => Result): Result {
    const { evictedCount } = this.#retention;
    try {
      return this.db.transaction(work).immediate();
    } catch (thrown) {
      this.#retention.rollback(evictedCount);
      // SQLITE_FULL may come from our own limit, and then the handle is sound.
      if (!breaksHandle(thrown) || isFull(thrown)) this.#load();
      throw thrown;
    }
  }

  /** Stores batches and cursors in one transaction. Throws OUTBOX_FULL if nothing more can be given up for it. */
  commit(
    batches: readonly PendingBatch[],
    cursors: readonly CursorMove[],
    now: Moment,
  ): readonly Committed[] {
    this.#now = now;
    const bytes = batches.reduce((sum, { data }) => sum + data.length + pageBytes, 0);
    try {
      return this.transact(() => this.#commit(batches, cursors));
    } catch (thrown) {
      if (!isFull(thrown) || this.#size.fits(2 * bytes)) throw thrown;
    }
    // The estimate was too small: free more, in a transaction of its own, and try once more.
    const freed = this.transact(() => this.#retention.free(2 * bytes + this.#size.sliceBytes));
    if (freed === 0) throw this.#full();
    try {
      return this.transact(() => this.#commit(batches, cursors));
    } catch (thrown) {
      throw isFull(thrown) ? this.#full() : thrown;
    }
  }

  read(request: Requests['read']['request']): ReadResult {
    const stream = this.tables.streams.get(request.sid);
    if (stream === undefined) {
      const { checksumErrors } = this.#reader;
      return { batches: [], bodies: new ArrayBuffer(0), damaged: [], checksumErrors };
    }
    const result = this.#reader.read(stream, request);
    const last = result.batches.at(-1);
    if (last !== undefined && this.#options.consumers.includes(request.consumer)) {
      stream.sealed = Math.max(stream.sealed, last.sequence + last.n - 1);
    }
    return result;
  }

  /** Returns how many events were set aside: 0 if the batch is gone, a gap, or set aside already. */
  park(consumer: string, sid: number, sequence: number, reason: string, now: Moment): number {
    const stream = this.tables.streams.get(sid);
    const row = this.tables.batches.rowAt(sid, sequence);
    if (stream === undefined || row === undefined || row.gap !== null) return 0;
    if (this.tables.deadLetters.has(consumer, stream.epoch, sequence)) return 0;
    this.transact(() => this.tables.deadLetters.park(consumer, stream, row, reason, now.wall));
    return row.n;
  }

  deadLetters(limit: number) {
    return this.tables.deadLetters.newest(limit);
  }

  /** Ages, retention and what else need not happen in the way of a commit. */
  tend(cursors: readonly CursorMove[], now: Moment): void {
    this.#now = now;
    const run = this.running.at(now.monotonic);
    const isDue = run - this.#snapshotAt >= idleSnapshotEveryMs;
    if (isDue) this.tables.streams.markAll();
    this.transact(() => {
      this.tables.cursors.move(cursors);
      this.#lookAtAges(run);
      this.tables.sweep();
      this.tables.streams.save();
      if (isDue) this.#writeRunningTime(run);
    });
    this.#size.shrink();
  }

  /** Writes what is only in memory. */
  flush(cursors: readonly CursorMove[], now: Moment): void {
    this.#now = now;
    this.tables.streams.markAll();
    this.transact(() => {
      this.tables.cursors.move(cursors);
      this.tables.streams.save();
      this.#writeRunningTime(this.running.at(now.monotonic));
    });
  }

  /** A gap takes the place of a range; called by Retention inside a transaction. */
  writeGap(stream: StreamState, first: number, n: number, reason: GapReason): void {
    const { bootId, wall, synced } = this.#now;
    const { tenant, lane, epoch } = stream;
    const text = gapEnvelope({
      gateway: this.#options.gateway,
      tenant,
      lane,
      epoch,
      first,
      n,
      reason,
      time: wall,
      bootId,
      synced,
    });
    this.#insert(stream, first, n, 'riser.gap.v1', reason, this.running.latest, encodeBody(text));
  }

  /** Drops acked batches although they could be kept for replay. Inside a transaction. Returns the bytes of their bodies. */
  dropAcked(bytes: number): number {
    return this.#retention.dropAcked(bytes);
  }

  /** Whether the file can take some more without growing. */
  get hasSpareRoom(): boolean {
    return this.#size.hasSpare;
  }

  /** Called by Retention inside a transaction. */
  countLost(events: number): void {
    this.#lost += events;
    this.tables.meta.put('lost', this.#lost);
  }

  /** What has changed since it was asked last, and the figures now. */
  takeChange(): Change {
    return {
      ...this.tables.streams.takeChanges(),
      evicted: this.#retention.takeEvicted(),
      figures: this.#figures(),
    };
  }

  /** Names of damaged files beside this one; shown in the figures. */
  setAside(names: readonly string[]): void {
    this.#setAside = names;
  }

  #commit(batches: readonly PendingBatch[], cursors: readonly CursorMove[]): readonly Committed[] {
    const run = this.running.at(this.#now.monotonic);
    this.tables.cursors.move(cursors);
    this.#lookAtAges(run);
    const ahead = new Map<StreamState, number>();
    const encoded = batches.map((batch) => this.#encode(batch, ahead));
    this.#makeRoom(encoded);
    const committed = encoded.map((each) => this.#store(each));
    if (run - this.#snapshotAt >= snapshotEveryMs) {
      this.tables.streams.markAll();
      this.#writeRunningTime(run);
    }
    this.tables.streams.save();
    return committed;
  }

  /** `ahead` counts what this commit gives each stream; the stream itself grows when it is stored. */
  #encode(batch: PendingBatch, ahead: Map<StreamState, number>): Encoded {
    const { tenant, lane, n } = batch;
    const stream = this.tables.streams.current(tenant, lane);
    const taken = ahead.get(stream) ?? 0;
    const seq = stream.next + taken;
    ahead.set(stream, taken + n);
    const text = envelope({
      epoch: stream.epoch,
      sequence: seq,
      source: streamSource(this.#options.gateway, tenant, lane),
      type: batch.type,
      time: batch.time,
      tenant,
      correlationId: batch.correlationId,
      traceparent: batch.traceparent,
      bootId: this.#now.bootId,
      synced: this.#now.synced,
      data: batch.data,
    });
    return { ...encodeBody(text), stream, batch, seq };
  }

  #store({ stream, batch, seq, enc, body }: Encoded): Committed {
    const { n, type, appendedAt } = batch;
    this.#insert(stream, seq, n, type, null, this.running.at(appendedAt), { enc, body });
    stream.next = seq + n;
    stream.changed = true;
    return { sid: stream.sid, sequence: seq, n };
  }

  #insert(
    stream: StreamState,
    seq: number,
    n: number,
    type: PendingBatch['type'],
    gap: GapReason | null,
    run: number,
    { enc, body }: StoredBody,
  ): void {
    const { sid } = stream;
    this.tables.batches.insert(sid, {
      seq,
      n,
      boot: this.tables.boots.idOf(this.#now.bootId),
      run_ms: run,
      wall_ms: Math.round(this.#now.wall),
      synced: this.#now.synced ? 1 : 0,
      type,
      gap,
      enc,
      crc: checksum({ sid, seq, n, type, gap, enc }, body),
      body,
    });
    stream.bytes += body.byteLength;
    this.#bytesWritten += body.byteLength;
  }

  #makeRoom(encoded: readonly Encoded[]): void {
    const needed = encoded.reduce(
      (sum, { body }) => sum + body.byteLength + rowOverheadBytes,
      // Each stream has a page that is not full.
      pageBytes * (1 + new Set(encoded.map(({ stream }) => stream.sid)).size),
    );
    const excess = this.#size.excess(needed);
    if (excess <= 0) return;
    let freed = this.#retention.free(this.#size.toFree(excess, needed));
    while (freed > 0 && !this.#size.fits(needed)) {
      freed = this.#retention.free(this.#size.sliceBytes);
    }
    if (!this.#size.fits(needed)) throw this.#full();
  }

  #lookAtAges(run: number): void {
    if (run - this.#agesAt < agesEveryMs) return;
    this.#agesAt = run;
    this.#retention.expire(run);
    this.#retention.trim(run);
  }

  #writeRunningTime(run: number): void {
    this.tables.meta.put('running', run);
    this.#snapshotAt = run;
  }

  #load(): void {
    this.tables.load();
    this.#lost = this.tables.meta.get('lost') ?? 0;
  }

  #figures(): LogFigures {
    const at = performance.now();
    // With many streams the oldest is looked for only now and then.
    if (at - this.#oldestAt >= oldestEveryMs || this.tables.streams.count <= fewStreams) {
      this.#oldestAt = at;
      this.#oldest = {};
      for (const consumer of this.#options.consumers) {
        const run = this.tables.oldestRun(consumer);
        if (run !== undefined) this.#oldest[consumer] = run;
      }
    }
    return {
      fileBytes: this.#size.fileBytes,
      walBytes: bytesOf(`${this.#options.path}-wal`),
      deadLetters: this.tables.deadLetters.count,
      lost: this.#lost,
      bytesWritten: this.#bytesWritten,
      checksumErrors: this.#reader.checksumErrors,
      oldestRun: this.#oldest,
      run: this.running.at(this.#now.monotonic),
      monotonic: this.#now.monotonic,
      setAside: this.#setAside,
    };
  }

  #full(): GatewayError {
    return new GatewayError(
      'OUTBOX_FULL',
      `${this.#options.path} has reached its limit, and nothing in it can be given up`,
      { retryable: true, facts: { maxBytes: this.#options.limits.maxBytes } },
    );
  }
}

function isFull(thrown: unknown): boolean {
  return sqliteCode(thrown) === 'SQLITE_FULL';
}

function bytesOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
