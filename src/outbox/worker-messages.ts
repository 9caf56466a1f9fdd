import type { ErrorCode, GatewayErrorOptions } from '../model/errors.ts';
import type { EventType } from '../model/event.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Committed, DeadLetter, NewBatch, Stream } from '../model/outbox.ts';
import type { UnsafeOptions } from '../sqlite/open-database.ts';

/** Budgets of the log. */
export interface OutboxLimits {
  /** Largest size of the database file, bytes. */
  readonly maxBytes: number;
  /** Batches that every consumer has acked are kept for replay while the log holds less than this, bytes. */
  readonly retainBytes: number;
  /** … and while they are younger than this, hours of running time. */
  readonly retainHours: number;
  /** What nobody fetched for this long is given up, hours of running time. */
  readonly maxAgeHours: number;
}

/** What the worker is started with. */
export interface LogOptions {
  readonly path: string;
  readonly gateway: GatewayId;
  readonly limits: OutboxLimits;
  /** Those whose acks retention waits for. */
  readonly consumers: readonly string[];
  /** File with the id of the machine; tests replace it. */
  readonly machineIdPath: string;
  readonly lockWaitMs: number;
  readonly unsafe?: UnsafeOptions;
}

/** The clock at one moment, read by the main thread: the worker has none of its own. */
export interface Moment {
  readonly bootId: string;
  readonly monotonic: number;
  readonly wall: number;
  readonly synced: boolean;
}

export interface PendingBatch extends NewBatch {
  /** Clock.monotonic() when append() was called. */
  readonly appendedAt: number;
}

export interface CursorMove {
  readonly consumer: string;
  readonly sid: number;
  readonly through: number;
}

/** What the main thread asks of the worker, by name. */
export interface Requests {
  /** Opens, or closes and opens again. `known` drops what was written but never confirmed. */
  open: {
    readonly request: {
      readonly now: Moment;
      readonly known?: readonly (readonly [sid: number, next: number])[];
      readonly cursors: readonly CursorMove[];
    };
    readonly result: Opened;
  };
  commit: {
    readonly request: {
      readonly now: Moment;
      readonly batches: readonly PendingBatch[];
      readonly cursors: readonly CursorMove[];
    };
    readonly result: { readonly committed: readonly Committed[]; readonly ms: number } & Change;
  };
  read: {
    readonly request: {
      readonly consumer: string;
      readonly sid: number;
      readonly after: number;
      readonly batches: number;
      readonly bytes: number;
    };
    readonly result: ReadResult;
  };
  park: {
    readonly request: {
      readonly now: Moment;
      readonly consumer: string;
      readonly sid: number;
      readonly sequence: number;
      readonly reason: string;
    };
    /** `n` is 0 if there was nothing to park at that sequence. */
    readonly result: { readonly n: number } & Change;
  };
  deadLetters: {
    readonly request: { readonly limit: number };
    readonly result: readonly DeadLetter[];
  };
  renew: {
    readonly request: {
      readonly now: Moment;
      readonly tenant: TenantId;
      readonly lane: Lane;
      readonly reason: string;
    };
    readonly result: Change;
  };
  /** Regular care: ages, shrinking, figures. */
  tend: {
    readonly request: { readonly now: Moment; readonly cursors: readonly CursorMove[] };
    readonly result: Change;
  };
  close: {
    readonly request: { readonly now: Moment; readonly cursors: readonly CursorMove[] };
    readonly result: undefined;
  };
}

export type Op = keyof Requests;

/** Events that were given up. */
export interface Evicted {
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly events: number;
  readonly reason: 'quota' | 'age';
}

/** Figures of the file. */
export interface LogFigures {
  readonly fileBytes: number;
  readonly walBytes: number;
  readonly deadLetters: number;
  readonly lost: number;
  readonly bytesWritten: number;
  readonly checksumErrors: number;
  /** Running time at which the oldest unacked batch of each consumer was stored. */
  readonly oldestRun: Readonly<Record<string, number>>;
  /** Running time, and Clock.monotonic() at that time. */
  readonly run: number;
  readonly monotonic: number;
  /** Names of damaged files that lie beside this one. */
  readonly setAside: readonly string[];
}

/** What a request has changed. */
export interface Change {
  /** Streams that are new or different. */
  readonly streams: readonly Stream[];
  /** Streams that do not exist any more. */
  readonly removed: readonly number[];
  readonly evicted: readonly Evicted[];
  readonly figures: LogFigures;
}

/** State of a log that was just opened. */
export interface Opened extends Change {
  readonly cursors: readonly CursorMove[];
  readonly openMs: number;
  readonly quarantined?: { readonly to: string; readonly cause: string };
  /** Why nothing can be written although the file can be read. */
  readonly unwritable?: ErrorFacts;
}

export interface ReadResult {
  readonly batches: readonly ReadBatch[];
  /** Bodies one behind the other. */
  readonly bodies: ArrayBuffer;
  /** Batches whose checksum was found wrong for the first time. */
  readonly damaged: readonly Committed[];
  readonly checksumErrors: number;
}

export interface ReadBatch {
  readonly sequence: number;
  readonly n: number;
  readonly type: EventType;
  readonly bytes: number;
  readonly appendedAt?: number;
}

/** An error in a form that crosses threads. */
export interface ErrorFacts {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly remedy: string;
  readonly facts: NonNullable<GatewayErrorOptions['facts']>;
}

export interface WorkerRequest {
  readonly id: number;
  readonly op: Op;
  readonly body: unknown;
}

export type WorkerReply =
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | {
      readonly id: number;
      readonly ok: false;
      readonly error: ErrorFacts;
      /** The file was closed: what reached the disk is unknown until it is opened again. */
      readonly broken: boolean;
    };
