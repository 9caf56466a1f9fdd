import {
  type Envelope,
  type Held,
  type Placed,
  readEvent,
  readState,
  type StreamName,
} from './envelope.ts';
import { type Interval, IntervalSet } from './interval-set.ts';

export interface Watermark extends StreamName {
  readonly epoch: string;
  /** All events up to this sequence are stored. */
  readonly sequence: number;
}

export interface ReceiverOptions {
  /**
   * Stores an event for good. `fresh` are the sequences that were not stored before: usually all
   * of the batch. `text` is the event as it came. It counts as received when this has resolved.
   */
  store(event: Envelope, fresh: readonly Interval[], text: string): void | Promise<void>;
  /** Tells the gateway up to where everything is stored: retained, QoS 1, on `…/{lane}/ack`. */
  acknowledge(mark: Watermark): void | Promise<void>;
  /** Asks for a range that is missing, on `…/cmd/replay`. */
  replay(stream: StreamName, range: { epoch: string; from: number; to: number }): void;
  /** Makes what is known of the streams durable; called after store() and before acknowledge(). */
  save?(state: ReceiverState): void | Promise<void>;
  /** Milliseconds that never jump. */
  now?(): number;
  readonly ackEveryEvents?: number;
  /** A gap is asked for when it has been open this long, and again after as long. */
  readonly replayAfterMs?: number;
  /** What a gateway's log does not hold any more is waited for this long: it may be on its way. */
  readonly goneAfterMs?: number;
  /** Ranges beyond the watermark that are remembered for each stream. */
  readonly maxRanges?: number;
  /** Streams of all gateways together; the one that was silent longest is forgotten. */
  readonly maxStreams?: number;
}

/** What has to survive a restart; plain data. */
export interface ReceiverState {
  readonly version: 1;
  readonly streams: readonly {
    readonly stream: StreamName;
    readonly epoch: string;
    readonly watermark: number;
    readonly beyond: readonly Interval[];
  }[];
  readonly counters: ReceiverCounters;
}

export interface ReceiverCounters {
  /** Events stored, each once. */
  readonly received: number;
  /** Events that came again. */
  readonly duplicates: number;
  /** Events that the gateway has given up and declared by gap events. */
  readonly lost: number;
  /**
   * Events that never came and that the gateway's log did not hold any more when this receiver
   * asked for them: it came too late, or was away too long.
   */
  readonly gone: number;
  /** Events that came for the first time after one with a higher sequence. */
  readonly outOfOrder: number;
  /** Ranges that are missing at present. */
  readonly gaps: number;
  /** Messages that are no event of the contract. */
  readonly invalid: number;
  /** Events refused because too many ranges were missing; the gateway sends them again. */
  readonly overflowed: number;
}

interface Track {
  readonly stream: StreamName;
  readonly epoch: string;
  watermark: number;
  acked: number;
  readonly beyond: IntervalSet;
  gapSince: number | undefined;
  /** Where the gateway's log begins, and since when nothing from below that has come. */
  held: { readonly oldest: number; since: number } | undefined;
  /** Something came since the last ack: new, or again because an ack was lost. */
  owes: boolean;
}

const defaults = {
  ackEveryEvents: 1_000,
  replayAfterMs: 30_000,
  goneAfterMs: 5_000,
  maxRanges: 1_024,
  maxStreams: 10_000,
};

/**
 * The cloud's end of wire contract riser/1, whatever carries it: stores each event once, then
 * acknowledges cumulatively, and notices what is missing.
 */
export class Receiver {
  readonly #options: Required<Omit<ReceiverOptions, 'save'>> & Pick<ReceiverOptions, 'save'>;
  readonly #tracks = new Map<string, Track>();
  #turn: Promise<void> = Promise.resolve();
  #received = 0;
  #duplicates = 0;
  #lost = 0;
  #gone = 0;
  #outOfOrder = 0;
  #invalid = 0;
  #overflowed = 0;

