import type { StoredBatch, Stream } from '../model/outbox.ts';

/** A batch on its way. */
export interface Flight {
  readonly first: number;
  readonly last: number;
  readonly n: number;
  readonly bytes: number;
  /** It tells of a gap, and proves nothing about what the other side takes. */
  readonly gap: boolean;
  readonly appendedAt: number | undefined;
  /** The broker has acknowledged it. */
  confirmed: boolean;
  /** From append to the broker's ack. */
  latencyMs: number | undefined;
  /** False once the window was restarted: its ack says nothing any more. */
  live: boolean;
}

/** Which ack moves the cursor: the broker's of each publish, or the cloud's watermark. */
export type AckLevel = 'broker' | 'cloud';

/** Who refused a batch and how final that is. */
export interface Refusal {
  readonly sequence: number;
  readonly reason: string;
  /**
   * By the broker – rights: of the connection, never of the batch · unclear: may be either ·
   * payload: of this batch. By the cloud: what the broker takes says nothing about it.
   */
  readonly kind: 'rights' | 'unclear' | 'payload' | 'cloud';
  readonly strikes: number;
}

/**
 * Go-back-N over one stream: what is sent beyond the durable cursor, in order. Acks come in any
 * order; only the contiguous prefix moves the cursor.
 */
export class StreamWindow {
  stream: Stream;
  level: AckLevel = 'broker';
  /** Up to where the cloud said last that it has stored; undefined before it has said anything. */
  heard: number | undefined;
  /** Monotonic time since which the cloud's watermark lies unmoved below the cursor. */
  lowSince: number | undefined;
  /** What was sent again from the watermark has not moved it: the next time one batch must do. */
  probing = false;
  /** Batches read ahead, in order. */
  readonly ahead: StoredBatch[] = [];
  aheadBytes = 0;
  /** Reading ahead, and nothing else may. */
  loading = false;
  /** Reading gave nothing although something should be there; until the next commit or tick. */
  dry = false;
  /** Nothing is sent: a refusal is being dealt with. */
  held = false;
  refusal: Refusal | undefined;
  /** Raised at each restart: what was asked for before is out of date. */
  generation = 0;
  /** Monotonic time at which the cursor moved or sending began anew. */
  movedAt = 0;
  /** Times in a row that the watermark stood still until the limit. */
  stalls = 0;
  #cursor: number;
  /** Where the durable cursor is: it never moves backward, the cursor of a window does. */
  #floor: number;
  /** Highest sequence that was sent before the window went back. */
  #reached = 0;
  #sent: number;
  #flights: Flight[] = [];
  /** Index of the first flight that is not acked; the array is cut now and then. */
  #head = 0;
  #events = 0;
  #bytes = 0;
  #unconfirmed = 0;

  constructor(stream: Stream, cursor: number) {
    this.stream = stream;
    this.#cursor = cursor;
    this.#floor = cursor;
    this.#sent = cursor;
  }

  /** Highest sequence that the cloud says it has stored; 0 before the first. */
  get watermark(): number {
    return this.heard ?? 0;
  }

  /** Whether the cloud misses something below the cursor that the log still holds. */
  get low(): boolean {
    return this.heard !== undefined && this.#proven < this.#cursor;
  }

  /** Whether what is sent now lies below the durable cursor. */
  get back(): boolean {
    return this.#cursor < this.#floor;
  }

  /** Whether the cloud waits for something that the log does not hold any more. */
  get outrun(): boolean {
    return this.heard !== undefined && this.heard < this.stream.oldest - 1;
  }

  /** Last sequence that is acked; after going back, up to where the cloud has it. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Last sequence that was sent on this connection, or need not be. */
  get sent(): number {
    return this.#sent;
  }

  /** Events sent and not acked. */
  get events(): number {
    return this.#events;
  }

  /** Bytes sent and not acked. */
  get bytes(): number {
    return this.#bytes;
  }

  get hasUnsent(): boolean {
    return this.#sent < this.stream.next - 1;
  }

  /** Something was sent that the broker has not acknowledged. */
  get hasUnconfirmed(): boolean {
    return this.#unconfirmed > 0;
  }

  /** Whether everything sent is waiting for the cloud only. */
  get headConfirmed(): boolean {
    return this.#flights[this.#head]?.confirmed === true;
  }

  /** Last sequence that was read ahead. */
  get readThrough(): number {
    const last = this.ahead.at(-1);
    return last === undefined ? this.#sent : last.sequence + last.n - 1;
  }

