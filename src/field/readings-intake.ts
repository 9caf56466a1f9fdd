import { Backoff } from '../kernel/backoff.ts';
import type { Clock } from '../model/clock.ts';
import type { RawGroup, RawResult, RecordSink } from '../model/field.ts';
import type { DeviceId, LinkId } from '../model/ids.ts';
import type { Opaque } from '../model/point.ts';
import { isReason } from './host/driver-error.ts';
import type { FromDriver } from './host/messages.ts';

type Readings = Extract<FromDriver, { readonly t: 'readings' }>;
type DeviceEvent = Extract<FromDriver, { readonly t: 'event' }>;

export interface ReadingsIntakeOptions {
  readonly sink: RecordSink;
  readonly clock: Clock;
  /** Whether a device belongs to the plugin; the readings of others are left out. */
  readonly owns: (device: string) => boolean;
  /** Everything up to a batch is in the outbox. */
  readonly ack: (batch: number) => void;
}

interface Entry {
  /** Batch of the present process; undefined for what nobody waits for. */
  readonly batch: number | undefined;
  readonly life: number;
  readonly accept: () => Promise<void>;
  state: 'waiting' | 'handed' | 'refused' | 'done';
}

/** A driver may have 8 batches unacked; one that sends far more does not keep the protocol. */
const maxBatches = 32;
/** Time that readings have to be committed when the gateway ends, milliseconds. */
const closeMs = 3_000;
const retryMinMs = 200;
const retryMaxMs = 10_000;

/**
 * Hands readings to the record and acks them when they are committed, in the order they came. A
 * refused batch is tried again, alone and in order, until it is accepted; meanwhile no other one
 * is handed over, and the driver process conflates.
 */
export class ReadingsIntake {
  readonly #options: ReadingsIntakeOptions;
  readonly #entries: Entry[] = [];
  readonly #backoff: Backoff;
  #life = 0;
  #lastBatch = 0;
  #handed = 0;
  #refusing = false;
  #timer: Disposable | undefined;
  #closeTimer: Disposable | undefined;
  #emptied: (() => void) | undefined;

  constructor(options: ReadingsIntakeOptions) {
    this.#options = options;
    this.#backoff = new Backoff({ minMs: retryMinMs, maxMs: retryMaxMs });
  }

  /** Batches that are not committed yet. */
  get waiting(): number {
    return this.#entries.length;
  }

  /** A new process begins with batch 1. What the last one sent is committed all the same. */
  begin(): void {
    this.#life += 1;
    this.#lastBatch = 0;
  }

  /** Takes a frame; throws when it is not what a driver may send. Returns its checked groups. */
  take(message: Readings | DeviceEvent): readonly RawGroup[] {
    const { sink, owns } = this.#options;
    if (message.batch !== this.#lastBatch + 1) throw new TypeError('batches out of order');
    if (this.#entries.length >= maxBatches) throw new TypeError('more batches than are acked');
    this.#lastBatch = message.batch;
    if (message.t === 'event') {
      const { device, type, time, data } = message;
      if (!owns(device)) this.#push(message.batch, () => Promise.resolve());
      else {
        this.#push(message.batch, () =>
          sink.deviceEvent(device as DeviceId, type, time, data as Opaque),
        );
      }
      return [];
    }
    const groups = checkedGroups(message.groups, owns);
    for (const { link, count } of message.drops ?? []) {
      if (typeof link === 'string' && Number.isSafeInteger(count))
        sink.dropped(link as LinkId, count);
    }
    this.#push(message.batch, () =>
      groups.length === 0 ? Promise.resolve() : sink.accept(groups),
    );
    return groups;
  }

  /** Hands over what the kernel itself has to say of points, behind what the driver said before. */
  add(groups: readonly RawGroup[]): void {
    if (groups.length > 0) this.#push(undefined, () => this.#options.sink.accept(groups));
  }

  /** Waits a while for what is on its way, then gives it up. May come twice. */
  async close(): Promise<void> {
    if (this.#entries.length > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
        this.#closeTimer = this.#options.clock.setTimeout(resolve, closeMs);
      });
      this.#closeTimer?.[Symbol.dispose]();
    }
    this.#timer?.[Symbol.dispose]();
    this.#entries.length = 0;
  }

  #push(batch: number | undefined, accept: () => Promise<void>): void {
    this.#entries.push({ batch, life: this.#life, accept, state: 'waiting' });
    this.#pump();
  }

  #pump(): void {
    if (this.#refusing) return;
    for (const entry of this.#entries) if (entry.state === 'waiting') this.#hand(entry);
  }

  #hand(entry: Entry): void {
    entry.state = 'handed';
    this.#handed += 1;
    const settled = (state: 'done' | 'refused') => {
      this.#handed -= 1;
      entry.state = state;
      if (state === 'refused') this.#refusing = true;
      else this.#settle();
      if (this.#refusing && this.#handed === 0) this.#retryLater();
    };
    let accepted: Promise<void>;
    try {
      accepted = entry.accept();
    } catch {
      settled('refused');
      return;
    }
    accepted.then(
      () => settled('done'),
      () => settled('refused'),
    );
  }

  /** Acks the batches at the head that are committed. */
  #settle(): void {
    let batch: number | undefined;
    while (this.#entries[0]?.state === 'done') {
      const entry = this.#entries.shift();
      if (entry?.life === this.#life) batch = entry.batch ?? batch;
    }
    if (batch !== undefined) this.#options.ack(batch);
    if (this.#entries.length === 0) this.#emptied?.();
  }

  #retryLater(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#options.clock.setTimeout(() => this.#retry(), this.#backoff.next());
  }

  /** One at a time: the first that is refused again ends the attempt. */
  #retry(): void {
    const entry = this.#entries.find(({ state }) => state === 'refused');
    if (entry === undefined) {
      this.#refusing = false;
      this.#backoff.reset();
      this.#pump();
      return;
    }
    entry.state = 'handed';
    const settled = (state: 'done' | 'refused') => {
      entry.state = state;
      if (state === 'refused') this.#retryLater();
      else {
        this.#settle();
        this.#retry();
      }
    };
    entry.accept().then(
      () => settled('done'),
      () => settled('refused'),
    );
  }
}

/** Groups of known devices, with every result checked; throws at the first that is no result. */
function checkedGroups(groups: unknown, owns: (device: string) => boolean): readonly RawGroup[] {
  if (!Array.isArray(groups)) throw new TypeError('readings without groups');
  const checked: RawGroup[] = [];
  for (const group of groups as readonly RawGroup[]) {
    if (!Array.isArray(group.results)) throw new TypeError('a group without results');
    if (typeof group.device !== 'string' || !owns(group.device)) continue;
    for (const result of group.results as readonly RawResult[]) {
      if (!isResult(result)) throw new TypeError('a result that is none');
    }
    checked.push({ device: group.device, results: group.results });
  }
  return checked;
}

/** Whether something that came from a driver process is a result, with a value just when it may have one. */
export function isResult(result: RawResult): boolean {
  const { pointId, time, value, quality, error } = result;
  if (typeof pointId !== 'string' || !Number.isFinite(time)) return false;
  if (quality === 'bad') return value === undefined && isReason(error?.kind);
  if (quality === 'uncertain' && !isReason(error?.kind)) return false;
  if (quality !== 'uncertain' && quality !== 'good') return false;
  return (
    (typeof value === 'number' && Number.isFinite(value)) ||
    typeof value === 'boolean' ||
    typeof value === 'string' ||
    typeof value === 'bigint'
  );
}