  constructor(options: ReceiverOptions, state?: ReceiverState) {
    this.#options = { now: () => performance.now(), ...defaults, ...options };
    for (const { stream, epoch, watermark, beyond } of state?.streams ?? []) {
      this.#tracks.set(keyOf(stream, epoch), {
        stream,
        epoch,
        watermark,
        acked: 0,
        beyond: new IntervalSet(this.#options.maxRanges, beyond),
        gapSince: undefined,
        held: undefined,
        owes: true,
      });
    }
    if (state !== undefined) {
      this.#received = state.counters.received;
      this.#duplicates = state.counters.duplicates;
      this.#lost = state.counters.lost;
      // Files of before 0.1 know no such counter.
      this.#gone = state.counters.gone ?? 0;
      this.#outOfOrder = state.counters.outOfOrder;
      this.#invalid = state.counters.invalid;
    }
  }

  /**
   * Takes one message of an event topic. Resolves when it is stored or known to be a repeat;
   * rejects with what store() rejected with, and then nothing has changed.
   */
  accept(topic: string, payload: Uint8Array | string): Promise<void> {
    let placed: Placed;
    try {
      placed = readEvent(topic, payload);
    } catch {
      this.#invalid += 1;
      return Promise.resolve();
    }
    return this.#inTurn(() => this.#take(placed));
  }

  /**
   * Takes one message of a state topic: says in return up to where each of its streams is stored,
   * even if that is nothing, so that the gateway learns what is missing here.
   */
  acceptState(topic: string, payload: Uint8Array | string): Promise<void> {
    let streams: readonly Held[];
    try {
      streams = readState(topic, payload);
    } catch {
      this.#invalid += 1;
      return Promise.resolve();
    }
    return this.#inTurn(async () => {
      for (const held of streams) this.#hear(held);
    });
  }

  /** To be called about once a second: acknowledges what is owed and asks for what is missing. */
  tick(): Promise<void> {
    return this.#inTurn(async () => {
      for (const track of this.#tracks.values()) this.#passOverGone(track);
      await this.#acknowledgeAll(() => true);
      for (const track of this.#tracks.values()) this.#askForMissing(track);
    });
  }

  watermarks(): readonly Watermark[] {
    return [...this.#tracks.values()].map(({ stream, epoch, watermark }) => ({
      ...stream,
      epoch,
      sequence: watermark,
    }));
  }

  counters(): ReceiverCounters {
    let gaps = 0;
    for (const { beyond } of this.#tracks.values()) gaps += beyond.intervals.length;
    return {
      received: this.#received,
      duplicates: this.#duplicates,
      lost: this.#lost,
      gone: this.#gone,
      outOfOrder: this.#outOfOrder,
      gaps,
      invalid: this.#invalid,
      overflowed: this.#overflowed,
    };
  }

  state(): ReceiverState {
    return {
      version: 1,
      streams: [...this.#tracks.values()].map(({ stream, epoch, watermark, beyond }) => ({
        stream,
        epoch,
        watermark,
        beyond: beyond.intervals,
      })),
      counters: this.counters(),
    };
  }

  async #take({ stream, epoch, first, last, envelope, text }: Placed): Promise<void> {
    const track = this.#track(stream, epoch);
    track.owes = true;
    if (track.held !== undefined && first < track.held.oldest) {
      track.held.since = this.#options.now();
    }
    const beyondWatermark: Interval = [Math.max(first, track.watermark + 1), last];
    const fresh = beyondWatermark[0] > last ? [] : track.beyond.missing(beyondWatermark);
    const count = fresh.reduce((sum, [from, to]) => sum + to - from + 1, 0);
    const highest = track.beyond.intervals.at(-1)?.[1] ?? track.watermark;
    if (count === 0) {
      this.#duplicates += last - first + 1;
      return;
    }
    if (!track.beyond.add(beyondWatermark)) {
      this.#overflowed += count;
      return;
    }
    try {
      await this.#options.store(envelope, fresh, text);
    } catch (error) {
      this.#forget(track, fresh);
      throw error;
    }
    this.#duplicates += last - first + 1 - count;
    if (envelope.type === 'riser.gap.v1') this.#lost += count;
    else this.#received += count;
    for (const [from, to] of fresh) if (to < highest) this.#outOfOrder += to - from + 1;
    const before = track.watermark;
    track.watermark = track.beyond.takeFrom(before + 1) ?? before;
    if (track.beyond.intervals.length === 0) track.gapSince = undefined;
    // While it is being filled there is nothing to ask for.
    else if (track.watermark > before) track.gapSince = this.#options.now();
    else track.gapSince ??= this.#options.now();
    await this.#acknowledgeAll(
      ({ watermark, acked }) => watermark - acked >= this.#options.ackEveryEvents,
    );
  }

  /** Saved first, once for all that is due. */
  async #acknowledgeAll(isDue: (track: Track) => boolean): Promise<void> {
    const due = [...this.#tracks.values()].filter((track) => track.owes && isDue(track));
    if (due.length === 0) return;
    await this.#options.save?.(this.state());
    for (const track of due) {
      track.owes = false;
      track.acked = track.watermark;
      await this.#options.acknowledge({
        ...track.stream,
        epoch: track.epoch,
        sequence: track.watermark,
      });
    }
  }

  #hear({ stream, epoch, oldest }: Held): void {
    const isKnown = this.#tracks.has(keyOf(stream, epoch));
    // A stream that has events is not forgotten for one that is only told of.
    if (!isKnown && this.#tracks.size >= this.#options.maxStreams) return;
    // Put at the end: the newest epoch is said last, and stays as the retained watermark.
    const track = this.#track(stream, epoch);
    track.owes = true;
    if (track.held?.oldest !== oldest) track.held = { oldest, since: this.#options.now() };
  }

  /** What the log does not hold any more is not waited for: the watermark would stand still for ever. */
  #passOverGone(track: Track): void {
    const { held, beyond, watermark } = track;
    if (held === undefined || held.oldest - 1 <= watermark) return;
    if (this.#options.now() - held.since < this.#options.goneAfterMs) return;
    const range: Interval = [watermark + 1, held.oldest - 1];
    for (const [from, to] of beyond.missing(range)) this.#gone += to - from + 1;
    track.watermark = beyond.takeThrough(held.oldest - 1);
    if (beyond.intervals.length === 0) track.gapSince = undefined;
    track.owes = true;
  }

  #askForMissing(track: Track): void {
    const { now, replayAfterMs, replay } = this.#options;
    if (track.gapSince === undefined || now() - track.gapSince < replayAfterMs) return;
    track.gapSince = now();
    const [first] = track.beyond.intervals;
    if (first === undefined) return;
    replay(track.stream, { epoch: track.epoch, from: track.watermark + 1, to: first[0] - 1 });
  }

  #track(stream: StreamName, epoch: string): Track {
    const key = keyOf(stream, epoch);
    const known = this.#tracks.get(key);
    // A map keeps the order of insertion: the longest silent one is the first.
    if (known !== undefined) this.#tracks.delete(key);
    const track: Track = known ?? {
      stream,
      epoch,
      watermark: 0,
      acked: 0,
      beyond: new IntervalSet(this.#options.maxRanges),
      gapSince: undefined,
      held: undefined,
      owes: false,
    };
    this.#tracks.set(key, track);
    if (this.#tracks.size > this.#options.maxStreams) {
      for (const oldest of this.#tracks.keys()) {
        this.#tracks.delete(oldest);
        break;
      }
    }
    return track;
  }

  /** What could not be stored was not received. */
  #forget(track: Track, fresh: readonly Interval[]): void {
    const kept = track.beyond.intervals.flatMap((interval) =>
      new IntervalSet(Number.MAX_SAFE_INTEGER, fresh).missing(interval),
    );
    this.#tracks.set(keyOf(track.stream, track.epoch), {
      ...track,
      beyond: new IntervalSet(this.#options.maxRanges, kept),
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }
}

function keyOf({ tenant, gateway, lane }: StreamName, epoch: string): string {
  return `${tenant}/${gateway}/${lane}/${epoch}`;
}
