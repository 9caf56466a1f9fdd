import { performance } from 'node:perf_hooks';
import { GatewayError } from '../model/errors.ts';
import { listSetAside } from '../sqlite/set-aside.ts';
import { sqliteCode, storageError } from '../sqlite/storage-error.ts';
import { Ballast } from './ballast.ts';
import type { BatchLog } from './batch-log.ts';
import { openLog } from './open-log.ts';
import type { ErrorFacts, LogOptions, Op, Opened, Requests } from './worker-messages.ts';

/** Damaged files beside ours are looked for this often. */
const setAsideEveryMs = 30_000;
/** Acked batches that are dropped at once while the disk is full, bytes. */
const reliefBytes = 4 * 1024 * 1024;

/** Answers the requests of the main thread with the log that is open, or says why there is none. */
export class LogServer {
  readonly #options: LogOptions;
  readonly #ballast: Ballast;
  #log: BatchLog | undefined;
  #cause: unknown;
  #setAsideAt = Number.NEGATIVE_INFINITY;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#ballast = new Ballast(options.path, options.limits.maxBytes);
  }

  serve<Name extends Op>(op: Name, request: Requests[Name]['request']): Requests[Name]['result'] {
    const serve = this.#served[op] as (
      request: Requests[Name]['request'],
    ) => Requests[Name]['result'];
    return serve(request);
  }

  /** Closes the file after a failure. On a full disk the ballast goes, so that deletes work again. */
  abandon(cause: unknown): void {
    this.#cause = cause;
    if (sqliteCode(cause) === 'SQLITE_FULL') this.#ballast.release();
    this.#close();
  }

  readonly #served: {
    readonly [Name in Op]: (request: Requests[Name]['request']) => Requests[Name]['result'];
  } = {
    open: (request) => this.#open(request),
    commit: ({ batches, cursors, now }) => {
      const log = this.#opened();
      const began = performance.now();
      const committed = log.commit(batches, cursors, now);
      return { committed, ms: performance.now() - began, ...log.takeChange() };
    },
    read: (request) => this.#opened().read(request),
    park: ({ consumer, sid, sequence, reason, now }) => {
      const log = this.#opened();
      return { n: log.park(consumer, sid, sequence, reason, now), ...log.takeChange() };
    },
    deadLetters: ({ limit }) => this.#opened().deadLetters(limit),
    renew: ({ tenant, lane, reason }) => {
      const log = this.#opened();
      log.transact(() => log.tables.streams.renew(tenant, lane, reason));
      return log.takeChange();
    },
    tend: ({ cursors, now }) => {
      const log = this.#opened();
      log.tend(cursors, now);
      this.#ballast.restore();
      this.#lookForDamaged(log, now.monotonic);
      return log.takeChange();
    },
    close: ({ cursors, now }) => {
      try {
        this.#log?.flush(cursors, now);
        this.#log?.db.pragma('wal_checkpoint(TRUNCATE)');
      } finally {
        this.#close();
      }
      return undefined;
    },
  };

  #open(request: Requests['open']['request']): Opened {
    this.#close();
    const { now, known } = request;
    const began = performance.now();
    const { log, quarantined } = openLog(this.#options, now, known);
    this.#log = log;
    const unwritable = this.#makeWritable(log, request);
    const opened = this.#opened();
    this.#setAsideAt = Number.NEGATIVE_INFINITY;
    this.#lookForDamaged(opened, now.monotonic);
    return {
      ...opened.takeChange(),
      cursors: opened.tables.cursors.list(),
      openMs: performance.now() - began,
      ...(quarantined === undefined ? {} : { quarantined }),
      ...(unwritable === undefined ? {} : { unwritable: factsOf(unwritable) }),
    };
  }

  /** A file that opens may still not take a write: then why not. Reading goes on. */
  #makeWritable(
    log: BatchLog,
    { now, known, cursors }: Requests['open']['request'],
  ): GatewayError | undefined {
    try {
      log.flush(cursors, now);
      if (this.#ballast.restore()) return undefined;
      // Room is made from what is acked already; the rest of the disk belongs to others.
      const freed = log.transact(() => log.dropAcked(reliefBytes));
      if (freed > 0 || log.hasSpareRoom) return undefined;
      return new GatewayError(
        'OUTBOX_UNAVAILABLE',
        `${this.#options.path} cannot grow: the disk is full, ${this.#ballast.free()} bytes are free`,
        { retryable: true },
      );
    } catch (thrown) {
      this.abandon(thrown);
      this.#log = openLog(this.#options, now, known).log;
      return storageError(this.#options.path, thrown);
    }
  }

  #lookForDamaged(log: BatchLog, monotonic: number): void {
    if (monotonic - this.#setAsideAt < setAsideEveryMs) return;
    this.#setAsideAt = monotonic;
    log.setAside(listSetAside(this.#options.path));
  }

  #opened(): BatchLog {
    if (this.#log !== undefined) return this.#log;
    const { path } = this.#options;
    throw this.#cause === undefined
      ? new GatewayError('OUTBOX_UNAVAILABLE', `${path} is not open`, { retryable: true })
      : storageError(path, this.#cause);
  }

  #close(): void {
    const log = this.#log;
    this.#log = undefined;
    log?.db.close();
  }
}

/** The error in a form that crosses threads. */
export function factsOf({ code, message, retryable, remedy, facts }: GatewayError): ErrorFacts {
  return { code, message, retryable, remedy, facts };
}
