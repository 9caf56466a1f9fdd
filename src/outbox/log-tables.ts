import type { Database } from '../sqlite/open-database.ts';
import { BatchTable } from './batch-table.ts';
import { BootTable } from './boot-table.ts';
import { CursorTable } from './cursor-table.ts';
import { DeadLetterTable } from './dead-letter-table.ts';
import { MetaTable } from './meta-table.ts';
import { StreamTable } from './stream-table.ts';
import type { LogOptions } from './worker-messages.ts';

/** Share of the budget that copies of dead letters may take. */
const deadLetterShare = 0.1;

/** All tables of the log, and the questions that concern several of them. */
export class LogTables {
  readonly batches: BatchTable;
  readonly streams: StreamTable;
  readonly cursors: CursorTable;
  readonly boots: BootTable;
  readonly meta: MetaTable;
  readonly deadLetters: DeadLetterTable;

  constructor(db: Database, { consumers, limits }: LogOptions) {
    this.batches = new BatchTable(db);
    this.streams = new StreamTable(db, this.batches);
    this.cursors = new CursorTable(db, this.streams, consumers);
    this.boots = new BootTable(db);
    this.meta = new MetaTable(db);
    this.deadLetters = new DeadLetterTable(
      db,
      this.streams,
      this.cursors,
      limits.maxBytes * deadLetterShare,
    );
  }

  /** Reads what is kept in memory from the file, at first and after a transaction that failed. */
  load(): void {
    this.boots.forget();
    this.streams.load();
    this.cursors.load();
    this.deadLetters.load();
  }

  /** The latest running time that is stored. */
  newestRun(): number {
    let newest = this.meta.get('running') ?? 0;
    for (const { sid } of this.streams.all()) {
      newest = Math.max(newest, this.batches.last(sid)?.run_ms ?? 0);
    }
    return newest;
  }

  /** Running time at which the oldest batch was stored that a consumer has not acked; undefined if there is none. */
  oldestRun(consumer: string): number | undefined {
    let oldest: number | undefined;
    for (const { sid, next } of this.streams.all()) {
      const acked = this.cursors.acked(consumer, sid);
      if (acked >= next - 1) continue;
      const head = this.batches.heads(sid, this.batches.startOf(sid, acked + 1), 1)[0];
      if (head !== undefined) oldest = Math.min(oldest ?? head.run_ms, head.run_ms);
    }
    return oldest;
  }

  /** Forgets closed streams that hold nothing, and boots that no batch refers to. Inside a transaction. */
  sweep(): void {
    let oldestBoot = Number.POSITIVE_INFINITY;
    for (const stream of [...this.streams.all()]) {
      oldestBoot = Math.min(oldestBoot, this.batches.first(stream.sid)?.boot ?? oldestBoot);
      if (!stream.closed || stream.oldest < stream.next) continue;
      this.cursors.remove(stream.sid);
      this.streams.remove(stream);
    }
    if (Number.isFinite(oldestBoot)) this.boots.prune(oldestBoot);
  }
}
