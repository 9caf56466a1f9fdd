import type { DriverHost } from '#driver';
import { AnswerTimes } from './answer-times.ts';
import { type Link, type LinkCounts, type LinkRequest, noCounts } from './link.ts';
import { abortError, ModbusError } from './modbus-error.ts';
import { ReconnectDelay } from './reconnect-delay.ts';

/** Requests that may wait for their turn; the host never comes near it. */
const longestQueue = 1024;
/** Devices get this long to carry out a broadcast (Modbus over Serial Line V1.02, 2.4.1). */
const broadcastMs = 100;
/** Longest wait for old input to be thrown away. */
const flushMs = 200;

/** An open medium that carries one request at a time. */
export interface Channel {
  /** Whether late answers can still come in; if so the medium is opened anew after a time-out. */
  readonly reopenAfterTimeout: boolean;
  /** Sends a request; whatever came in before is forgotten. */
  send(unit: number, pdu: Buffer): void;
  /** Throws away what has come in so far, also below the program. */
  flush(): Promise<void>;
  /** What a technician should know about the silence after the last request. */
  hint(): string | undefined;
  /** Whether the medium has vanished without telling. */
  isGone(): boolean;
  close(): void;
}

/** What a channel tells its link. */
export interface ChannelEvents {
  /** An answer of the unit that was asked last; `misfit` says why it is none. */
  answer(pdu: Buffer, misfit?: string): void;
  /** Bytes came that are no answer. */
  noise(): void;
  /** The medium is gone; `how` completes the sentence "<where> …". */
  lost(how: string): void;
}

/** How a link finds, opens and times its medium. */
export interface LineMedium {
  readonly where: string;
  /** Silence between an answer and the next request, ms. */
  readonly gapMs: number;
  readonly afterConnectMs: number;
  readonly maxTimeouts: number;
  /** Longest wait between two tries to open it, ms. */
  readonly longestDelayMs: number;
  /** Whether unit 0 is everybody and nobody answers. */
  readonly hasBroadcast: boolean;
  /** Milliseconds that a request and its answer spend on the way. */
  wireMs(pdu: Buffer): number;
  /** Why this function cannot be sent over the medium; undefined if it can. */
  refuse(functionCode: number): string | undefined;
  /** Rejects with a ModbusError of kind link-down, leaving nothing open. */
  open(events: ChannelEvents, signal: AbortSignal): Promise<Channel>;
}

interface Job extends LinkRequest {
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: ModbusError) => void;
  readonly onAbort: () => void;
}

/**
 * One request at a time over a medium whose answers carry no number (docs/adr/0013). What protects
 * the values: after a time-out its unit is left alone until a late answer has had its time, while
 * the other units go on, and old input is thrown away before each request.
 */
export class LineLink implements Link {
  readonly #host: DriverHost;
  readonly #medium: LineMedium;
  readonly #closing = new AbortController();
  readonly #delay: ReconnectDelay;
  readonly #queue: Job[] = [];
  /** Monotonic time until which a unit is left alone. */
  readonly #held = new Map<number, number>();
  readonly #times = new AnswerTimes();
  #counts = noCounts(this.#times);
  #channel: Channel | undefined;
  #opening: Promise<void> | undefined;
  #current: Job | undefined;
  /** Not sent yet: old input is being thrown away. */
  #flushing = false;
  #everOpen = false;
  #onDemand = false;
  #answers = 0;
  #timeoutsInRow = 0;
  /** Something came that was not asked for. */
  #dirty = false;
  #notBefore = 0;
  #lastUse = Number.NEGATIVE_INFINITY;
  /** The unit that was asked last, and when. */
  #asked = { unit: 0, at: 0 };
  #deadline: Disposable | undefined;
  #wait: Disposable | undefined;

  constructor(host: DriverHost, medium: LineMedium) {
    this.#host = host;
    this.#medium = medium;
    this.#delay = new ReconnectDelay(Math.random, medium.longestDelayMs);
  }

