import type { Clock } from '../model/clock.ts';
import type { PublisherLimits } from './publisher-limits.ts';
import type { StreamSet } from './stream-set.ts';
import type { StreamWindow } from './stream-window.ts';

export interface CatchUpOptions {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly limits: Pick<
    PublisherLimits,
    'stallMs' | 'longestStallMs' | 'lowMs' | 'goBackEveryMs' | 'longestGoBackMs'
  >;
  /** The cloud waits for what the log does not hold any more. */
  readonly onOutrun: () => void;
}

/** How often a stream has gone back, and when last. */
interface Backs {
  readonly times: number;
  readonly at: number;
}

/** Streams of which that is remembered. */
const maxRemembered = 256;

/**
 * When something is sent again although the connection holds: the cloud's watermark stands still,
 * or it lies below what was acked – the receiver came after the gateway, or has lost what it knew.
 */
export class CatchUp {
  readonly #streams: StreamSet;
  readonly #options: CatchUpOptions;
  /** By stream: a window does not live as long. */
  readonly #backs = new Map<number, Backs>();
  #goneBack = 0;

  constructor(streams: StreamSet, options: CatchUpOptions) {
    this.#streams = streams;
    this.#options = options;
  }

  /** Times that a stream went back below its cursor. */
  get goneBack(): number {
    return this.#goneBack;
  }

  /** The cloud has said up to where it has stored a stream; the last word counts, even a lower one. */
  heard(window: StreamWindow, sequence: number): void {
    // One that moves is on its way, as in the first second after an ack of the broker.
    if (window.heard !== sequence) window.lowSince = undefined;
    window.heard = sequence;
  }

  /** Watermarks count no more. */
  forget(window: StreamWindow): void {
    if (window.heard === undefined) return;
    window.heard = undefined;
    window.lowSince = undefined;
    window.probing = false;
    if (window.back) window.goForward();
    // What was sent before it went back has no flights any more, and without a watermark needs them.
    if (this.#backs.has(window.stream.sid)) this.#streams.restart(window);
  }

  /** To be called about once a second, with the streams as the outbox has them. */
  look(): void {
    const now = this.#options.clock.monotonic();
    for (const window of this.#streams) {
      if (window.level !== 'cloud') continue;
      if (window.outrun) this.#options.onOutrun();
      if (window.held) continue;
      if (!window.low) window.lowSince = undefined;
      if (window.low) this.#lookAtLow(window, now);
      else if (this.#isStalled(window, now)) this.#again(window);
    }
  }

  #lookAtLow(window: StreamWindow, now: number): void {
    const { lowMs, goBackEveryMs, longestGoBackMs } = this.#options.limits;
    window.lowSince ??= now;
    const { sid } = window.stream;
    const last = this.#backs.get(sid);
    const sinceBack = now - (last?.at ?? Number.NEGATIVE_INFINITY);
    const pause = goBackEveryMs * 2 ** Math.min((last?.times ?? 1) - 1, 10);
    if (now - window.lowSince < lowMs || sinceBack < Math.min(pause, longestGoBackMs)) return;
    // Forgotten with time only: a cloud that says much and then little again and again would else
    // be sent everything at full speed for ever.
    const times = sinceBack > 2 * longestGoBackMs ? 1 : (last?.times ?? 0) + 1;
    this.#remember(sid, { times, at: now });
    window.movedAt = now;
    window.stalls = 0;
    window.lowSince = undefined;
    this.#goneBack += 1;
    window.goBack();
  }

  #isStalled(window: StreamWindow, now: number): boolean {
    const { stallMs, longestStallMs } = this.#options.limits;
    // Nothing in flight and yet not acked: sent before the stream went back and forward again.
    const waiting = window.headConfirmed || (window.events === 0 && window.sent > window.cursor);
    if (window.back) {
      return (waiting || window.events === 0) && now - window.movedAt > stallMs;
    }
    // Doubling: on a metered link the same megabytes again and again cost money.
    const limit = Math.min(stallMs * 2 ** window.stalls, longestStallMs);
    return waiting && now - window.movedAt > limit;
  }

  #again(window: StreamWindow): void {
    if (window.back) {
      window.probing = true;
      window.goForward();
      window.movedAt = this.#options.clock.monotonic();
      return;
    }
    window.stalls = Math.min(window.stalls + 1, 10);
    this.#streams.restart(window);
  }

  #remember(sid: number, backs: Backs): void {
    this.#backs.delete(sid);
    this.#backs.set(sid, backs);
    if (this.#backs.size <= maxRemembered) return;
    for (const longestAgo of this.#backs.keys()) {
      this.#backs.delete(longestAgo);
      break;
    }
  }
}
