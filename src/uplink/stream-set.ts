import type { Clock } from '../model/clock.ts';
import type { TenantId } from '../model/ids.ts';
import { type Lane, lanes } from '../model/lane.ts';
import type { Notes } from '../model/notes.ts';
import type { Outbox, Stream } from '../model/outbox.ts';
import { LaneShare } from './lane-share.ts';
import type { PublisherLimits } from './publisher-limits.ts';
import { type AckLevel, StreamWindow } from './stream-window.ts';

/** Name of the uplink's cursors in the outbox. */
export const consumer = 'uplink';

export interface StreamSetOptions {
  readonly tenant: TenantId;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly notes: Pick<Notes, 'partFailed'>;
  readonly limits: PublisherLimits;
  readonly levelOf: (lane: Lane) => AckLevel;
  /** Batches have been read ahead. */
  readonly onLoaded: () => void;
}

/** The streams of one tenant: which has its turn, and what is read ahead of each. */
export class StreamSet {
  readonly #options: StreamSetOptions;
  readonly #windows = new Map<number, StreamWindow>();
  readonly #share = new LaneShare();

  constructor(options: StreamSetOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): Iterator<StreamWindow> {
    return this.#windows.values();
  }

  /** Takes over what the outbox says now; older epochs come first. */
  sync(): void {
    const { outbox, tenant } = this.#options;
    const seen = new Set<number>();
    for (const stream of outbox.streams()) {
      if (stream.tenant !== tenant) continue;
      const known = this.#windows.get(stream.sid);
      if (known !== undefined) {
        known.stream = stream;
        seen.add(stream.sid);
        continue;
      }
      const cursor = outbox.acked(consumer, stream.sid);
      if (stream.closed && cursor >= stream.next - 1) continue;
      this.#open(stream, cursor);
      seen.add(stream.sid);
    }
    for (const [sid, { stream, cursor, low }] of this.#windows) {
      const done = stream.closed && cursor >= stream.next - 1 && !low;
      if (!seen.has(sid) || done) this.#windows.delete(sid);
    }
  }

  ofEpoch(lane: Lane, epoch: string): StreamWindow | undefined {
    for (const window of this) {
      if (window.stream.lane === lane && window.stream.epoch === epoch) return window;
    }
    return undefined;
  }

  /** A closed epoch that was done with, but of which the cloud has only so much. */
  reopen(lane: Lane, epoch: string, watermark: number): StreamWindow | undefined {
    const { outbox, tenant } = this.#options;
    const stream = outbox
      .streams()
      .find((each) => each.tenant === tenant && each.lane === lane && each.epoch === epoch);
    const isMissing = stream?.closed === true && watermark < stream.next - 1;
    if (!isMissing || stream.oldest >= stream.next) return undefined;
    return this.#open(stream, outbox.acked(consumer, stream.sid));
  }

  /** The stream to send from next: alarms strictly first, live and bulk 80 to 20. */
  choose(): StreamWindow | undefined {
    const alarm = this.#sendable('alarm');
    if (alarm !== undefined) return alarm.ahead.length > 0 ? alarm : undefined;
    const live = this.#sendable('live');
    const bulk = this.#sendable('bulk');
    if (live === undefined || bulk === undefined) {
      this.#share.reset();
      const only = live ?? bulk;
      return only !== undefined && only.ahead.length > 0 ? only : undefined;
    }
    const [first, second] = this.#share.turn() === 'live' ? [live, bulk] : [bulk, live];
    return [first, second].find((window) => window.ahead.length > 0);
  }

  /** A batch of a lane has gone out. */
  sent(lane: Lane, bytes: number): void {
    this.#share.sent(lane, bytes);
  }

  /** Reads ahead where little is left. */
  load(): void {
    for (const lane of lanes) {
      const window = this.#current(lane);
      if (window !== undefined) this.#load(window);
    }
  }

  /** The outbox may have more now. */
  wake(): void {
    for (const window of this) window.dry = false;
  }

  /** Back to the durable cursor. */
  restart(window: StreamWindow): void {
    const { outbox, clock } = this.#options;
    window.restart(outbox.acked(consumer, window.stream.sid));
    window.movedAt = clock.monotonic();
  }

  /** The stream of a lane whose turn it is: the oldest epoch with something to send or on its way. */
  #current(lane: Lane): StreamWindow | undefined {
    let oldest: StreamWindow | undefined;
    for (const window of this) {
      if (window.stream.lane !== lane) continue;
      if (!window.hasUnsent && !window.hasUnconfirmed && !window.held) continue;
      if (oldest === undefined || window.stream.sid < oldest.stream.sid) oldest = window;
    }
    return oldest;
  }

  /** The current stream of a lane if it may send, be it after reading. */
  #sendable(lane: Lane): StreamWindow | undefined {
    const window = this.#current(lane);
    if (window === undefined || window.held || window.dry || !window.hasUnsent) return undefined;
    // Refused for want of rights: one batch asks whether that has changed, not a window full.
    if (window.refusal?.kind === 'rights' && window.hasUnconfirmed) return undefined;
    return this.#bounded(window) ? undefined : window;
  }

  #open(stream: Stream, cursor: number): StreamWindow {
    const window = new StreamWindow(stream, cursor);
    window.level = this.#options.levelOf(stream.lane);
    window.movedAt = this.#options.clock.monotonic();
    this.#windows.set(stream.sid, window);
    return window;
  }

  /** Whether enough is on its way beyond the cloud's watermark. */
  #bounded(window: StreamWindow): boolean {
    if (window.back && window.probing && window.events > 0) return true;
    const { unackedEvents, unackedBytes } = this.#options.limits;
    return (
      window.level === 'cloud' && (window.events >= unackedEvents || window.bytes >= unackedBytes)
    );
  }

  #load(window: StreamWindow): void {
    const { outbox, limits, notes, onLoaded } = this.#options;
    const { readBatches, readBytes } = limits;
    if (window.loading || window.dry || window.held || this.#bounded(window)) return;
    if (window.aheadBytes >= readBytes / 2 || window.ahead.length >= readBatches / 2) return;
    if (window.readThrough >= window.stream.next - 1) return;
    window.loading = true;
    const { generation } = window;
    outbox
      .read(consumer, window.stream.sid, window.readThrough, {
        batches: readBatches,
        bytes: readBytes,
      })
      .then(
        (batches) => {
          if (window.generation !== generation) return;
          window.loading = false;
          window.dry = batches.length === 0;
          window.readAhead(batches);
          onLoaded();
        },
        (error: unknown) => {
          if (window.generation !== generation) return;
          window.loading = false;
          window.dry = true;
          notes.partFailed({ part: 'uplink', error });
        },
      );
  }
}