  get state(): Link['state'] {
    if (this.#closing.signal.aborted) return 'closed';
    if (this.#channel !== undefined) return 'open';
    return this.#opening === undefined ? 'down' : 'opening';
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#connect(AbortSignal.any([signal, this.#closing.signal]), false);
    if (this.#closing.signal.aborted) throw closedError();
  }

  request(request: LinkRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) return reject(closedError());
      if (request.signal.aborted) return reject(abortError(request.signal));
      const why = this.#refusal(request);
      if (why !== undefined) return reject(why);
      const job: Job = { ...request, resolve, reject, onAbort: () => this.#giveUp(job) };
      request.signal.addEventListener('abort', job.onAbort, { once: true });
      this.#queue.push(job);
      this.#pump();
    });
  }

  takeCounts(): LinkCounts {
    const counts = this.#counts;
    this.#counts = noCounts(this.#times);
    return counts;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#lose(closedError());
    this.#rejectQueue(closedError());
    this.#stopTimers();
    await this.#opening;
  }

  #refusal({ unit, pdu }: LinkRequest): ModbusError | undefined {
    if (this.#queue.length >= longestQueue) {
      return new ModbusError('busy', `${longestQueue} requests wait on this link already`);
    }
    const functionCode = pdu[0] ?? 0;
    const why = this.#medium.refuse(functionCode);
    if (why !== undefined) return new ModbusError('not-supported', why);
    const writes = [5, 6, 15, 16, 22].includes(functionCode);
    if (unit === 0 && this.#medium.hasBroadcast && !writes) {
      return new ModbusError('bad-address', 'unit 0 is everybody on a line and answers nothing');
    }
    return undefined;
  }

  #pump(): void {
    if (this.#current !== undefined || this.#queue.length === 0) return;
    const channel = this.#channel;
    if (channel === undefined) {
      this.#reopen();
      return;
    }
    const now = this.#host.monotonic();
    const place = this.#queue.findIndex(({ unit }) => (this.#held.get(unit) ?? 0) <= now);
    const job = this.#queue[place];
    if (job === undefined) {
      this.#pumpIn(Math.min(...this.#queue.map(({ unit }) => this.#held.get(unit) ?? 0)) - now);
      return;
    }
    const gap = Math.max(this.#medium.gapMs, job.interRequestMs);
    const wait = Math.max(this.#notBefore, this.#lastUse + gap) - now;
    if (wait > 0) {
      this.#pumpIn(wait);
      return;
    }
    this.#queue.splice(place, 1);
    this.#held.delete(job.unit);
    this.#current = job;
    if (this.#dirty) this.#flush(channel, job);
    else this.#send(channel, job);
  }

  #pumpIn(ms: number): void {
    this.#wait?.[Symbol.dispose]();
    this.#wait = this.#host.setTimeout(() => this.#pump(), Math.max(1, Math.ceil(ms)));
  }

  #flush(channel: Channel, job: Job): void {
    this.#flushing = true;
    let done = false;
    const goOn = () => {
      if (done) return;
      done = true;
      timer[Symbol.dispose]();
      this.#flushing = false;
      if (this.#channel !== channel || this.#current !== job) return;
      this.#dirty = false;
      this.#send(channel, job);
    };
    const timer = this.#host.setTimeout(goOn, flushMs);
    channel.flush().then(goOn, goOn);
  }

  #send(channel: Channel, job: Job): void {
    const now = this.#host.monotonic();
    this.#lastUse = now;
    this.#asked = { unit: job.unit, at: now };
    this.#counts.requests += 1;
    const isBroadcast = job.unit === 0 && this.#medium.hasBroadcast;
    const ms = this.#medium.wireMs(job.pdu) + (isBroadcast ? broadcastMs : job.timeoutMs);
    this.#deadline = this.#host.setTimeout(
      () => (isBroadcast ? this.#settle(job).resolve(Buffer.alloc(0)) : this.#expire(channel, job)),
      Math.ceil(ms),
    );
    channel.send(job.unit, job.pdu);
  }

  #onAnswer(pdu: Buffer, misfit: string | undefined): void {
    this.#lastUse = this.#host.monotonic();
    this.#times.add(this.#asked.unit, this.#lastUse - this.#asked.at);
    const job = this.#current;
    if (job === undefined || this.#flushing) {
      this.#onLate();
      return;
    }
    this.#timeoutsInRow = 0;
    if (misfit === undefined) {
      this.#answers += 1;
      this.#delay.succeeded();
      this.#settle(job).resolve(pdu);
      return;
    }
    this.#counts.badFrames += 1;
    // The true answer may still come, and would be taken for that of the next request.
    this.#hold(job);
    const message = `unit ${job.unit} at ${this.#medium.where} answered with ${misfit}`;
    this.#settle(job).reject(new ModbusError('bad-response', message));
  }

