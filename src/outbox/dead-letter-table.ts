import { GatewayError } from '../model/errors.ts';
import type { DeadLetter } from '../model/outbox.ts';
import type { Database, Statement } from '../sqlite/open-database.ts';
import type { BatchRow } from './batch-table.ts';
import type { CursorTable } from './cursor-table.ts';
import type { StreamState, StreamTable } from './stream-table.ts';

/** Dead letters that are kept; those behind the cursor go first. */
const maxLetters = 10_000;

interface Letter {
  readonly id: number;
  readonly consumer: string;
  /** Epoch and first sequence; a sid may be used again, an epoch never is. */
  readonly key: string;
  readonly sid: number;
  readonly seq: number;
  /** Of the copy of its body that is kept; 0 once it was dropped. */
  bytes: number;
}

/** Batches that a consumer has set aside for good. */
export class DeadLetterTable {
  readonly #streams: StreamTable;
  readonly #cursors: CursorTable;
  readonly #maxBytes: number;
  readonly #keys: Statement<[], Omit<Letter, 'key'> & { readonly epoch: string }>;
  readonly #insert: Statement<
    [
      string,
      number,
      string,
      string,
      string,
      number,
      number,
      string,
      number,
      number,
      number,
      Uint8Array,
    ]
  >;
  readonly #newest: Statement<[number], DeadLetter>;
  readonly #delete: Statement<[number]>;
  readonly #dropBody: Statement<[number]>;
  readonly #parked = new Map<string, Set<string>>();
  #letters: Letter[] = [];
  #bodyBytes = 0;

  /** `maxBytes` bounds the copies of bodies; beyond it the oldest letters lose theirs. */
  constructor(db: Database, streams: StreamTable, cursors: CursorTable, maxBytes: number) {
    this.#streams = streams;
    this.#cursors = cursors;
    this.#maxBytes = maxBytes;
    this.#keys = db.prepare(
      'SELECT id, consumer, epoch, sid, seq, ifnull(length(body), 0) AS bytes FROM dead_letter ORDER BY id',
    );
    this.#insert = db.prepare(
      'INSERT INTO dead_letter (consumer, sid, tenant, lane, epoch, seq, n, reason, at, bytes, enc, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#newest = db.prepare(
      'SELECT id, consumer, tenant, lane, epoch, seq AS sequence, n, reason, at, bytes FROM dead_letter ORDER BY id DESC LIMIT ?',
    );
    this.#delete = db.prepare('DELETE FROM dead_letter WHERE id = ?');
    this.#dropBody = db.prepare('UPDATE dead_letter SET body = NULL WHERE id = ?');
  }

  load(): void {
    this.#parked.clear();
    this.#letters = [];
    this.#bodyBytes = 0;
    for (const { epoch, ...letter } of this.#keys.all()) {
      this.#remember({ ...letter, key: keyOf(epoch, letter.seq) });
    }
  }

  get count(): number {
    return this.#letters.length;
  }

  /** Whether a consumer has parked the batch that begins at a sequence. */
  has(consumer: string, epoch: string, sequence: number): boolean {
    return this.#parked.get(consumer)?.has(keyOf(epoch, sequence)) ?? false;
  }

  /** Inside a transaction. Throws OUTBOX_FULL if so many are parked ahead of the cursor. */
  park(consumer: string, stream: StreamState, row: BatchRow, reason: string, at: number): void {
    if (this.#letters.length >= maxLetters) this.#forgetOldest();
    const { sid, tenant, lane, epoch } = stream;
    const bytes = row.body.byteLength;
    const { lastInsertRowid } = this.#insert.run(
      consumer,
      sid,
      tenant,
      lane,
      epoch,
      row.seq,
      row.n,
      reason.slice(0, 500),
      Math.round(at),
      bytes,
      row.enc,
      row.body,
    );
    const key = keyOf(epoch, row.seq);
    this.#remember({ id: Number(lastInsertRowid), consumer, key, sid, seq: row.seq, bytes });
    for (const letter of this.#letters) {
      if (this.#bodyBytes <= this.#maxBytes) break;
      if (letter.bytes === 0) continue;
      this.#dropBody.run(letter.id);
      this.#bodyBytes -= letter.bytes;
      letter.bytes = 0;
    }
  }

  newest(limit: number): readonly DeadLetter[] {
    return this.#newest.all(limit);
  }

  /** Only letters behind the cursor may go: without its letter a batch ahead of it would be sent again. */
  #forgetOldest(): void {
    const index = this.#letters.findIndex(
      ({ consumer, sid, seq, key }) =>
        this.#cursors.acked(consumer, sid) >= seq || !this.#streamHolds(sid, key),
    );
    const letter = this.#letters[index];
    if (letter === undefined) {
      throw new GatewayError('OUTBOX_FULL', `${maxLetters} batches are set aside already`);
    }
    this.#delete.run(letter.id);
    this.#letters.splice(index, 1);
    this.#bodyBytes -= letter.bytes;
    this.#parked.get(letter.consumer)?.delete(letter.key);
  }

  #streamHolds(sid: number, key: string): boolean {
    const epoch = this.#streams.get(sid)?.epoch;
    return epoch !== undefined && key.startsWith(`${epoch}.`);
  }

  #remember(letter: Letter): void {
    const parked = this.#parked.get(letter.consumer) ?? new Set<string>();
    parked.add(letter.key);
    this.#parked.set(letter.consumer, parked);
    this.#letters.push(letter);
    this.#bodyBytes += letter.bytes;
  }
}

function keyOf(epoch: string, sequence: number): string {
  return `${epoch}.${sequence}`;
}
