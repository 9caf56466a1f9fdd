import { Backoff } from '../kernel/backoff.ts';
import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';
import type { NewBatch, Outbox } from '../model/outbox.ts';

/** How soon a refused append is tried again. */
const retryLimits = { minMs: 100, maxMs: 5_000 };

interface Waiting {
  readonly batch: NewBatch;
  readonly committed: () => void;
  readonly given: (error: unknown) => void;
}

/**
 * Batches on their way into the outbox: one append in flight, in order, tried again until it is
 * accepted. What is not committed stays here, unacked to its driver, so nothing accepted is lost
 * when the disk refuses. Bounded by the eight unacked frames of each driver process.
 */
export class CommitQueue {
  readonly #outbox: Pick<Outbox, 'append'>;
  readonly #clock: Clock;
  readonly #backoff = new Backoff(retryLimits);
  readonly #idle: (() => void)[] = [];
  #waiting: Waiting[] = [];
  #inFlight: Waiting[] = [];
  #retry: Disposable | undefined;
  #busy = false;
  /** Batches at the head of the queue that are offered one by one. */
  #suspects = 0;
  #closed = false;

  constructor(outbox: Pick<Outbox, 'append'>, clock: Clock) {
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** Batches that are not committed yet. */
  get depth(): number {
    return this.#waiting.length + this.#inFlight.length;
  }

  /** Resolves when the batch is committed; rejects when the queue is closed before that, or when it can never be stored. */
  push(batch: NewBatch): Promise<void> {
    if (this.#closed) return Promise.reject(closing());
    return new Promise((committed, given) => {
      this.#waiting.push({ batch, committed, given });
      this.#pump();
    });
  }

  /** Resolves when nothing waits any more, or the signal ends the wait. */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.depth === 0 || signal.aborted) return;
    const idle = Promise.withResolvers<void>();
    this.#idle.push(idle.resolve);
    signal.addEventListener('abort', () => idle.resolve(), { once: true });
    await idle.promise;
  }

  /** Gives up what is not committed: it was never accepted. */
  close(): void {
    this.#closed = true;
    this.#retry?.[Symbol.dispose]();
    const left = [...this.#inFlight, ...this.#waiting];
    this.#waiting = [];
    this.#inFlight = [];
    for (const { given } of left) given(closing());
  }

  #pump(): void {
    if (this.#busy || this.#closed) return;
    if (this.#inFlight.length === 0) {
      if (this.#waiting.length === 0) return;
      const count = this.#suspects > 0 ? 1 : this.#waiting.length;
      this.#suspects -= this.#suspects > 0 ? 1 : 0;
      this.#inFlight = this.#waiting.splice(0, count);
    }
    this.#busy = true;
    this.#outbox.append(this.#inFlight.map(({ batch }) => batch)).then(
      () => this.#accepted(),
      (error: unknown) => this.#refused(error),
    );
  }

  #accepted(): void {
    const done = this.#inFlight;
    this.#inFlight = [];
    this.#busy = false;
    this.#backoff.reset();
    for (const { committed } of done) committed();
    this.#pump();
    this.#tellIdle();
  }

  /** The outbox has said why, once; here it is only tried again. */
  #refused(error: unknown): void {
    if (error instanceof GatewayError && error.code === 'INTERNAL') {
      this.#setAside(error);
      return;
    }
    this.#retry = this.#clock.setTimeout(() => {
      this.#busy = false;
      this.#pump();
    }, this.#backoff.next());
  }

  /**
   * One of the batches can never be stored, by a defect. They are offered one by one, and the one
   * that is refused alone is given back, so that it does not block those behind it for ever.
   */
  #setAside(error: GatewayError): void {
    const refused = this.#inFlight;
    this.#inFlight = [];
    this.#busy = false;
    const [only] = refused;
    if (refused.length === 1) only?.given(error);
    else {
      this.#suspects = refused.length;
      this.#waiting.unshift(...refused);
    }
    this.#pump();
    this.#tellIdle();
  }

  #tellIdle(): void {
    if (this.depth === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function closing(): GatewayError {
  return new GatewayError('OUTBOX_UNAVAILABLE', 'the gateway is stopping; this was not accepted', {
    retryable: true,
  });
}