  #onLate(): void {
    this.#counts.late += 1;
    this.#timeoutsInRow = 0;
    this.#dirty = true;
  }

  #expire(channel: Channel, job: Job): void {
    this.#counts.timeouts += 1;
    this.#timeoutsInRow += 1;
    this.#hold(job);
    const { where, maxTimeouts } = this.#medium;
    const hint = channel.hint();
    const error = new ModbusError(
      'timeout',
      `unit ${job.unit} at ${where} did not answer within ${job.timeoutMs} ms${hint === undefined ? '' : `; ${hint}`}`,
    );
    if (channel.isGone()) {
      this.#lose(new ModbusError('link-down', `${where} was unplugged`));
    } else if (this.#timeoutsInRow >= maxTimeouts || channel.reopenAfterTimeout) {
      this.#lose(error);
    } else {
      this.#settle(job).reject(error);
    }
  }

  /** A late answer has as long again as the request had. */
  #hold(job: Job): void {
    this.#dirty = true;
    const ms = job.timeoutMs + this.#medium.wireMs(job.pdu);
    this.#held.set(job.unit, this.#host.monotonic() + ms);
  }

  /** The current request is over; the next one has its turn. */
  #settle(job: Job): Job {
    this.#deadline?.[Symbol.dispose]();
    this.#current = undefined;
    this.#lastUse = this.#host.monotonic();
    job.signal.removeEventListener('abort', job.onAbort);
    queueMicrotask(() => this.#pump());
    return job;
  }

  #giveUp(job: Job): void {
    const place = this.#queue.indexOf(job);
    if (place >= 0) this.#queue.splice(place, 1);
    // One that is under way keeps its turn: the unit is busy with it.
    const { kind, message } = abortError(job.signal);
    job.reject(new ModbusError(kind, message, { unsent: place >= 0 }));
  }

  #reopen(): void {
    if (this.#opening !== undefined) return;
    const wait = this.#delay.remaining(this.#host.monotonic());
    if (wait > 0) {
      const seconds = Math.ceil(wait / 1000);
      const message = `${this.#medium.where} is not open; the next try is in ${seconds} s`;
      this.#rejectQueue(new ModbusError('link-down', message, { retryAfterMs: Math.ceil(wait) }));
      return;
    }
    this.#opening = this.#connect(this.#closing.signal, true).then(
      () => {
        this.#opening = undefined;
        this.#pump();
      },
      (error: ModbusError) => {
        this.#opening = undefined;
        this.#delay.failed(this.#host.monotonic());
        this.#rejectQueue(this.#closing.signal.aborted ? closedError() : error);
      },
    );
  }

  async #connect(signal: AbortSignal, onDemand: boolean): Promise<void> {
    let channel: Channel | undefined;
    const isCurrent = () => channel !== undefined && this.#channel === channel;
    let lostEarly: string | undefined;
    channel = await this.#medium.open(
      {
        answer: (pdu, misfit) => {
          if (isCurrent()) this.#onAnswer(pdu, misfit);
        },
        noise: () => {
          if (!isCurrent()) return;
          this.#counts.badFrames += 1;
          this.#dirty = true;
        },
        lost: (how) => {
          lostEarly ??= how;
          if (isCurrent()) this.#lose(this.#lostError(how));
        },
      },
      signal,
    );
    if (this.#closing.signal.aborted || this.#channel !== undefined) {
      channel.close();
      return;
    }
    if (lostEarly !== undefined) {
      channel.close();
      throw this.#lostError(lostEarly);
    }
    if (this.#everOpen) this.#counts.reconnects += 1;
    this.#everOpen = true;
    this.#channel = channel;
    this.#onDemand = onDemand;
    this.#answers = 0;
    this.#dirty = false;
    this.#notBefore = this.#host.monotonic() + this.#medium.afterConnectMs;
  }

  #lostError(how: string): ModbusError {
    return new ModbusError('link-down', `${this.#medium.where} ${how}`);
  }

  /** Gives the medium up, with the request that is under way; the queue stays for a new one. */
  #lose(why: ModbusError): void {
    const channel = this.#channel;
    if (channel === undefined) return;
    this.#channel = undefined;
    this.#stopTimers();
    channel.close();
    this.#timeoutsInRow = 0;
    // A silent device is the business of the host's breaker; here only what does not open counts.
    if (this.#answers === 0 && why.kind !== 'timeout') this.#delay.failed(this.#host.monotonic());
    const stale = why.kind === 'link-down' && (this.#answers > 0 || !this.#onDemand);
    const job = this.#current;
    if (job === undefined) {
      // Those that wait for their turn have lost the timer that would have begun it.
      if (!this.#closing.signal.aborted) this.#pump();
      return;
    }
    this.#settle(job).reject(new ModbusError(why.kind, why.message, { stale }));
  }

  #rejectQueue(why: ModbusError): void {
    const { retryAfterMs } = why;
    const error = new ModbusError(why.kind, why.message, {
      unsent: true,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
    for (const job of this.#queue.splice(0)) {
      job.signal.removeEventListener('abort', job.onAbort);
      job.reject(error);
    }
  }

  #stopTimers(): void {
    this.#deadline?.[Symbol.dispose]();
    this.#wait?.[Symbol.dispose]();
  }
}

function closedError(): ModbusError {
  return new ModbusError('closed', 'the link was closed');
}
