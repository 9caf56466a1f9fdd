import type { EventType } from './event.ts';
import type { TenantId } from './ids.ts';
import type { Lane } from './lane.ts';

/** A batch to be stored. The outbox gives it its sequence and builds the envelope, once. */
export interface NewBatch {
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly type: EventType;
  /** How many sequences it takes: readings in a batch, 1 for a single event. At least 1. */
  readonly n: number;
  /** Milliseconds since 1970 of its first reading. */
  readonly time: number;
  /** The `data` member of the envelope, as JSON text. */
  readonly data: string;
  readonly correlationId: string;
  /** W3C trace context of the poll. */
  readonly traceparent?: string;
}

/** A stream of one tenant, lane and epoch. Only the newest epoch of a lane takes batches. */
export interface Stream {
  readonly sid: number;
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly epoch: string;
  /** Sequence that the next event will get. */
  readonly next: number;
  /** Lowest sequence still held; equals next when nothing is held. */
  readonly oldest: number;
  /** Bytes of bodies held. */
  readonly bytes: number;
  /** True once a newer epoch has taken its place; what is left is still delivered. */
  readonly closed: boolean;
}

/** A committed batch. `body` is the envelope exactly as it travels. */
export interface StoredBatch {
  readonly sid: number;
  readonly sequence: number;
  readonly n: number;
  readonly type: EventType;
  readonly body: Uint8Array;
  /** Clock.monotonic() at append if it was stored by this process, for latency metrics. */
  readonly appendedAt?: number;
}

export interface Committed {
  readonly sid: number;
  readonly sequence: number;
  readonly n: number;
}

export interface DeadLetter {
  readonly id: number;
  readonly consumer: string;
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly epoch: string;
  readonly sequence: number;
  readonly n: number;
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly bytes: number;
}

export interface OutboxStats {
  /** Events that the uplink has not acked. */
  readonly pending: number;
  /** Age of the oldest of them in milliseconds of running time; undefined when none. */
  readonly oldestAgeMs?: number;
  /** Bytes of the database file and its write-ahead log. */
  readonly fileBytes: number;
  readonly walBytes: number;
  readonly maxBytes: number;
  readonly deadLetters: number;
  /** Events given up since the file was made, each declared by a gap event. */
  readonly lost: number;
  readonly commits: number;
  readonly committedEvents: number;
  readonly bytesWritten: number;
  /** Batches waiting for the commit in flight. */
  readonly queued: number;
  /** Of the last 1000 commits, milliseconds. */
  readonly commitP50Ms: number;
  readonly commitP99Ms: number;
  readonly checksumErrors: number;
}

/**
 * The durable log. Streams of immutable batches, one cursor for each consumer.
 *
 * - What append() has resolved for survives kill -9 and power cut.
 * - Sequences are contiguous in a stream; what is given up is replaced by a gap event.
 * - Reading removes nothing; retention is independent of consumption.
 */
export interface Outbox {
  /**
   * Resolves when all batches are on the disk, in the order given. Rejects with OUTBOX_FULL or
   * OUTBOX_UNAVAILABLE: then none of them was accepted.
   */
  append(batches: readonly NewBatch[]): Promise<readonly Committed[]>;

  /** All streams, older epochs before newer ones. */
  streams(): readonly Stream[];

  /**
   * Batches after a sequence, in order. A batch that this consumer has parked comes as its gap
   * event. At least one batch if there is any, however large.
   */
  read(
    consumer: string,
    sid: number,
    after: number,
    limit: { readonly batches: number; readonly bytes: number },
  ): Promise<readonly StoredBatch[]>;

  /** Highest sequence up to which a consumer has acked; 0 before the first. */
  acked(consumer: string, sid: number): number;

  /**
   * Moves a consumer's cursor forward; backward and beyond `next` are ignored. Durable with the
   * next commit, at the latest after 250 ms.
   */
  ack(consumer: string, sid: number, through: number): void;

  /** Sets the batch that begins at a sequence aside for one consumer, so that those behind it can move. */
  park(consumer: string, sid: number, sequence: number, reason: string): Promise<void>;

  /** Newest first. */
  deadLetters(limit: number): Promise<readonly DeadLetter[]>;

  /** Begins a new epoch for a tenant's lane: the receiver knows more than this file does. */
  renewEpoch(tenant: TenantId, lane: Lane, reason: string): Promise<void>;

  /** Called after each commit with the streams that grew. Returns the way to stop it. */
  onCommit(listener: (sids: readonly number[]) => void): () => void;

  stats(): OutboxStats;
}
