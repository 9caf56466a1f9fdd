import {
  dataSchemaOfType,
  type EventType,
  type GapData,
  sequenceText,
  streamSource,
} from '../../src/model/event.ts';
import { type GatewayId, gatewayId, type TenantId } from '../../src/model/ids.ts';
import type { Lane } from '../../src/model/lane.ts';
import type {
  Committed,
  DeadLetter,
  NewBatch,
  Outbox,
  OutboxStats,
  StoredBatch,
  Stream,
} from '../../src/model/outbox.ts';

interface Log {
  sid: number;
  tenant: TenantId;
  lane: Lane;
  epoch: string;
  next: number;
  closed: boolean;
  readonly batches: StoredBatch[];
}

/** An outbox that keeps the promises of src/model/outbox.ts, but for surviving the process. */
export class MemoryOutbox implements Outbox {
  readonly #gateway: GatewayId;
  readonly #logs: Log[] = [];
  readonly #cursors = new Map<string, number>();
  readonly #parked = new Map<string, DeadLetter>();
  readonly #listeners = new Set<(sids: readonly number[]) => void>();
  /** Reads so far, for tests that ask what was read. */
  reads = 0;

  constructor(gateway: GatewayId = gatewayId('gw-test')) {
    this.#gateway = gateway;
  }

