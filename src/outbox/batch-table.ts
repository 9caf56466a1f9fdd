import type { EventType } from '../model/event.ts';
import type { Database, Statement } from '../sqlite/open-database.ts';
import type { GapReason } from './gap.ts';

/** Sequences that fit into one stream: 40 bits of a key; with 13 bits of sid a key is an exact number. */
export const sequencesPerStream = 2 ** 40;
export const maxSid = 8191;

/** A row as it is stored. */
export interface BatchRow {
  readonly seq: number;
  readonly n: number;
  readonly boot: number;
  readonly run_ms: number;
  readonly wall_ms: number;
  readonly synced: number;
  readonly type: EventType;
  readonly gap: GapReason | null;
  readonly enc: number;
  readonly crc: number;
  readonly body: Uint8Array;
}

/** A row without its body. */
export interface BatchHead {
  readonly seq: number;
  readonly n: number;
  readonly boot: number;
  readonly run_ms: number;
  readonly bytes: number;
  readonly gap: GapReason | null;
}

type Range = [from: number, to: number];

const seqOf = `key % ${sequencesPerStream} AS seq`;
const headColumns = `${seqOf}, n, boot, run_ms, length(body) AS bytes, gap`;
const rowColumns = `${seqOf}, n, boot, run_ms, wall_ms, synced, type, gap, enc, crc, body`;

/** The batches. Ranges are of one stream, from inclusive, to exclusive. */
export class BatchTable {
  readonly #insert: Statement<
    [
      key: number,
      n: number,
      boot: number,
      run: number,
      wall: number,
      synced: number,
      type: string,
      gap: string | null,
      enc: number,
      crc: number,
      body: Uint8Array,
    ]
  >;
  readonly #heads: Statement<[...Range, limit: number], BatchHead>;
  readonly #unlostHeads: Statement<[...Range, limit: number], BatchHead>;
  readonly #rows: Statement<Range, BatchRow>;
  readonly #lastHead: Statement<Range, BatchHead>;
  readonly #lastRow: Statement<Range, BatchRow>;
  readonly #bytes: Statement<Range, { readonly bytes: number | null }>;
  readonly #delete: Statement<Range>;

  constructor(db: Database) {
    this.#insert = db.prepare('INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#heads = db.prepare(
      `SELECT ${headColumns} FROM batch WHERE key >= ? AND key < ? ORDER BY key LIMIT ?`,
    );
    this.#unlostHeads = db.prepare(
      `SELECT ${headColumns} FROM batch WHERE key >= ? AND key < ? AND gap IS NULL ORDER BY key LIMIT ?`,
    );
    this.#rows = db.prepare(
      `SELECT ${rowColumns} FROM batch WHERE key >= ? AND key < ? ORDER BY key`,
    );
    this.#lastHead = db.prepare(
      `SELECT ${headColumns} FROM batch WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT 1`,
    );
    this.#lastRow = db.prepare(
      `SELECT ${rowColumns} FROM batch WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT 1`,
    );
    this.#bytes = db.prepare(
      'SELECT sum(length(body)) AS bytes FROM batch WHERE key >= ? AND key < ?',
    );
    this.#delete = db.prepare('DELETE FROM batch WHERE key >= ? AND key < ?');
  }

  insert(sid: number, row: BatchRow): void {
    const { seq, n, boot, run_ms, wall_ms, synced, type, gap, enc, crc, body } = row;
    this.#insert.run(keyOf(sid, seq), n, boot, run_ms, wall_ms, synced, type, gap, enc, crc, body);
  }

  /** Heads of the rows that begin in a range, in order. */
  heads(sid: number, from: number, limit: number): readonly BatchHead[] {
    return this.#heads.all(keyOf(sid, from), keyOf(sid + 1, 0), limit);
  }

  /** The same without gaps. */
  unlostHeads(sid: number, from: number, limit: number): readonly BatchHead[] {
    return this.#unlostHeads.all(keyOf(sid, from), keyOf(sid + 1, 0), limit);
  }

  /** Rows from a sequence on, one at a time. Nothing may be written before the walk has ended. */
  rows(sid: number, from: number): Iterable<BatchRow> {
    return this.#rows.iterate(keyOf(sid, from), keyOf(sid + 1, 0));
  }

  first(sid: number): BatchHead | undefined {
    return this.heads(sid, 0, 1)[0];
  }

  last(sid: number): BatchHead | undefined {
    return this.#lastHead.get(keyOf(sid, 0), keyOf(sid + 1, 0));
  }

  lastRow(sid: number): BatchRow | undefined {
    return this.#lastRow.get(keyOf(sid, 0), keyOf(sid + 1, 0));
  }

  /** The row that begins below a sequence and is nearest to it. */
  before(sid: number, sequence: number): BatchHead | undefined {
    return this.#lastHead.get(keyOf(sid, 0), keyOf(sid, sequence));
  }

  /** The row that begins exactly at a sequence. */
  at(sid: number, sequence: number): BatchHead | undefined {
    return this.#heads.get(keyOf(sid, sequence), keyOf(sid, sequence + 1), 1);
  }

  rowAt(sid: number, sequence: number): BatchRow | undefined {
    return this.#rows.all(keyOf(sid, sequence), keyOf(sid, sequence + 1))[0];
  }

  /** First sequence of the row that contains a sequence; the sequence itself if there is none. */
  startOf(sid: number, sequence: number): number {
    const row = this.#lastHead.get(keyOf(sid, 0), keyOf(sid, sequence + 1));
    return row !== undefined && row.seq + row.n > sequence ? row.seq : sequence;
  }

  /** Bytes of the bodies from a sequence on. */
  bytesFrom(sid: number, from: number): number {
    return this.#bytes.get(keyOf(sid, from), keyOf(sid + 1, 0))?.bytes ?? 0;
  }

  delete(sid: number, from: number, to: number): void {
    this.#delete.run(keyOf(sid, from), keyOf(sid, to));
  }
}

function keyOf(sid: number, sequence: number): number {
  return sid * sequencesPerStream + Math.min(sequence, sequencesPerStream - 1);
}