  readAhead(batches: readonly StoredBatch[]): void {
    for (const batch of batches) {
      this.ahead.push(batch);
      this.aheadBytes += batch.body.length;
    }
  }

  /** Takes the next batch read ahead as sent. */
  send(): Flight | undefined {
    const batch = this.#take();
    if (batch === undefined) return undefined;
    const flight: Flight = {
      first: batch.sequence,
      last: batch.sequence + batch.n - 1,
      n: batch.n,
      bytes: batch.body.length,
      gap: batch.type === 'riser.gap.v1',
      appendedAt: batch.appendedAt,
      confirmed: false,
      latencyMs: undefined,
      live: true,
    };
    this.#flights.push(flight);
    this.#events += flight.n;
    this.#bytes += flight.bytes;
    this.#unconfirmed += 1;
    this.#sent = flight.last;
    return flight;
  }

  /** The broker has acknowledged a flight, in whatever order. */
  confirm(flight: Flight): void {
    if (!flight.live || flight.confirmed) return;
    flight.confirmed = true;
    this.#unconfirmed -= 1;
  }

  /** Passes over the next batch read ahead: the cloud has it already. Only with nothing in flight before it. */
  skip(): void {
    const batch = this.#take();
    if (batch === undefined) return;
    this.#sent = batch.sequence + batch.n - 1;
    this.#cursor = this.#sent;
    this.#floor = Math.max(this.#floor, this.#cursor);
  }

  /** Moves the cursor over what is acked without a hole; returns the flights that it passed. */
  advance(): readonly Flight[] {
    const from = this.#head;
    for (;;) {
      const flight = this.#flights[this.#head];
      if (flight === undefined) break;
      const acked = this.level === 'broker' ? flight.confirmed : flight.last <= this.watermark;
      if (!acked) break;
      this.#head += 1;
      this.#cursor = flight.last;
      this.#events -= flight.n;
      this.#bytes -= flight.bytes;
      if (!flight.confirmed) {
        // The cloud has it, so the broker's ack is of no more interest.
        flight.confirmed = true;
        this.#unconfirmed -= 1;
      }
    }
    this.#floor = Math.max(this.#floor, this.#cursor);
    const passed = this.#flights.slice(from, this.#head);
    if (this.#head > 256 && this.#head * 2 > this.#flights.length) {
      this.#flights = this.#flights.slice(this.#head);
      this.#head = 0;
    }
    return passed;
  }

  /** Back to the cursor: what was sent beyond it is read and sent again. */
  restart(cursor: number): void {
    const { back } = this;
    this.#floor = Math.max(this.#floor, cursor);
    // What another connection has carried may be lost with it.
    this.#reached = 0;
    this.#moveTo(back ? this.#cursor : this.#floor);
  }

  /** Below the cursor, to where the cloud has everything, as far as the log goes. */
  goBack(): void {
    this.#reached = Math.max(this.#reached, this.#sent);
    this.#moveTo(this.#proven);
  }

  /** To where it was before it went back: the cloud took nothing, and what is new must not wait. */
  goForward(): void {
    const reached = Math.max(this.#floor, this.#reached);
    this.#moveTo(this.#floor);
    this.#sent = reached;
  }

  get #proven(): number {
    return Math.max(this.watermark, this.stream.oldest - 1);
  }

  #moveTo(cursor: number): void {
    for (let at = this.#head; at < this.#flights.length; at += 1) {
      const flight = this.#flights[at];
      if (flight !== undefined) flight.live = false;
    }
    this.#flights = [];
    this.#head = 0;
    this.#events = 0;
    this.#bytes = 0;
    this.#unconfirmed = 0;
    this.#cursor = cursor;
    this.#sent = this.#cursor;
    this.ahead.length = 0;
    this.aheadBytes = 0;
    this.generation += 1;
    this.loading = false;
    this.dry = false;
  }

  /** The batch in flight whose range contains a sequence. */
  find(sequence: number): Flight | undefined {
    for (let at = this.#head; at < this.#flights.length; at += 1) {
      const flight = this.#flights[at];
      if (flight !== undefined && flight.first <= sequence && sequence <= flight.last) {
        return flight;
      }
    }
    return undefined;
  }

  #take(): StoredBatch | undefined {
    const batch = this.ahead.shift();
    if (batch !== undefined) this.aheadBytes -= batch.body.length;
    return batch;
  }
}
