import type { ConditionReporter } from '../model/condition.ts';
import type { GatewayError } from '../model/errors.ts';
import type { Notes } from '../model/notes.ts';
import type { Committed } from '../model/outbox.ts';
import type { Evicted, LogFigures, Opened } from './worker-messages.ts';

/** Notable events of the outbox. */
export type OutboxNotes = Pick<
  Notes,
  | 'outboxOpened'
  | 'outboxCommitted'
  | 'outboxUnavailable'
  | 'outboxRecovered'
  | 'outboxEvicted'
  | 'outboxQuarantined'
  | 'outboxParked'
  | 'checksumFailed'
  | 'listenerFailed'
>;

/** The outbox counts as full for this long after the last eviction. */
const fullForMs = 60_000;
/** A loss is shown for this long. */
const lossForMs = 24 * 3_600_000;

/** Tells people about the state of the outbox: each change once. */
export class OutboxReports {
  readonly #path: string;
  readonly #notes: OutboxNotes;
  readonly #conditions: ConditionReporter;
  #isUnavailable = false;
  #fullAt: number | undefined;
  #lossAt: number | undefined;
  #setAside = '';

  constructor(path: string, notes: OutboxNotes, conditions: ConditionReporter) {
    this.#path = path;
    this.#notes = notes;
    this.#conditions = conditions;
  }

  opened(opened: Opened, pending: number): void {
    const { quarantined, openMs } = opened;
    if (quarantined !== undefined) {
      const { to, cause } = quarantined;
      this.#notes.outboxQuarantined({ from: this.#path, to, cause });
    }
    this.#notes.outboxOpened({ path: this.#path, pending, openMs });
  }

  unavailable(error: GatewayError): void {
    // The text is refreshed, the note is not repeated.
    this.#conditions.raise('outbox-unavailable', '', error.message, { remedy: error.remedy });
    if (this.#isUnavailable) return;
    this.#isUnavailable = true;
    this.#notes.outboxUnavailable({ cause: error.message });
  }

  recovered(): void {
    if (!this.#isUnavailable) return;
    this.#isUnavailable = false;
    this.#conditions.clear('outbox-unavailable', '');
    this.#notes.outboxRecovered();
  }

  /** An append was refused because nothing more can be given up for it. */
  full(error: GatewayError, monotonic: number): void {
    this.#fullAt = monotonic;
    this.#conditions.raise('outbox-full', '', error.message);
  }

  evicted(evicted: readonly Evicted[], lost: number, monotonic: number): void {
    if (evicted.length === 0) return;
    for (const { tenant, lane, events, reason } of evicted) {
      this.#notes.outboxEvicted({ tenant, lane, events, reason });
    }
    this.#loss(
      `${lost} events have been given up so far; the receiver gets a gap event for each range`,
      monotonic,
    );
    if (!evicted.some(({ reason }) => reason === 'quota')) return;
    this.#fullAt = monotonic;
    this.#conditions.raise(
      'outbox-full',
      '',
      `${this.#path} has reached its limit; the oldest readings make room for new ones`,
    );
  }

  damaged(damaged: readonly Committed[], checksumErrors: number, monotonic: number): void {
    if (damaged.length === 0) return;
    for (const { sequence, n } of damaged) this.#notes.checksumFailed({ sequence, n });
    this.#loss(
      `${checksumErrors} batches in ${this.#path} are damaged; the receiver gets a gap event for each`,
      monotonic,
    );
  }

  /** Ends what has passed. */
  tend(figures: LogFigures, monotonic: number): void {
    if (this.#fullAt !== undefined && monotonic - this.#fullAt >= fullForMs) {
      this.#fullAt = undefined;
      this.#conditions.clear('outbox-full', '');
    }
    if (this.#lossAt !== undefined && monotonic - this.#lossAt >= lossForMs) {
      this.#lossAt = undefined;
      this.#conditions.clear('data-lost', '');
    }
    const names = figures.setAside.join(', ');
    if (names === this.#setAside) return;
    this.#setAside = names;
    if (names === '') {
      this.#conditions.clear('outbox-quarantined', '');
    } else {
      this.#conditions.raise('outbox-quarantined', '', `Set aside beside ${this.#path}: ${names}`);
    }
  }

  #loss(text: string, monotonic: number): void {
    this.#lossAt = monotonic;
    this.#conditions.raise('data-lost', '', text);
  }
}
