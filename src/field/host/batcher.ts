import type { PointResult } from '#driver';
import type { PlanLane, ReadingsGroup } from './messages.ts';

export interface BatcherLimits {
  /** Results in a frame. */
  readonly results: number;
  /** Bytes of a frame, by the worst estimate; one result more may be in it. */
  readonly bytes: number;
  /** Frames that may be unacked before results are held back. */
  readonly unacked: number;
  /** Results of the lanes that are never conflated that may wait. */
  readonly waiting: number;
}

export const batcherLimits: BatcherLimits = {
  results: 500,
  bytes: 393_216,
  unacked: 8,
  waiting: 10_000,
};

/** A batch that is ready to be sent. */
export interface Batch {
  readonly batch: number;
  /** Link of the first group. */
  readonly link: string;
  readonly groups: readonly ReadingsGroup[];
  /** Results that were given up since the last batch, by link. */
  readonly drops: ReadonlyMap<string, number>;
}

export interface BatcherOptions {
  readonly limits?: Partial<BatcherLimits>;
  /** Sends a batch; false when the stream is full, and drained() will be called. */
  readonly send: (batch: Batch) => boolean;
  /** Runs a function soon, so that what is read in one turn travels in one frame. */
  readonly soon: (fn: () => void) => void;
}

interface Waiting {
  readonly link: string;
  readonly device: string;
  readonly result: PointResult;
}

/**
 * Gathers results into frames. They go at once while fewer than 8 frames are unacked. Beyond that
 * the newest value of each live point waits and the older ones are counted as dropped; alarms and
 * bulk are kept in order up to a limit, and what is beyond it is counted.
 */
export class Batcher {
  readonly #limits: BatcherLimits;
  readonly #options: BatcherOptions;
  /** Never conflated: the queue of each lane, oldest first. */
  readonly #queues = { alarm: [] as Waiting[], bulk: [] as Waiting[] };
  /** Live results in the order they came, while the way is free. */
  #live: Waiting[] = [];
  /** Live results by device and point, while it is not. */
  readonly #held = new Map<string, Map<string, Waiting>>();
  #heldCount = 0;
  #drops = new Map<string, number>();
  #next = 1;
  #acked = 0;
  #blocked = false;
  #scheduled = false;

  constructor(options: BatcherOptions) {
    this.#options = options;
    this.#limits = { ...batcherLimits, ...options.limits };
  }

  /** Results that wait for the kernel. */
  get waiting(): number {
    const { alarm, bulk } = this.#queues;
    return this.#live.length + this.#heldCount + alarm.length + bulk.length;
  }

  /** Frames that were sent and are not in the outbox yet. */
  get unacked(): number {
    return this.#next - 1 - this.#acked;
  }

  /** Takes results of one device; the objects belong to the batcher from now on. */
  add(link: string, device: string, lane: PlanLane, results: readonly PointResult[]): void {
    if (lane === 'live') {
      if (this.#free) for (const result of results) this.#live.push({ link, device, result });
      else for (const result of results) this.#hold({ link, device, result });
    } else {
      const queue = this.#queues[lane];
      for (const result of results) queue.push({ link, device, result });
      this.#bound(queue);
    }
    this.#schedule();
  }

  /** Everything up to a batch is in the outbox. A number that was never sent is ignored. */
  ack(batch: number): void {
    if (batch <= this.#acked || batch >= this.#next) return;
    this.#acked = batch;
    this.#schedule();
  }

  /** The stream takes frames again. */
  drained(): void {
    this.#blocked = false;
    this.#schedule();
  }

  /** Forgets the held values of a device that is gone. */
  forget(device: string): void {
    const held = this.#held.get(device);
    this.#heldCount -= held?.size ?? 0;
    this.#held.delete(device);
  }

  get #free(): boolean {
    return !this.#blocked && this.unacked < this.#limits.unacked;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.soon(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { alarm, bulk } = this.#queues;
    while (this.#free && alarm.length > 0) this.#send('alarm', alarm);
    if (this.#heldCount > 0 && this.#free) this.#release();
    while (this.#free && this.#live.length > 0) this.#send('live', this.#live);
    while (this.#free && bulk.length > 0) this.#send('bulk', bulk);
    // What the last free frame had no room for waits like everything that comes from now on.
    if (this.#live.length > 0) {
      for (const waiting of this.#live) this.#hold(waiting);
      this.#live = [];
    }
  }

  /**
   * Puts held results, the longest held first, before those that came after the way was free: as
   * many as can be sent now. To move all of them each time would cost more than to read them.
   */
  #release(): void {
    const room = (this.#limits.unacked - this.unacked) * this.#limits.results;
    const released: Waiting[] = [];
    for (const [device, points] of this.#held) {
      for (const [pointId, waiting] of points) {
        if (released.length === room) break;
        points.delete(pointId);
        released.push(waiting);
      }
      if (points.size > 0) break;
      this.#held.delete(device);
    }
    this.#heldCount -= released.length;
    this.#live = [...released, ...this.#live];
  }

  #hold(waiting: Waiting): void {
    let points = this.#held.get(waiting.device);
    if (points === undefined) {
      points = new Map();
      this.#held.set(waiting.device, points);
    }
    const { pointId } = waiting.result;
    if (points.has(pointId)) this.#drop(waiting.link);
    else this.#heldCount += 1;
    points.set(pointId, waiting);
  }

  #bound(queue: Waiting[]): void {
    const excess = queue.length - this.#limits.waiting;
    if (excess <= 0) return;
    for (const { link } of queue.splice(0, excess)) this.#drop(link);
  }

  #drop(link: string): void {
    this.#drops.set(link, (this.#drops.get(link) ?? 0) + 1);
  }

  #send(lane: PlanLane, queue: Waiting[]): void {
    const groups: ReadingsGroup[] = [];
    let results: PointResult[] = [];
    let device: string | undefined;
    let bytes = 0;
    let count = 0;
    for (const waiting of queue) {
      if (count === this.#limits.results || bytes > this.#limits.bytes) break;
      if (waiting.device !== device) {
        device = waiting.device;
        results = [];
        groups.push({ device, lane, results });
        bytes += 64 + device.length;
      }
      results.push(waiting.result);
      bytes += sizeOf(waiting.result);
      count += 1;
    }
    const link = queue[0]?.link ?? '';
    queue.splice(0, count);
    const batch = this.#next;
    this.#next += 1;
    const drops = this.#drops;
    this.#drops = new Map();
    if (!this.#options.send({ batch, link, groups, drops })) this.#blocked = true;
  }
}

/** Bytes of one UTF-16 unit in JSON at worst: a control character is written as \\u0001. */
const worstBytes = 6;

/** Bytes of a result in JSON, at most. */
function sizeOf({ pointId, value, error }: PointResult): number {
  let units = typeof value === 'string' ? value.length : 0;
  if (error !== undefined) units += error.message.length + (error.code?.length ?? 0);
  return 150 + pointId.length + units * worstBytes;
}
