import type { Part } from '../kernel/part.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { Device } from '../model/device.ts';
import { GatewayError } from '../model/errors.ts';
import { type EventType, laneOfType } from '../model/event.ts';
import type { LatestValue, RawGroup, RecordSink } from '../model/field.ts';
import type { DeviceId, LinkId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Notes } from '../model/notes.ts';
import type { NewBatch, Outbox } from '../model/outbox.ts';
import type { Opaque } from '../model/point.ts';
import type { Reading } from '../model/reading.ts';
import { CommitQueue } from './commit-queue.ts';
import { newCorrelation } from './correlation.ts';
import type { PointRecord } from './point-record.ts';
import { PointTable } from './point-table.ts';
import { ReadingsBatch } from './readings-batch.ts';

/** Conflated readings are declared upstream at most this often. */
const droppedEveryMs = 10_000;
/** Events of the gateway and its devices that may wait for the outbox; more are refused. */
const maxWaitingEvents = 1_000;
/** How long close() waits for what is on its way. */
const closeMs = 3_000;

type RecorderNotes = Pick<
  Notes,
  | 'readingsAccepted'
  | 'readingsUnchanged'
  | 'readingsByQuality'
  | 'readingsDropped'
  | 'readingsRefused'
  | 'partFailed'
>;

export interface RecorderOptions {
  readonly outbox: Pick<Outbox, 'append'>;
  readonly clock: Clock;
  readonly bus: Bus;
  readonly notes: RecorderNotes;
  /** Tenant that the gateway's own events belong to. */
  readonly gatewayTenant: TenantId;
  /** How long readings wait for company, milliseconds per lane. */
  readonly lingerMs: Readonly<Record<Lane, number>>;
}

interface OpenBatch {
  readonly content: ReadingsBatch;
  readonly committed: PromiseWithResolvers<void>;
  readonly timer: Disposable | undefined;
}

