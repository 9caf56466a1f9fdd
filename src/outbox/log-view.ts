import type { OutboxStats, Stream } from '../model/outbox.ts';
import type { CommitTimes } from './commit-times.ts';
import type { Change, CursorMove, LogFigures, Opened } from './worker-messages.ts';

const noFigures: LogFigures = {
  fileBytes: 0,
  walBytes: 0,
  deadLetters: 0,
  lost: 0,
  bytesWritten: 0,
  checksumErrors: 0,
  oldestRun: {},
  run: 0,
  monotonic: 0,
  setAside: [],
};

/** What the main thread knows of the log without asking, as of the last reply of the worker. */
export class LogView {
  readonly #streams = new Map<number, Stream>();
  readonly #acked = new Map<string, Map<number, number>>();
  #dirty = new Map<string, CursorMove>();
  #inFlight = new Map<string, CursorMove>();
  #list: readonly Stream[] | undefined;
  #figures = noFigures;

  /** Takes over the state of a file that was just opened; moves that are not durable yet stay. */
  replace(opened: Opened): void {
    const moves = [...this.#inFlight.values(), ...this.#dirty.values()];
    const before = new Map(this.#streams);
    this.#streams.clear();
    this.#acked.clear();
    this.#dirty = new Map();
    this.#inFlight = new Map();
    this.apply(opened);
    for (const { consumer, sid, through } of opened.cursors) this.#set(consumer, sid, through);
    for (const { consumer, sid, through } of moves) {
      // Another file may use the same number for another stream.
      if (before.get(sid)?.epoch === this.#streams.get(sid)?.epoch)
        this.ack(consumer, sid, through);
    }
  }

  apply({ streams, removed, figures }: Change): void {
    for (const stream of streams) this.#streams.set(stream.sid, stream);
    for (const sid of removed) {
      this.#streams.delete(sid);
      for (const bySid of this.#acked.values()) bySid.delete(sid);
    }
    this.#list = undefined;
    this.#figures = figures;
  }

  /** A read has found so many damaged batches since the file was opened. */
  damaged(checksumErrors: number): void {
    this.#figures = { ...this.#figures, checksumErrors };
  }

  get figures(): LogFigures {
    return this.#figures;
  }

  streams(): readonly Stream[] {
    this.#list ??= [...this.#streams.values()];
    return this.#list;
  }

  stream(sid: number): Stream | undefined {
    return this.#streams.get(sid);
  }

  /** For each stream what was confirmed. */
  known(): readonly (readonly [sid: number, next: number])[] {
    return this.streams().map(({ sid, next }) => [sid, next] as const);
  }

  acked(consumer: string, sid: number): number {
    return this.#acked.get(consumer)?.get(sid) ?? 0;
  }

  /** Returns whether the cursor has moved. */
  ack(consumer: string, sid: number, through: number): boolean {
    const stream = this.#streams.get(sid);
    if (stream === undefined || !Number.isInteger(through)) return false;
    if (through >= stream.next || through <= this.acked(consumer, sid)) return false;
    this.#set(consumer, sid, through);
    this.#dirty.set(`${consumer}\n${sid}`, { consumer, sid, through });
    return true;
  }

  get hasMoves(): boolean {
    return this.#dirty.size > 0;
  }

  /** Cursors that are to be written now; settle with saved(). */
  takeMoves(): readonly CursorMove[] {
    for (const [key, move] of this.#dirty) this.#inFlight.set(key, move);
    this.#dirty = new Map();
    return [...this.#inFlight.values()];
  }

  /** They are durable, or have to be written again. */
  saved(isDurable: boolean): void {
    if (!isDurable) {
      for (const [key, move] of this.#inFlight) {
        if (!this.#dirty.has(key)) this.#dirty.set(key, move);
      }
    }
    this.#inFlight = new Map();
  }

  /** Figures for status page and metrics; `consumer` is the one whose backlog counts. */
  stats(
    consumer: string | undefined,
    monotonic: number,
    rest: {
      readonly maxBytes: number;
      readonly queued: number;
      readonly committedEvents: number;
      readonly times: CommitTimes;
    },
  ): OutboxStats {
    const { oldestRun, run, monotonic: at, setAside: _, ...figures } = this.#figures;
    let pending = 0;
    if (consumer !== undefined) {
      for (const { sid, next, oldest } of this.#streams.values()) {
        pending += next - 1 - Math.max(this.acked(consumer, sid), oldest - 1);
      }
    }
    const oldest = consumer === undefined ? undefined : oldestRun[consumer];
    const oldestAgeMs =
      pending > 0 && oldest !== undefined ? run - oldest + (monotonic - at) : undefined;
    return {
      ...figures,
      pending,
      ...(oldestAgeMs === undefined ? {} : { oldestAgeMs: Math.max(0, oldestAgeMs) }),
      maxBytes: rest.maxBytes,
      commits: rest.times.count,
      committedEvents: rest.committedEvents,
      queued: rest.queued,
      commitP50Ms: rest.times.quantile(0.5),
      commitP99Ms: rest.times.quantile(0.99),
    };
  }

  #set(consumer: string, sid: number, through: number): void {
    const bySid = this.#acked.get(consumer) ?? new Map<number, number>();
    bySid.set(sid, through);
    this.#acked.set(consumer, bySid);
  }
}
