import { Backoff } from '../kernel/backoff.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { TenantId } from '../model/ids.ts';
import type { Notes } from '../model/notes.ts';
import type { Outbox } from '../model/outbox.ts';
import { reasonName, refusalKind } from './puback-reasons.ts';
import type { PublisherLimits } from './publisher-limits.ts';
import { consumer, type StreamSet } from './stream-set.ts';
import type { Flight, Refusal, StreamWindow } from './stream-window.ts';

/** Times that a batch must be refused for an unclear reason before it is taken for the culprit. */
const unclearStrikes = 3;
/** Batches that a cloud may refuse in a row without accepting one; after that nothing is set aside. */
const nacksWithoutProgress = 3;

export interface RefusalsOptions {
  readonly tenant: TenantId;
  readonly outbox: Pick<Outbox, 'park'>;
  readonly clock: Clock;
  readonly notes: Pick<Notes, 'uplinkRejected' | 'partFailed'>;
  readonly conditions: ConditionReporter;
  readonly limits: Pick<PublisherLimits, 'retryMinMs' | 'retryMaxMs'>;
  readonly random?: () => number;
  /** A stream may send again, from its cursor on. */
  readonly onRelease: (window: StreamWindow) => void;
}

/**
 * What becomes of a batch that the other side refuses. A refusal of rights or quota is waited for.
 * A refusal of the payload sets the batch aside, but only once others have passed: a broker that
 * refuses everything fills nothing.
 */
export class Refusals {
  readonly #options: RefusalsOptions;
  readonly #streams: StreamSet;
  readonly #backoff: Backoff;
  /** For refusals of the cloud: the broker's acks do not make it shorter. */
  readonly #cloudBackoff: Backoff;
  /** Batches accepted since one was last set aside; gap events prove nothing. */
  #accepted = 0;
  #nacks = 0;

  constructor(streams: StreamSet, options: RefusalsOptions) {
    this.#streams = streams;
    this.#options = options;
    const limits = {
      minMs: options.limits.retryMinMs,
      maxMs: options.limits.retryMaxMs,
      ...(options.random === undefined ? {} : { random: options.random }),
    };
    this.#backoff = new Backoff(limits);
    this.#cloudBackoff = new Backoff(limits);
  }

  /** A new connection may lead to a broker with other rules. */
  reset(): void {
    this.#accepted = 0;
  }

  /** The broker has taken a batch. */
  accepted(window: StreamWindow, { gap, first }: Flight): void {
    if (window.refusal?.sequence === first && window.refusal.kind !== 'cloud') {
      window.refusal = undefined;
      this.#clearIfQuiet();
    }
    if (gap) return;
    this.#accepted += 1;
    this.#backoff.reset();
    for (const other of this.#streams) this.#judge(other);
  }

  /** The cursor has moved over batches. */
  passed(window: StreamWindow, flights: readonly Flight[]): void {
    if (flights.some(({ gap }) => !gap)) {
      this.#nacks = 0;
      this.#cloudBackoff.reset();
    }
    if (window.refusal !== undefined && window.refusal.sequence <= window.cursor) {
      window.refusal = undefined;
      this.#clearIfQuiet();
    }
  }

  /** The broker refuses a batch with a reason code of MQTT 5. */
  byBroker(window: StreamWindow, sequence: number, reasonCode: number, gap: boolean): void {
    const { lane } = window.stream;
    this.#refused(window, sequence, reasonCode, {
      reason: `the broker refuses ${lane} ${sequence}: ${reasonName(reasonCode)}`,
      // A gap event is never set aside: another would take its place.
      kind: gap ? 'rights' : refusalKind(reasonCode),
    });
  }

  /** A batch is larger than the broker takes. `othersFit`: batches that do not are behind it. */
  bySize(
    window: StreamWindow,
    sequence: number,
    limitBytes: number,
    gap: boolean,
    othersFit: boolean,
  ): void {
    const { lane } = window.stream;
    if (othersFit) this.#accepted = Math.max(1, this.#accepted);
    this.#refused(window, sequence, 0x95, {
      reason: `${lane} ${sequence} is larger than the ${limitBytes} bytes that the broker takes`,
      kind: gap ? 'rights' : 'payload',
    });
  }

  /** The cloud will never accept a batch that it was sent. */
  byCloud(window: StreamWindow, flight: Flight, text: string): void {
    if (window.held) return;
    const { lane } = window.stream;
    const reason = `the cloud refuses ${lane} ${flight.first}: ${text}`;
    window.refusal = { sequence: flight.first, reason, kind: 'cloud', strikes: 1 };
    this.#options.notes.uplinkRejected({
      tenant: this.#options.tenant,
      sequence: flight.first,
      reasonCode: 0,
    });
    if (flight.gap || this.#nacks >= nacksWithoutProgress) {
      this.#hold(window);
      return;
    }
    this.#nacks += 1;
    this.#park(window, window.refusal);
  }

  /** Something is wrong with a batch that no other side has seen; it waits for a person. */
  byGateway(window: StreamWindow, sequence: number, reason: string): void {
    window.refusal = { sequence, reason, kind: 'rights', strikes: 1 };
    this.#hold(window);
  }

  #refused(
    window: StreamWindow,
    sequence: number,
    reasonCode: number,
    refusal: Pick<Refusal, 'reason' | 'kind'>,
  ): void {
    // Those behind the first one are sent again with it.
    if (window.held) return;
    const strikes = window.refusal?.sequence === sequence ? window.refusal.strikes + 1 : 1;
    window.refusal = { ...refusal, sequence, strikes };
    this.#options.notes.uplinkRejected({ tenant: this.#options.tenant, sequence, reasonCode });
    this.#hold(window);
    this.#judge(window);
  }

  #judge(window: StreamWindow): void {
    const { refusal } = window;
    if (refusal === undefined || !window.held || this.#accepted === 0) return;
    // What the broker takes says nothing about what the cloud will.
    if (refusal.kind === 'cloud') return;
    if (refusal.kind === 'rights') return;
    if (refusal.kind === 'unclear' && refusal.strikes < unclearStrikes) return;
    this.#park(window, refusal);
  }

  #park(window: StreamWindow, refusal: Refusal): void {
    const { outbox, notes } = this.#options;
    window.held = true;
    window.refusal = undefined;
    this.#accepted = 0;
    outbox.park(consumer, window.stream.sid, refusal.sequence, refusal.reason).then(
      () => this.#release(window),
      (error: unknown) => {
        notes.partFailed({ part: 'uplink', error });
        window.refusal = refusal;
        this.#hold(window);
      },
    );
  }

  /** Sends nothing of a stream for a while, then again from its cursor on. */
  #hold(window: StreamWindow): void {
    const { conditions, tenant, clock } = this.#options;
    window.held = true;
    const { generation } = window;
    if (window.refusal !== undefined) {
      conditions.raise('upstream-rejects', tenant, window.refusal.reason);
    }
    clock.setTimeout(() => {
      const waiting = window.generation === generation && window.held;
      if (waiting && window.refusal !== undefined) this.#release(window);
    }, (window.refusal?.kind === 'cloud' ? this.#cloudBackoff : this.#backoff).next());
  }

  #release(window: StreamWindow): void {
    window.held = false;
    this.#clearIfQuiet();
    this.#options.onRelease(window);
  }

  #clearIfQuiet(): void {
    for (const { refusal } of this.#streams) if (refusal !== undefined) return;
    this.#options.conditions.clear('upstream-rejects', this.#options.tenant);
  }
}