/** Turns results of drivers into readings, decides which are worth telling, and gets them committed. */
export class Recorder implements RecordSink, Part {
  readonly name = 'recorder';
  readonly #options: RecorderOptions;
  readonly #points = new PointTable();
  readonly #queue: CommitQueue;
  readonly #open = new Map<string, OpenBatch>();
  readonly #dropped = new Map<LinkId, number>();
  #droppedTimer: Disposable | undefined;
  #waitingEvents = 0;
  #closed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#queue = new CommitQueue(options.outbox, options.clock);
  }

  async start(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#declareDropped();
    for (const key of [...this.#open.keys()]) this.#send(key);
    await this.#queue.drained(AbortSignal.timeout(closeMs));
    this.#closed = true;
    this.#queue.close();
  }

  /** Takes over a configuration; what is known of unchanged points stays. */
  configure(devices: readonly Device[]): void {
    this.#points.configure(devices);
  }

  async accept(groups: readonly RawGroup[]): Promise<void> {
    if (this.#closed) {
      throw new GatewayError('OUTBOX_UNAVAILABLE', 'the gateway is stopping', { retryable: true });
    }
    const { clock, notes } = this.#options;
    const now = clock.monotonic();
    const batches = new Set<OpenBatch>();
    const quality = { good: 0, uncertain: 0, bad: 0 };
    let unchanged = 0;
    let unknown = 0;
    for (const { device, results } of groups) {
      for (const result of results) {
        const record = this.#points.find(device, result.pointId);
        if (record === undefined) {
          unknown += 1;
          continue;
        }
        const reading = record.take(result, now);
        quality[reading.quality] += 1;
        if (record.worthTelling(reading, now)) batches.add(this.#add(reading));
        else unchanged += 1;
      }
    }
    notes.readingsByQuality(quality);
    if (unchanged > 0) notes.readingsUnchanged({ count: unchanged });
    if (unknown > 0) notes.readingsRefused({ reason: 'unknown-point', count: unknown });
    await Promise.all([...batches].map(({ committed }) => committed.promise));
  }

  dropped(link: LinkId, count: number): void {
    if (count === 0) return;
    this.#options.notes.readingsDropped({ link, count });
    this.#dropped.set(link, (this.#dropped.get(link) ?? 0) + count);
    this.#droppedTimer ??= this.#options.clock.setTimeout(
      () => this.#declareDropped(),
      droppedEveryMs,
    );
  }

  async deviceEvent(device: DeviceId, type: string, time: number, data: Opaque): Promise<void> {
    const tenant = this.#points.tenantOf(device);
    if (tenant === undefined) {
      this.#options.notes.readingsRefused({ reason: 'unknown-device', count: 1 });
      return;
    }
    await this.event('riser.device.v1', { device, type, time, data }, tenant);
  }

  /** Stores one event of the gateway itself; resolves when it is committed. */
  async event(
    type: Exclude<EventType, 'riser.readings.v1' | 'riser.gap.v1'>,
    data: object,
    tenant: TenantId = this.#options.gatewayTenant,
  ): Promise<void> {
    if (this.#waitingEvents >= maxWaitingEvents) {
      throw new GatewayError('OUTBOX_UNAVAILABLE', 'too many events wait for the outbox already', {
        retryable: true,
      });
    }
    this.#waitingEvents += 1;
    try {
      await this.#queue.push({
        tenant,
        lane: laneOfType[type],
        type,
        n: 1,
        time: this.#options.clock.wall(),
        data: JSON.stringify(data),
        ...newCorrelation(),
      });
    } finally {
      this.#waitingEvents -= 1;
    }
  }

  /** Newest values, of one device or all, in the order of the configuration. */
  values(device?: string): readonly LatestValue[] {
    const now = this.#options.clock.monotonic();
    return this.#points.records(device).flatMap((record) => latestValue(record, now));
  }

  /** How many points have a fresh value, and how many of those a good one. */
  freshness(): { readonly fresh: number; readonly good: number } {
    const now = this.#options.clock.monotonic();
    let fresh = 0;
    let good = 0;
    for (const record of this.#points.records()) {
      if (record.latest === undefined || isStale(record, now)) continue;
      fresh += 1;
      if (record.latest.quality === 'good') good += 1;
    }
    return { fresh, good };
  }

  /** Scales and judges results that were read on demand, without telling them. */
  judge(device: DeviceId, results: RawGroup['results']): readonly LatestValue[] {
    const now = this.#options.clock.monotonic();
    return results.flatMap((result) => {
      const record = this.#points.find(device, result.pointId);
      if (record === undefined) return [];
      record.take(result, now);
      return latestValue(record, now);
    });
  }

  #add(reading: Reading): OpenBatch {
    const key = `${reading.lane}/${reading.tenant}`;
    const batch = this.#open.get(key) ?? this.#openBatch(key, reading.lane);
    batch.content.add(reading);
    if (batch.content.full) this.#send(key);
    return batch;
  }

  #openBatch(key: string, lane: Lane): OpenBatch {
    const batch: OpenBatch = {
      content: new ReadingsBatch(),
      committed: Promise.withResolvers<void>(),
      timer: this.#options.clock.setTimeout(() => this.#send(key), this.#options.lingerMs[lane]),
    };
    // Owned by accept(); this keeps a rejection at close from counting as nobody's.
    batch.committed.promise.catch(() => {});
    this.#open.set(key, batch);
    return batch;
  }

  #send(key: string): void {
    const batch = this.#open.get(key);
    if (batch === undefined) return;
    this.#open.delete(key);
    batch.timer?.[Symbol.dispose]();
    const { readings } = batch.content;
    const first = readings[0];
    if (first === undefined) return;
    const { tenant, lane } = first;
    const stored: NewBatch = {
      tenant,
      lane,
      type: 'riser.readings.v1',
      n: readings.length,
      ...batch.content.encode(),
      ...newCorrelation(),
    };
    this.#queue.push(stored).then(
      () => {
        this.#options.notes.readingsAccepted({ tenant, lane, count: readings.length });
        batch.committed.resolve();
        this.#options.bus.emit('readings-committed', readings);
      },
      (error: unknown) => this.#refused(batch, error),
    );
  }

  /** A batch that can never be stored is counted and let go: offering it again would change nothing. */
  #refused(batch: OpenBatch, error: unknown): void {
    if (this.#closed) {
      batch.committed.reject(error);
      return;
    }
    const { notes } = this.#options;
    notes.partFailed({ part: this.name, error });
    notes.readingsRefused({ reason: 'internal', count: batch.content.size });
    batch.committed.resolve();
  }

  #declareDropped(): void {
    this.#droppedTimer?.[Symbol.dispose]();
    this.#droppedTimer = undefined;
    const links = [...this.#dropped].map(([link, count]) => ({ link, count }));
    this.#dropped.clear();
    if (links.length === 0 || this.#closed) return;
    this.event('riser.dropped.v1', { links }).catch(() => {
      for (const { link, count } of links)
        this.#dropped.set(link, (this.#dropped.get(link) ?? 0) + count);
    });
  }
}

/** Older than this many intervals is stale. */
const staleAfterIntervals = 3;
/** A short interval does not make a value stale because one poll came a little late. */
const staleGraceMs = 1_000;

function isStale({ intervalMs, latestAt }: PointRecord, now: number): boolean {
  return (
    intervalMs !== undefined && now - latestAt > staleAfterIntervals * intervalMs + staleGraceMs
  );
}

function latestValue(record: PointRecord, now: number): LatestValue[] {
  const { latest, point } = record;
  if (latest === undefined) return [];
  return [
    {
      ...latest,
      ...(point.unit === undefined ? {} : { unit: point.unit }),
      ageMs: Math.round(Math.max(0, now - record.latestAt)),
      stale: isStale(record, now),
    },
  ];
}
