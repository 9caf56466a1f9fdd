import type { Clock } from '../model/clock.ts';
import type { TenantId } from '../model/ids.ts';
import type { Outbox, Stream } from '../model/outbox.ts';
import { statePayload } from './state.ts';
import { consumer } from './stream-set.ts';

export interface StateTellerOptions {
  readonly tenant: TenantId;
  readonly version: string;
  readonly outbox: Pick<Outbox, 'streams' | 'acked'>;
  readonly clock: Clock;
  readonly everyMs: number;
  /** Publishes the birth again. */
  readonly tell: () => void;
}

/** What has not changed is told again this much later than what has. */
const repeatFactor = 12;

/** Keeps the retained state true where a receiver relies on it: which epochs, and from where on. */
export class StateTeller {
  readonly #options: StateTellerOptions;
  #epochs = '';
  #oldest = '';
  #toldAt = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;

  constructor(options: StateTellerOptions) {
    this.#options = options;
  }

  /** The payload of now; it counts as told. */
  payload(state: 'online' | 'offline'): string {
    const { outbox, version, clock } = this.#options;
    const streams = this.#streams();
    this.#epochs = epochsOf(streams);
    this.#oldest = oldestOf(streams);
    return statePayload(state, version, clock, streams, (sid) => outbox.acked(consumer, sid));
  }

  /** The outbox has grown: perhaps by a stream or an epoch that nobody has been told of. */
  committed(): void {
    if (epochsOf(this.#streams()) !== this.#epochs) this.#soon(this.#options.everyMs);
  }

  /** A receiver waits for what the log does not hold any more. */
  outrun(): void {
    const { everyMs } = this.#options;
    const isNews = oldestOf(this.#streams()) !== this.#oldest;
    this.#soon(isNews ? everyMs : everyMs * repeatFactor);
  }

  /** The connection has ended; the next one begins with a birth. */
  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#toldAt = Number.NEGATIVE_INFINITY;
  }

  #soon(everyMs: number): void {
    if (this.#timer !== undefined) return;
    const { clock } = this.#options;
    const waitMs = this.#toldAt + everyMs - clock.monotonic();
    if (waitMs <= 0) this.#tell();
    else if (everyMs === this.#options.everyMs) {
      this.#timer = clock.setTimeout(() => {
        this.#timer = undefined;
        this.#tell();
      }, waitMs);
    }
  }

  #tell(): void {
    this.#toldAt = this.#options.clock.monotonic();
    this.#options.tell();
  }

  #streams(): readonly Stream[] {
    const { outbox, tenant } = this.#options;
    return outbox.streams().filter((stream) => stream.tenant === tenant);
  }
}

function epochsOf(streams: readonly Stream[]): string {
  return streams.map(({ lane, epoch, closed }) => `${lane}.${epoch}.${closed}`).join(' ');
}

function oldestOf(streams: readonly Stream[]): string {
  return streams.map(({ epoch, oldest }) => `${epoch}.${oldest}`).join(' ');
}
