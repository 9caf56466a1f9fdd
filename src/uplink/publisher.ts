import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import { GatewayError } from '../model/errors.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Notes } from '../model/notes.ts';
import type { Outbox, StoredBatch } from '../model/outbox.ts';
import type { Settings } from '../model/site.ts';
import { CatchUp } from './catch-up.ts';
import { belongsTo } from './envelope-check.ts';
import type { Pipe } from './mqtt-session.ts';
import type { PublisherLimits } from './publisher-limits.ts';
import { Refusals } from './refusals.ts';
import { consumer, StreamSet } from './stream-set.ts';
import type { AckLevel, Flight, StreamWindow } from './stream-window.ts';
import type { Topics } from './topics.ts';

export interface PublisherOptions {
  readonly gateway: GatewayId;
  readonly tenant: TenantId;
  readonly topics: Topics;
  readonly ack: Settings['uplink']['ack'];
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly notes: Pick<Notes, 'published' | 'acked' | 'uplinkRejected' | 'partFailed'>;
  readonly conditions: ConditionReporter;
  readonly limits: PublisherLimits;
  /** A new epoch has begun: what the birth says is out of date. */
  readonly onEpoch: () => void;
  /** The cloud waits for what the log does not hold any more. */
  readonly onOutrun: () => void;
  readonly random?: () => number;
}

const tickMs = 1_000;
/** Fixed header, packet identifier, property length and the length of the topic. */
const packetOverhead = 16;
/** A new epoch is begun at most this often, whatever the other side says. */
const renewEveryMs = 60_000;

