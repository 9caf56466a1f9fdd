import { randomBytes } from 'node:crypto';
import { GatewayError } from '../model/errors.ts';
import type { TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Stream } from '../model/outbox.ts';
import type { Database, Statement } from '../sqlite/open-database.ts';
import { type BatchTable, maxSid, sequencesPerStream } from './batch-table.ts';

/** A stream as the worker keeps it. */
export interface StreamState {
  readonly sid: number;
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly epoch: string;
  closed: boolean;
  next: number;
  oldest: number;
  bytes: number;
  /** Highest sequence that a consumer has been given: gaps up to here are not merged any more. */
  sealed: number;
  /** The snapshot in the file is older than this. */
  dirty: boolean;
  /** The main thread has not been told yet. */
  changed: boolean;
}

interface StreamRow {
  readonly sid: number;
  readonly tenant: string;
  readonly lane: string;
  readonly epoch: string;
  readonly closed: number;
  readonly next_seq: number;
  readonly bytes: number;
}

/** Room that is left in an epoch before a new one begins: more than any commit takes. */
const sequenceReserve = 2 ** 24;

/** All streams, in memory and in the file. */
export class StreamTable {
  readonly #batches: BatchTable;
  readonly #all: Statement<[], StreamRow>;
  readonly #insert: Statement<[number, string, string, string, string]>;
  readonly #save: Statement<[number, number, number, number]>;
  readonly #delete: Statement<[number]>;
  readonly #lastBorn: Statement<[], { readonly seq: number }>;
  readonly #bySid = new Map<number, StreamState>();
  readonly #current = new Map<string, StreamState>();
  #removed: number[] = [];

  constructor(db: Database, batches: BatchTable) {
    this.#batches = batches;
    this.#all = db.prepare(
      'SELECT sid, tenant, lane, epoch, closed, next_seq, bytes FROM stream ORDER BY born',
    );
    this.#insert = db.prepare(
      'INSERT INTO stream (sid, tenant, lane, epoch, reason) VALUES (?, ?, ?, ?, ?)',
    );
    this.#save = db.prepare('UPDATE stream SET closed = ?, next_seq = ?, bytes = ? WHERE sid = ?');
    this.#delete = db.prepare('DELETE FROM stream WHERE sid = ?');
    this.#lastBorn = db.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'stream'");
  }

  /** Reads the state from the file; also after a transaction that failed. */
  load(): void {
    const sealed = new Map([...this.#bySid.values()].map((each) => [each.sid, each.sealed]));
    this.#bySid.clear();
    this.#current.clear();
    this.#removed = [];
    for (const row of this.#all.all()) {
      const last = this.#batches.last(row.sid);
      const next = Math.max(row.next_seq, last === undefined ? 1 : last.seq + last.n);
      this.#add({
        sid: row.sid,
        tenant: row.tenant as TenantId,
        lane: row.lane as Lane,
        epoch: row.epoch,
        closed: row.closed === 1,
        next,
        oldest: this.#batches.first(row.sid)?.seq ?? next,
        bytes: row.bytes + this.#batches.bytesFrom(row.sid, row.next_seq),
        sealed: sealed.get(row.sid) ?? 0,
        dirty: false,
        changed: true,
      });
    }
  }

  /** Older epochs before newer ones. */
  all(): Iterable<StreamState> {
    return this.#bySid.values();
  }

  get(sid: number): StreamState | undefined {
    return this.#bySid.get(sid);
  }

  get count(): number {
    return this.#bySid.size;
  }

  get totalBytes(): number {
    let bytes = 0;
    for (const stream of this.#bySid.values()) bytes += stream.bytes;
    return bytes;
  }

  /** The stream that takes a tenant's batches of a lane; made if there is none. Inside a transaction. */
  current(tenant: TenantId, lane: Lane): StreamState {
    const known = this.#current.get(`${tenant}/${lane}`);
    if (known === undefined) return this.#create(tenant, lane, 'first');
    if (known.next < sequencesPerStream - sequenceReserve) return known;
    return this.renew(tenant, lane, 'sequences used up');
  }

  /** Closes the current epoch and begins a new one. Inside a transaction. */
  renew(tenant: TenantId, lane: Lane, reason: string): StreamState {
    const known = this.#current.get(`${tenant}/${lane}`);
    if (known !== undefined) this.close(known);
    return this.#create(tenant, lane, reason);
  }

  /** No batch is added to it any more. Inside a transaction. */
  close(stream: StreamState): void {
    stream.closed = true;
    stream.changed = true;
    this.#current.delete(`${stream.tenant}/${stream.lane}`);
    this.#write(stream);
    // The transaction may still add batches that were meant for it.
    stream.dirty = true;
  }

  /** Forgets a closed stream that holds nothing. Inside a transaction. */
  remove(stream: StreamState): void {
    this.#delete.run(stream.sid);
    this.#bySid.delete(stream.sid);
    this.#removed.push(stream.sid);
  }

  /** Writes snapshots of the streams that changed. Inside a transaction. */
  save(): void {
    for (const stream of this.#bySid.values()) if (stream.dirty) this.#write(stream);
  }

  /** Every snapshot is to be written with the next save. */
  markAll(): void {
    for (const stream of this.#bySid.values()) stream.dirty = true;
  }

  /** What the main thread has not been told of. Only after the transaction has committed. */
  takeChanges(): { readonly streams: readonly Stream[]; readonly removed: readonly number[] } {
    const streams: Stream[] = [];
    for (const stream of this.#bySid.values()) {
      if (!stream.changed) continue;
      stream.changed = false;
      const { sid, tenant, lane, epoch, next, oldest, bytes, closed } = stream;
      streams.push({ sid, tenant, lane, epoch, next, oldest, bytes, closed });
    }
    const removed = this.#removed;
    this.#removed = [];
    return { streams, removed };
  }

  #create(tenant: TenantId, lane: Lane, reason: string): StreamState {
    const sid = this.#freeSid();
    const epoch = newEpoch();
    this.#insert.run(sid, tenant, lane, epoch, reason.slice(0, 500));
    return this.#add({
      sid,
      tenant,
      lane,
      epoch,
      closed: false,
      next: 1,
      oldest: 1,
      bytes: 0,
      sealed: 0,
      dirty: false,
      changed: true,
    });
  }

  #add(stream: StreamState): StreamState {
    this.#bySid.set(stream.sid, stream);
    if (!stream.closed) this.#current.set(`${stream.tenant}/${stream.lane}`, stream);
    return stream;
  }

  /** A sid is not used a second time before all have been used once: readers remember them. */
  #freeSid(): number {
    const born = (this.#lastBorn.get()?.seq ?? 0) + 1;
    if (born <= maxSid && !this.#bySid.has(born)) return born;
    for (let sid = 1; sid <= maxSid; sid += 1) if (!this.#bySid.has(sid)) return sid;
    throw new GatewayError('OUTBOX_FULL', `the outbox holds ${maxSid} streams, which is the most`, {
      retryable: true,
    });
  }

  #write(stream: StreamState): void {
    this.#save.run(stream.closed ? 1 : 0, stream.next, stream.bytes, stream.sid);
    stream.dirty = false;
  }
}

/** 64 random bits and more: two files never share an epoch. */
function newEpoch(): string {
  const number = BigInt(`0x${randomBytes(10).toString('hex')}`);
  return number.toString(36).padStart(16, '0').slice(-16);
}
