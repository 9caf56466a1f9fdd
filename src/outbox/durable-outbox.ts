import { Backoff } from '../kernel/backoff.ts';
import type { Part } from '../kernel/part.ts';
import { withDeadline } from '../kernel/wait.ts';
import { GatewayError } from '../model/errors.ts';
import type { TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type {
  Committed,
  DeadLetter,
  NewBatch,
  Outbox,
  OutboxStats,
  StoredBatch,
  Stream,
} from '../model/outbox.ts';
import { AppendQueue, type PendingAppend } from './append-queue.ts';
import { CommitListeners } from './commit-listeners.ts';
import { CommitTimes } from './commit-times.ts';
import { LogView } from './log-view.ts';
import { momentOf } from './moment.ts';
import { checkNewBatch } from './new-batch-check.ts';
import { fromFacts, isFinal, unavailable } from './outbox-errors.ts';
import type { DurableOutboxOptions } from './outbox-options.ts';
import { OutboxReports } from './outbox-reports.ts';
import { StallWatch } from './stall-watch.ts';
import { startLogWorker } from './start-worker.ts';
import { unpackBatches } from './unpack-batches.ts';
import { LogFailure, WorkerLink } from './worker-link.ts';
import type { Change, Moment, Requests } from './worker-messages.ts';

export type { DurableOutboxOptions } from './outbox-options.ts';

/** A cursor that no commit has taken along is written after this. */
const cursorIdleMs = 250;
/** How often ages, size and figures are looked at. */
const tendEveryMs = 10_000;
/** A commit that takes longer means that the disk hangs. */
const stallMs = 30_000;
/** How long close() waits for what is on its way, and then for the worker to end. */
const closeMs = 5_000;
const terminateMs = 2_000;
const reopenLimits = { minMs: 100, maxMs: 30_000 };

type State = 'new' | 'opening' | 'open' | 'down' | 'closing' | 'closed';

/**
 * The outbox of the gateway. The database belongs to a worker thread, because an fsync takes up to
 * 100 ms on an SD card; here are the queue before it and what is known of it without asking.
 *
 * One commit is in flight; what is appended meanwhile goes into the next.
 */
export class DurableOutbox implements Outbox, Part {
  readonly name = 'outbox';
  readonly #options: DurableOutboxOptions;
  readonly #reports: OutboxReports;
  readonly #view = new LogView();
  readonly #queue = new AppendQueue();
  readonly #times = new CommitTimes();
  readonly #backoff = new Backoff(reopenLimits);
  readonly #listeners: CommitListeners;
  readonly #stall: StallWatch;
  #state: State = 'new';
  #link: WorkerLink | undefined;
  /** The worker has the file open, though it may be unable to write it. */
  #isReadable = false;
  #wasOpen = false;
  /** A commit or a tend is in flight. */
  #isBusy = false;
  #isPumpDue = false;
  #isTendDue = false;
  #committedEvents = 0;
  #cause: GatewayError | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #closed: Promise<void> | undefined;
  #cursorTimer: Disposable | undefined;
  #tendTimer: Disposable | undefined;
  #reopenTimer: Disposable | undefined;

  constructor(options: DurableOutboxOptions) {
    this.#options = options;
    this.#listeners = new CommitListeners(options.notes);
    this.#stall = new StallWatch(options.clock, stallMs, () => this.#stalled());
    this.#reports = new OutboxReports(options.path, options.notes, options.conditions);
  }

  /**
   * Opens the file. Rejects only where waiting does not help: the file is of a later release, of
   * another process, or not durable. A damaged file is set aside; a disk that refuses is tried again.
   */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#state = 'opening';
    try {
      await this.#open();
    } catch (error) {
      if (isFinal(error)) {
        await this.close();
        throw error;
      }
      this.#fail(unavailable(error));
    }
    if (signal.aborted) {
      await this.close();
      signal.throwIfAborted();
    }
    this.#scheduleTend();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async append(batches: readonly NewBatch[]): Promise<readonly Committed[]> {
    if (batches.length === 0) return [];
    for (const batch of batches) checkNewBatch(batch);
    if (this.#state !== 'open') throw this.#notOpen();
    const appendedAt = this.#options.clock.monotonic();
    const committed = this.#queue.push(batches.map((batch) => ({ ...batch, appendedAt })));
    if (!this.#isPumpDue) {
      this.#isPumpDue = true;
      // What is appended in the same turn shares a commit.
      queueMicrotask(() => {
        this.#isPumpDue = false;
        this.#pump();
      });
    }
    return await committed;
  }

  streams(): readonly Stream[] {
    return this.#view.streams();
  }

  async read(
    consumer: string,
    sid: number,
    after: number,
    limit: { readonly batches: number; readonly bytes: number },
  ): Promise<readonly StoredBatch[]> {
    const stream = this.#view.stream(sid);
    if (stream === undefined || after >= stream.next - 1) return [];
    const result = await this.#ask('read', { consumer, sid, after, ...limit });
    const { damaged, checksumErrors } = result;
    if (damaged.length > 0) this.#view.damaged(checksumErrors);
    this.#reports.damaged(damaged, checksumErrors, this.#options.clock.monotonic());
    return unpackBatches(sid, result);
  }

  acked(consumer: string, sid: number): number {
    return this.#view.acked(consumer, sid);
  }

  ack(consumer: string, sid: number, through: number): void {
    if (this.#view.ack(consumer, sid, through)) this.#scheduleCursors();
  }

  async park(consumer: string, sid: number, sequence: number, reason: string): Promise<void> {
    const request = { now: this.#now(), consumer, sid, sequence, reason };
    const { n, ...change } = await this.#ask('park', request);
    this.#apply(change);
    if (n > 0) this.#options.notes.outboxParked({ consumer, sequence, n, reason });
  }

  async deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return await this.#ask('deadLetters', { limit });
  }

  async renewEpoch(tenant: TenantId, lane: Lane, reason: string): Promise<void> {
    this.#apply(await this.#ask('renew', { now: this.#now(), tenant, lane, reason }));
  }

  onCommit(listener: (sids: readonly number[]) => void): () => void {
    return this.#listeners.add(listener);
  }

  stats(): OutboxStats {
    const { consumers, limits, clock } = this.#options;
    return this.#view.stats(consumers[0], clock.monotonic(), {
      maxBytes: limits.maxBytes,
      queued: this.#queue.batches,
      committedEvents: this.#committedEvents,
      times: this.#times,
    });
  }

  async #open(): Promise<void> {
    const link = this.#link ?? this.#startWorker();
    const opened = await link.request('open', {
      now: this.#now(),
      cursors: this.#view.takeMoves(),
      ...(this.#wasOpen ? { known: this.#view.known() } : {}),
    });
    this.#isReadable = true;
    this.#wasOpen = true;
    this.#view.replace(opened);
    this.#reports.opened(opened, this.stats().pending);
    this.#reports.tend(opened.figures, this.#options.clock.monotonic());
    if (this.#state === 'closing' || this.#state === 'closed') return;
    if (opened.unwritable !== undefined) throw fromFacts(opened.unwritable);
    this.#state = 'open';
    this.#cause = undefined;
    this.#reports.recovered();
    if (this.#view.hasMoves) this.#scheduleCursors();
  }

  #startWorker(): WorkerLink {
    const link = new WorkerLink(startLogWorker(this.#options));
    this.#link = link;
    link.listen((error) => {
      if (this.#link === link) this.#link = undefined;
      this.#isReadable = false;
      this.#fail(error);
    });
    return link;
  }

  /** Nothing can be stored for now; it is tried again by itself. */
  #fail(error: GatewayError): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const wasDown = this.#state === 'down';
    this.#state = 'down';
    this.#cause = error;
    this.#queue.refuse(error);
    this.#reports.unavailable(error);
    if (wasDown && this.#reopenTimer !== undefined) return;
    this.#reopenTimer = this.#options.clock.setTimeout(() => {
      this.#reopenTimer = undefined;
      this.#open().catch((reason: unknown) => this.#fail(unavailable(reason)));
    }, this.#backoff.next());
  }

  #pump(): void {
    if (this.#isTendDue) this.#tend();
    if (this.#isBusy || (this.#state !== 'open' && this.#state !== 'closing')) return;
    const link = this.#link;
    if (this.#queue.isEmpty || link === undefined) {
      this.#idle?.resolve();
      return;
    }
    const group = this.#queue.takeGroup();
    this.#isBusy = true;
    this.#stall.begin();
    link
      .request('commit', {
        now: this.#now(),
        batches: group.flatMap(({ batches }) => batches),
        cursors: this.#view.takeMoves(),
      })
      .then(
        (result) => this.#committed(group, result),
        (error: unknown) => this.#refused(group, error),
      );
  }

  #committed(group: readonly PendingAppend[], result: Requests['commit']['result']): void {
    const { committed, ms, ...change } = result;
    const before = this.#view.figures.bytesWritten;
    this.#settle(true);
    this.#apply(change);
    this.#backoff.reset();
    this.#times.add(ms);
    const events = committed.reduce((sum, { n }) => sum + n, 0);
    this.#committedEvents += events;
    this.#options.notes.outboxCommitted({
      batches: committed.length,
      events,
      bytes: change.figures.bytesWritten - before,
      ms,
    });
    let from = 0;
    for (const { batches, resolve } of group) {
      resolve(committed.slice(from, from + batches.length));
      from += batches.length;
    }
    this.#listeners.tell([...new Set(committed.map(({ sid }) => sid))]);
    this.#pump();
  }

  #refused(group: readonly PendingAppend[], thrown: unknown): void {
    this.#settle(false);
    const error = unavailable(thrown);
    for (const { reject } of group) reject(error);
    if (error.code === 'OUTBOX_FULL') {
      this.#reports.full(error, this.#options.clock.monotonic());
    } else {
      if (thrown instanceof LogFailure && thrown.broken) this.#isReadable = false;
      this.#fail(error);
    }
    this.#pump();
  }

  /** A commit or a tend has ended. */
  #settle(isDurable: boolean): void {
    this.#isBusy = false;
    this.#view.saved(isDurable);
    if (this.#stall.end() && isDurable) this.#reports.recovered();
  }

  /** The disk hangs. What waits keeps waiting: it may still be stored, and must not be stored twice. */
  #stalled(): void {
    this.#reports.unavailable(
      new GatewayError(
        'OUTBOX_UNAVAILABLE',
        `the disk with ${this.#options.path} has not answered for ${stallMs / 1000} s`,
      ),
    );
  }

  #scheduleCursors(): void {
    if (this.#cursorTimer !== undefined || this.#state === 'closed') return;
    this.#cursorTimer = this.#options.clock.setTimeout(() => {
      this.#cursorTimer = undefined;
      if (this.#view.hasMoves) this.#tend();
    }, cursorIdleMs);
  }

  #scheduleTend(): void {
    if (this.#state === 'closed' || this.#state === 'closing') return;
    this.#tendTimer = this.#options.clock.setTimeout(() => {
      this.#tend();
      this.#scheduleTend();
    }, tendEveryMs);
  }

  /** Begins at once or after the commit in flight. */
  #tend(): void {
    if (this.#state !== 'open' || this.#link === undefined) return;
    this.#isTendDue = this.#isBusy;
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#link.request('tend', { now: this.#now(), cursors: this.#view.takeMoves() }).then(
      (change) => {
        this.#settle(true);
        this.#apply(change);
        this.#reports.tend(change.figures, this.#options.clock.monotonic());
        this.#pump();
      },
      (error: unknown) => this.#refused([], error),
    );
  }

  async #ask<Name extends 'read' | 'park' | 'deadLetters' | 'renew'>(
    op: Name,
    request: Requests[Name]['request'],
  ): Promise<Requests[Name]['result']> {
    if (!this.#isReadable || this.#link === undefined) throw this.#notOpen();
    try {
      return await this.#link.request(op, request);
    } catch (thrown) {
      const error = unavailable(thrown);
      if (thrown instanceof LogFailure && thrown.broken) {
        this.#isReadable = false;
        this.#fail(error);
      }
      throw error;
    }
  }

  #apply(change: Change): void {
    const monotonic = this.#options.clock.monotonic();
    this.#view.apply(change);
    this.#reports.evicted(change.evicted, change.figures.lost, monotonic);
  }

  async #close(): Promise<void> {
    const mayFlush = this.#isReadable && (this.#state === 'open' || this.#isBusy);
    this.#state = 'closing';
    for (const timer of [this.#cursorTimer, this.#tendTimer, this.#reopenTimer]) {
      timer?.[Symbol.dispose]();
    }
    if (mayFlush) await withDeadline('closing the outbox', closeMs, this.#flush()).catch(() => {});
    this.#state = 'closed';
    this.#stall.end();
    this.#isReadable = false;
    this.#queue.refuse(this.#notOpen());
    const link = this.#link;
    if (link === undefined) return;
    // A thread that waits for a dead disk cannot be ended; the process must not wait with it.
    await withDeadline('ending the outbox worker', terminateMs, link.terminate()).catch(() => {});
  }

  async #flush(): Promise<void> {
    if (this.#isBusy || !this.#queue.isEmpty) {
      this.#idle = Promise.withResolvers();
      this.#pump();
      await this.#idle.promise;
    }
    await this.#link?.request('close', { now: this.#now(), cursors: this.#view.takeMoves() });
  }

  readonly #now = (): Moment => momentOf(this.#options.clock);

  #notOpen(): GatewayError {
    if (this.#cause !== undefined) return this.#cause;
    const why = this.#state === 'new' ? 'has not been started' : 'is being opened or closed';
    return new GatewayError('OUTBOX_UNAVAILABLE', `the outbox ${why}`, { retryable: true });
  }
}
