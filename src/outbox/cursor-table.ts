import type { Database, Statement } from '../sqlite/open-database.ts';
import type { StreamTable } from './stream-table.ts';
import type { CursorMove } from './worker-messages.ts';

/** Consumers that may leave a cursor here; more are read for, but not remembered. */
const maxConsumers = 256;

interface CursorRow {
  readonly consumer: string;
  readonly sid: number;
  readonly acked: number;
}

/** How far each consumer has come in each stream. */
export class CursorTable {
  readonly #streams: StreamTable;
  readonly #consumers: readonly string[];
  readonly #all: Statement<[], CursorRow>;
  readonly #put: Statement<[string, number, number]>;
  readonly #delete: Statement<[number]>;
  readonly #byConsumer = new Map<string, Map<number, number>>();

  /** `consumers` are those whose acks retention waits for. */
  constructor(db: Database, streams: StreamTable, consumers: readonly string[]) {
    this.#streams = streams;
    this.#consumers = consumers;
    this.#all = db.prepare('SELECT consumer, sid, acked FROM cursor');
    this.#put = db.prepare(
      'INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET acked = excluded.acked',
    );
    this.#delete = db.prepare('DELETE FROM cursor WHERE sid = ?');
  }

  load(): void {
    this.#byConsumer.clear();
    for (const { consumer, sid, acked } of this.#all.all()) this.#set(consumer, sid, acked);
  }

  list(): readonly CursorMove[] {
    return [...this.#byConsumer].flatMap(([consumer, bySid]) =>
      [...bySid].map(([sid, through]) => ({ consumer, sid, through })),
    );
  }

  /** Moves cursors forward; backward and beyond the end are ignored. Inside a transaction. */
  move(moves: readonly CursorMove[]): void {
    for (const { consumer, sid, through } of moves) {
      const stream = this.#streams.get(sid);
      if (stream === undefined || through >= stream.next) continue;
      if (through <= this.acked(consumer, sid)) continue;
      if (!this.#byConsumer.has(consumer) && this.#byConsumer.size >= maxConsumers) continue;
      this.#put.run(consumer, sid, through);
      this.#set(consumer, sid, through);
    }
  }

  /** Highest sequence that a consumer has acked; 0 before the first. */
  acked(consumer: string, sid: number): number {
    return this.#byConsumer.get(consumer)?.get(sid) ?? 0;
  }

  /** Highest sequence that every consumer has acked. Without consumers nothing is waited for. */
  ackedByAll(sid: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const consumer of this.#consumers) least = Math.min(least, this.acked(consumer, sid));
    return least;
  }

  /** Highest sequence that any of them has acked. */
  ackedByAny(sid: number): number {
    let most = 0;
    for (const consumer of this.#consumers) most = Math.max(most, this.acked(consumer, sid));
    return most;
  }

  /** Forgets a stream. Inside a transaction. */
  remove(sid: number): void {
    this.#delete.run(sid);
    for (const bySid of this.#byConsumer.values()) bySid.delete(sid);
  }

  #set(consumer: string, sid: number, acked: number): void {
    const bySid = this.#byConsumer.get(consumer) ?? new Map<number, number>();
    bySid.set(sid, acked);
    this.#byConsumer.set(consumer, bySid);
  }
}