/** Sends the streams of one tenant through whatever connection there is. */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #streams: StreamSet;
  readonly #refusals: Refusals;
  readonly #catchUp: CatchUp;
  /** Lanes whose watermark the cloud has been seen to publish. */
  readonly #cloudLanes = new Set<Lane>();
  readonly #renewedAt = new Map<Lane, number>();
  #ack: Settings['uplink']['ack'];
  #pipe: Pipe | undefined;
  #ticker: Disposable | undefined;
  #inflightBytes = 0;
  #published = 0;
  #acked = 0;
  #ackedAt: number | undefined;
  #ignored = 0;
  #closed = false;

  constructor(options: PublisherOptions) {
    const { tenant, outbox, clock, notes, conditions, limits, random } = options;
    this.#options = options;
    this.#ack = options.ack;
    this.#streams = new StreamSet({
      tenant,
      outbox,
      clock,
      notes,
      limits,
      levelOf: (lane) => this.#levelOf(lane),
      onLoaded: () => this.pump(),
    });
    this.#catchUp = new CatchUp(this.#streams, { clock, limits, onOutrun: options.onOutrun });
    this.#refusals = new Refusals(this.#streams, {
      tenant,
      outbox,
      clock,
      notes,
      conditions,
      limits,
      ...(random === undefined ? {} : { random }),
      onRelease: (window) => {
        this.#streams.restart(window);
        this.pump();
      },
    });
  }

  /** Events published, repeats included. */
  get published(): number {
    return this.#published;
  }

  /** Events acked at the level that counts. */
  get acked(): number {
    return this.#acked;
  }

  get lastAckAgeMs(): number | undefined {
    return this.#ackedAt === undefined
      ? undefined
      : this.#options.clock.monotonic() - this.#ackedAt;
  }

  get ackLevel(): AckLevel {
    return this.#ack === 'cloud' || this.#cloudLanes.size > 0 ? 'cloud' : 'broker';
  }

  /** Watermarks and refusals from the cloud that fit no stream or nothing that is on its way. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Times that a stream was sent again from below its cursor, because the cloud had lost it or never had it. */
  get goneBack(): number {
    return this.#catchUp.goneBack;
  }

  /** What holds the streams up although there is a connection, in one sentence. */
  get trouble(): string | undefined {
    const now = this.#options.clock.monotonic();
    for (const { refusal, level, events, movedAt, stream, probing, watermark } of this.#streams) {
      if (refusal !== undefined) return refusal.reason;
      if (probing) {
        return `the cloud has ${stream.lane} only up to ${watermark}, and takes nothing of what was sent again from there`;
      }
      if (level === 'cloud' && events > 0 && now - movedAt > this.#options.limits.stallMs) {
        return `the cloud has not confirmed ${stream.lane} for ${Math.round((now - movedAt) / 1_000)} s`;
      }
    }
    return undefined;
  }

  /** Begins to send at the durable cursors. */
  attach(pipe: Pipe): void {
    if (this.#closed) return;
    this.detach();
    this.#pipe = pipe;
    this.#inflightBytes = 0;
    this.#refusals.reset();
    this.#streams.sync();
    for (const window of this.#streams) window.held = false;
    this.#tick();
    this.pump();
  }

  /** The connection has ended. */
  detach(): void {
    this.#pipe = undefined;
    this.#ticker?.[Symbol.dispose]();
    this.#ticker = undefined;
    for (const window of this.#streams) this.#streams.restart(window);
  }

  close(): void {
    this.#closed = true;
    this.detach();
    this.#options.conditions.clear('upstream-rejects', this.#options.tenant);
  }

  reconfigure(ack: Settings['uplink']['ack']): void {
    this.#ack = ack;
    if (ack === 'broker') this.#cloudLanes.clear();
    for (const window of this.#streams) {
      if (ack === 'broker') this.#catchUp.forget(window);
      window.level = this.#levelOf(window.stream.lane);
      this.#advance(window);
    }
    this.pump();
  }

  /** The outbox has grown. */
  committed(): void {
    if (this.#pipe === undefined) return;
    this.#streams.sync();
    this.#streams.wake();
    this.pump();
  }

  /** Sends while there is room and something to send. */
  pump(): void {
    const pipe = this.#pipe;
    if (pipe === undefined) return;
    while (pipe.free > 0 && this.#inflightBytes < this.#options.limits.inflightBytes) {
      const window = this.#streams.choose();
      const batch = window?.ahead[0];
      if (window === undefined || batch === undefined) break;
      this.#sendNext(window, batch, pipe);
    }
    this.#streams.load();
  }

  /** The cloud says up to where it has stored a lane. */
  watermark(lane: Lane, epoch: string, sequence: number): void {
    if (this.#ack === 'broker') return;
    this.#streams.sync();
    const window =
      this.#streams.ofEpoch(lane, epoch) ?? this.#streams.reopen(lane, epoch, sequence);
    if (window === undefined) {
      this.#ignored += 1;
      return;
    }
    const { stream } = window;
    const next = Math.max(stream.next, window.sent + 1);
    if (sequence >= next && !stream.closed) {
      this.#renew(lane, sequence, next);
      return;
    }
    this.#cloudLanes.add(lane);
    for (const other of this.#streams) if (other.stream.lane === lane) other.level = 'cloud';
    this.#catchUp.heard(window, Math.min(sequence, next - 1));
    this.#advance(window);
    this.pump();
  }

  /** The cloud will never accept the batch that contains a sequence. */
  nack(lane: Lane, epoch: string, sequence: number, reason: string): void {
    const window = this.#streams.ofEpoch(lane, epoch);
    const flight = window?.find(sequence);
    if (window === undefined || flight === undefined) {
      this.#ignored += 1;
      return;
    }
    this.#refusals.byCloud(window, flight, reason);
  }

  #levelOf(lane: Lane): AckLevel {
    if (this.#ack !== 'auto') return this.#ack;
    return this.#cloudLanes.has(lane) ? 'cloud' : 'broker';
  }

  #sendNext(window: StreamWindow, batch: StoredBatch, pipe: Pipe): void {
    const { topics, notes, tenant, clock, outbox } = this.#options;
    const { lane, sid } = window.stream;
    if (window.level === 'cloud' && batch.sequence + batch.n - 1 <= window.watermark) {
      // Stored before the connection broke; only the batch's end is a place for the cursor.
      window.skip();
      outbox.ack(consumer, sid, window.cursor);
      return;
    }
    if (!this.#isOwn(window, batch)) return;
    const topic = topics.events(lane);
    const room = pipe.maximumPacketSize - topic.length - packetOverhead;
    if (batch.body.length > room) {
      const othersFit = window.ahead.some(
        ({ body, type }) => body.length <= room && type !== 'riser.gap.v1',
      );
      const gap = batch.type === 'riser.gap.v1';
      this.#refusals.bySize(window, batch.sequence, pipe.maximumPacketSize, gap, othersFit);
      return;
    }
    const flight = window.send();
    if (flight === undefined) return;
    if (window.events === flight.n) window.movedAt = clock.monotonic();
    this.#inflightBytes += flight.bytes;
    this.#streams.sent(lane, flight.bytes);
    this.#published += flight.n;
    notes.published({ tenant, lane, events: flight.n, bytes: flight.bytes });
    pipe.publish(topic, batch.body, false, (reasonCode) => {
      if (this.#pipe !== pipe) return;
      this.#inflightBytes -= flight.bytes;
      if (!flight.live) return;
      if (reasonCode >= 0x80) {
        this.#refusals.byBroker(window, flight.first, reasonCode, flight.gap);
      } else this.#confirmed(window, flight);
    });
  }

  /** Row, topic and body are compared once more before anything leaves. */
  #isOwn(window: StreamWindow, batch: StoredBatch): boolean {
    const { gateway, tenant, notes } = this.#options;
    const { lane, tenant: owner } = window.stream;
    if (owner === tenant && belongsTo(batch.body, gateway, tenant, lane)) return true;
    const error = new GatewayError(
      'TENANT_MISMATCH',
      `batch ${batch.sequence} of ${lane} is not of tenant ${tenant}; it is held back`,
      { facts: { tenant, lane, sequence: batch.sequence } },
    );
    notes.partFailed({ part: 'uplink', error });
    this.#refusals.byGateway(window, batch.sequence, error.message);
    return false;
  }

  #confirmed(window: StreamWindow, flight: Flight): void {
    if (flight.appendedAt !== undefined) {
      flight.latencyMs = this.#options.clock.monotonic() - flight.appendedAt;
    }
    window.confirm(flight);
    this.#advance(window);
    this.#refusals.accepted(window, flight);
  }

  #advance(window: StreamWindow): void {
    const { outbox, notes, clock, tenant } = this.#options;
    const before = outbox.acked(consumer, window.stream.sid);
    const passed = window.advance();
    if (passed.length === 0) return;
    window.movedAt = clock.monotonic();
    window.stalls = 0;
    window.probing = false;
    this.#ackedAt = window.movedAt;
    outbox.ack(consumer, window.stream.sid, window.cursor);
    for (const { n, last, latencyMs } of passed) {
      // What was acked by the broker long ago is not counted a second time.
      if (last <= before) continue;
      this.#acked += n;
      notes.acked({
        tenant,
        lane: window.stream.lane,
        events: n,
        ...(latencyMs === undefined ? {} : { latencyMs }),
      });
    }
    this.#refusals.passed(window, passed);
  }

  /** Looks whether the cloud's watermark stands still, or lies below what was acked. */
  #tick(): void {
    const { clock, limits } = this.#options;
    const look = () => {
      this.#streams.sync();
      this.#streams.wake();
      this.#catchUp.look();
      this.#tick();
      this.pump();
    };
    this.#ticker = clock.setTimeout(look, Math.min(tickMs, limits.stallMs, limits.lowMs));
  }

  /** The cloud knows more than this file: it was restored or copied. */
  #renew(lane: Lane, sequence: number, next: number): void {
    const { outbox, tenant, clock, notes, onEpoch } = this.#options;
    const now = clock.monotonic();
    const before = this.#renewedAt.get(lane);
    if (before !== undefined && now - before < renewEveryMs) {
      this.#ignored += 1;
      return;
    }
    this.#renewedAt.set(lane, now);
    this.#cloudLanes.add(lane);
    const reason = `the cloud has ${lane} up to ${sequence}, this file only up to ${next - 1}`;
    outbox.renewEpoch(tenant, lane, reason).then(
      () => {
        this.committed();
        onEpoch();
      },
      (error: unknown) => notes.partFailed({ part: 'uplink', error }),
    );
  }
}