  async append(batches: readonly NewBatch[]): Promise<readonly Committed[]> {
    const committed = batches.map((batch) => {
      const log = this.#open(batch.tenant, batch.lane);
      const sequence = log.next;
      log.next += batch.n;
      log.batches.push({
        sid: log.sid,
        sequence,
        n: batch.n,
        type: batch.type,
        body: this.#envelope(log, sequence, batch),
        appendedAt: performance.now(),
      });
      return { sid: log.sid, sequence, n: batch.n };
    });
    await Promise.resolve();
    for (const listener of this.#listeners) listener([...new Set(committed.map(({ sid }) => sid))]);
    return committed;
  }

  streams(): readonly Stream[] {
    return this.#logs.map(({ batches, ...log }) => ({
      ...log,
      oldest: batches[0]?.sequence ?? log.next,
      bytes: 0,
    }));
  }

  async read(
    consumer: string,
    sid: number,
    after: number,
    limit: { readonly batches: number; readonly bytes: number },
  ): Promise<readonly StoredBatch[]> {
    this.reads += 1;
    await new Promise((resolve) => setImmediate(resolve));
    const found: StoredBatch[] = [];
    let bytes = 0;
    const batches = this.#log(sid)?.batches ?? [];
    for (const batch of batches.slice(firstAfter(batches, after))) {
      bytes += batch.body.length;
      if (found.length > 0 && (found.length >= limit.batches || bytes > limit.bytes)) break;
      found.push(this.#asSeenBy(consumer, batch));
    }
    return found;
  }

  acked(consumer: string, sid: number): number {
    return this.#cursors.get(`${consumer} ${sid}`) ?? 0;
  }

  ack(consumer: string, sid: number, through: number): void {
    const next = this.#log(sid)?.next ?? 0;
    if (through > this.acked(consumer, sid) && through < next) {
      this.#cursors.set(`${consumer} ${sid}`, through);
    }
  }

  async park(consumer: string, sid: number, sequence: number, reason: string): Promise<void> {
    const log = this.#log(sid);
    const batch = log?.batches.find((candidate) => candidate.sequence === sequence);
    if (log === undefined || batch === undefined) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#parked.set(`${consumer} ${sid} ${sequence}`, {
      id: this.#parked.size + 1,
      consumer,
      tenant: log.tenant,
      lane: log.lane,
      epoch: log.epoch,
      sequence,
      n: batch.n,
      reason,
      at: Date.now(),
      bytes: batch.body.length,
    });
  }

  async deadLetters(limit: number): Promise<readonly DeadLetter[]> {
    return [...this.#parked.values()].reverse().slice(0, limit);
  }

  async renewEpoch(tenant: TenantId, lane: Lane): Promise<void> {
    const open = this.#open(tenant, lane);
    open.closed = true;
    this.#open(tenant, lane);
  }

  onCommit(listener: (sids: readonly number[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stats(): OutboxStats {
    return {
      pending: this.pending(),
      fileBytes: 0,
      walBytes: 0,
      maxBytes: 0,
      deadLetters: this.#parked.size,
      lost: 0,
      commits: 0,
      committedEvents: 0,
      bytesWritten: 0,
      queued: 0,
      commitP50Ms: 0,
      commitP99Ms: 0,
      checksumErrors: 0,
    };
  }

  /** Events that the uplink has not acked. */
  pending(): number {
    return this.#logs.reduce((sum, { sid, next }) => sum + next - 1 - this.acked('uplink', sid), 0);
  }

  /** Stored body of a batch, for comparison with what arrived. */
  bodyOf(sid: number, sequence: number): Uint8Array | undefined {
    return this.#log(sid)?.batches.find((batch) => batch.sequence === sequence)?.body;
  }

  /** Puts bytes in the place of a batch's body, to see whether anybody notices. */
  tamper(sid: number, sequence: number, body: Uint8Array): void {
    const log = this.#log(sid);
    const at = log?.batches.findIndex((batch) => batch.sequence === sequence) ?? -1;
    const batch = log?.batches[at];
    if (log !== undefined && batch !== undefined) log.batches[at] = { ...batch, body };
  }

  /** Holds no batch any more that ends at or before a sequence. */
  forgetThrough(sid: number, sequence: number): void {
    const batches = this.#log(sid)?.batches;
    while (batches?.[0] !== undefined && batches[0].sequence + batches[0].n - 1 <= sequence) {
      batches.shift();
    }
  }

  #log(sid: number): Log | undefined {
    return this.#logs.find((log) => log.sid === sid);
  }

  #open(tenant: TenantId, lane: Lane): Log {
    const known = this.#logs.find(
      (log) => log.tenant === tenant && log.lane === lane && !log.closed,
    );
    if (known !== undefined) return known;
    const sid = this.#logs.length + 1;
    const log: Log = {
      sid,
      tenant,
      lane,
      epoch: `epoch${sid}`,
      next: 1,
      closed: false,
      batches: [],
    };
    this.#logs.push(log);
    return log;
  }

  #asSeenBy(consumer: string, batch: StoredBatch): StoredBatch {
    const letter = this.#parked.get(`${consumer} ${batch.sid} ${batch.sequence}`);
    const log = this.#log(batch.sid);
    if (letter === undefined || log === undefined) return batch;
    const data: GapData = {
      n: batch.n,
      first: sequenceText(batch.sequence),
      last: sequenceText(batch.sequence + batch.n - 1),
      reason: 'dead-letter',
      text: letter.reason,
    };
    const type: EventType = 'riser.gap.v1';
    return {
      ...batch,
      type,
      body: this.#envelope(log, batch.sequence, {
        tenant: log.tenant,
        lane: log.lane,
        type,
        n: batch.n,
        time: letter.at,
        data: JSON.stringify(data),
        correlationId: 'gap',
      }),
    };
  }

  #envelope(log: Log, sequence: number, batch: NewBatch): Uint8Array {
    const attributes = {
      specversion: '1.0',
      id: `${log.epoch}.${sequence}`,
      source: streamSource(this.#gateway, log.tenant, log.lane),
      type: batch.type,
      time: new Date(batch.time).toISOString(),
      datacontenttype: 'application/json',
      dataschema: dataSchemaOfType[batch.type],
      tenantid: log.tenant,
      sequence: sequenceText(sequence),
      correlationid: batch.correlationId,
      bootid: 'boot-1',
      clocksynced: true,
    };
    return Buffer.from(`${JSON.stringify(attributes).slice(0, -1)},"data":${batch.data}}`);
  }
}

/** Index of the first batch behind a sequence, by halving. */
function firstAfter(batches: readonly StoredBatch[], after: number): number {
  let [low, high] = [0, batches.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((batches[middle]?.sequence ?? 0) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A batch of n readings of one point, its values counting up. */
export function readingsBatch(
  tenant: TenantId,
  options: { readonly n?: number; readonly lane?: Lane; readonly pad?: number } = {},
): NewBatch {
  const { n = 1, lane = 'live', pad = 0 } = options;
  const rows = Array.from({ length: n }, (_, index) => `[0,${index},${index}]`).join(',');
  const point = `dev/value${'x'.repeat(pad)}`;
  return {
    tenant,
    lane,
    type: 'riser.readings.v1',
    n,
    time: 1_795_167_660_120,
    data: `{"n":${n},"t0":1795167660120,"points":["${point}"],"r":[${rows}]}`,
    correlationId: 'c-1',
  };
}
