import type { Socket } from 'node:net';
import type { DriverHost } from '#driver';
import { AnswerTimes } from './answer-times.ts';
import { type Link, type LinkCounts, type LinkRequest, noCounts } from './link.ts';
import { type MbapFrame, MbapStream, mbapFrame } from './mbap.ts';
import { abortError, closedError, ModbusError, unsent } from './modbus-error.ts';
import { openSocket } from './open-socket.ts';
import { misfit } from './pdu.ts';
import { ReconnectDelay } from './reconnect-delay.ts';
import type { TcpSettings } from './settings.ts';
import { tlsWords } from './tls-socket.ts';
import { TransactionIds } from './transaction-ids.ts';

/** Requests that may wait for their turn; the host never comes near it. */
const longestQueue = 1024;
/** Answers in a row that nobody asked for, before the connection is given up. */
const mostForeign = 8;

interface Job extends LinkRequest {
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: ModbusError) => void;
  readonly onAbort: () => void;
  transaction: number;
  sentAt: number;
  deadline: number;
}

/**
 * Modbus TCP over one connection, with framing and matching of our own (docs/adr/0010).
 *
 * A connection that is lost is opened again by the next request; the host need not know. A request
 * whose caller gave up keeps its place in the window until it is answered or timed out, because the
 * device is still busy with it.
 */
export class TcpLink implements Link {
  readonly #host: DriverHost;
  readonly #settings: TcpSettings;
  readonly #isShared: () => boolean;
  readonly #openSocket: (signal: AbortSignal) => Promise<Socket>;
  readonly #closing = new AbortController();
  readonly #ids = new TransactionIds();
  readonly #delay = new ReconnectDelay();
  readonly #queue: Job[] = [];
  readonly #pending = new Map<number, Job>();
  readonly #times = new AnswerTimes();
  #counts = noCounts(this.#times);
  #socket: Socket | undefined;
  #opening: Promise<void> | undefined;
  #everOpen = false;
  /** Opened for a request that waits, not ahead of time. */
  #onDemand = false;
  /** Ended on purpose; the next request opens it again. */
  #isResting = false;
  #restTimer: Disposable | undefined;
  #answers = 0;
  #timeoutsInRow = 0;
  #foreignInRow = 0;
  /** Monotonic time before which nothing is sent. */
  #quietUntil = 0;
  /** A request whose late answer is waited for before the next one is sent. */
  #heldFor: number | undefined;
  #lastUse = Number.NEGATIVE_INFINITY;
  #deadlineAt = Number.POSITIVE_INFINITY;
  #deadlineTimer: Disposable | undefined;
  #pumpTimer: Disposable | undefined;

  /**
   * `isShared` says whether several units are behind the connection; `open` makes a connection of
   * another kind, such as TLS.
   */
  constructor(
    host: DriverHost,
    settings: TcpSettings,
    isShared: () => boolean,
    open = (signal: AbortSignal): Promise<Socket> => openSocket(host, settings, signal),
  ) {
    this.#host = host;
    this.#settings = settings;
    this.#isShared = isShared;
    this.#openSocket = open;
  }

  get state(): Link['state'] {
    if (this.#closing.signal.aborted) return 'closed';
    if (this.#socket !== undefined || this.#isResting) return 'open';
    return this.#opening === undefined ? 'down' : 'opening';
  }

  async open(signal: AbortSignal): Promise<void> {
    const socket = await this.#openSocket(AbortSignal.any([signal, this.#closing.signal]));
    this.#adopt(socket, false);
    if (this.#closing.signal.aborted) throw closedError();
  }

  request(request: LinkRequest): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#closing.signal.aborted) return reject(unsent(closedError()));
      if (request.signal.aborted) return reject(unsent(abortError(request.signal)));
      if (this.#queue.length >= longestQueue) {
        return reject(
          unsent(new ModbusError('busy', `${longestQueue} requests wait on this link already`)),
        );
      }
      const job: Job = {
        ...request,
        resolve,
        reject,
        onAbort: () => this.#giveUp(job),
        transaction: -1,
        sentAt: 0,
        deadline: Number.POSITIVE_INFINITY,
      };
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

  rest(): void {
    if (this.#socket === undefined || this.#pending.size > 0 || this.#queue.length > 0) return;
    this.#isResting = true;
    this.#everOpen = false;
    this.#lose(new ModbusError('closed', 'the connection is not needed now'));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#lose(closedError());
    this.#rejectQueue(closedError());
    this.#stopTimers();
    await this.#opening;
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#pending.size < this.#settings.window) {
      if (this.#socket === undefined) {
        this.#reopen();
        return;
      }
      if (this.#ids.crowded && this.#pending.size === 0) {
        this.#lose(new ModbusError('link-down', `${this.#where} left too much unanswered`));
        return;
      }
      const job = this.#queue[0] as Job;
      const wait =
        Math.max(this.#quietUntil, this.#lastUse + job.interRequestMs) - this.#host.monotonic();
      if (wait > 0) {
        this.#pumpTimer?.[Symbol.dispose]();
        this.#pumpTimer = this.#host.setTimeout(() => this.#pump(), Math.ceil(wait));
        return;
      }
      this.#queue.shift();
      this.#send(job, this.#socket);
    }
  }

  #send(job: Job, socket: Socket): void {
    const now = this.#host.monotonic();
    job.transaction = this.#ids.take(this.#pending);
    job.sentAt = now;
    job.deadline = now + job.timeoutMs;
    this.#lastUse = now;
    this.#restTimer?.[Symbol.dispose]();
    this.#pending.set(job.transaction, job);
    this.#counts.requests += 1;
    this.#watch(job.deadline);
    socket.write(mbapFrame(job.transaction, job.unit, job.pdu));
  }

  #onFrame({ transaction, unit, pdu }: MbapFrame): void {
    const job = this.#askerOf(transaction);
    if (job === undefined) {
      this.#onUnexpected(transaction, unit);
      return;
    }
    this.#pending.delete(job.transaction);
    this.#timeoutsInRow = 0;
    this.#foreignInRow = 0;
    this.#lastUse = this.#host.monotonic();
    const isItsUnit = unit === job.unit || job.ignoreUnitId === true;
    const why = isItsUnit ? misfit(job.pdu, pdu) : `unit ${unit} instead of ${job.unit}`;
    if (why === undefined) {
      this.#answers += 1;
      this.#delay.succeeded();
      this.#times.add(job.unit, this.#lastUse - job.sentAt);
      leave(job).resolve(pdu);
    } else {
      // The true answer may still come; its id must not be given to another request.
      this.#ids.quarantine(job.transaction, job.sentAt);
      this.#counts.badFrames += 1;
      const error = new ModbusError(
        'bad-response',
        `unit ${job.unit} at ${this.#where} answered with ${why}`,
      );
      leave(job).reject(error);
      if (this.#settings.ignoreTransactionId) this.#lose(error);
    }
    this.#pump();
    this.#restSoon();
  }

  /** Whose answer it is: a device that mixes up its ids has only one request to answer. */
  #askerOf(transaction: number): Job | undefined {
    if (!this.#settings.ignoreTransactionId) return this.#pending.get(transaction);
    return this.#pending.values().next().value;
  }

  #restSoon(): void {
    if (this.#settings.idleCloseMs === 0) return;
    this.#restTimer?.[Symbol.dispose]();
    this.#restTimer = this.#host.setTimeout(() => this.rest(), this.#settings.idleCloseMs);
  }

  #onUnexpected(transaction: number, unit: number): void {
    const sentAt = this.#ids.release(transaction);
    if (sentAt !== undefined) {
      this.#counts.late += 1;
      this.#times.add(unit, this.#host.monotonic() - sentAt);
      this.#timeoutsInRow = 0;
      this.#foreignInRow = 0;
      if (this.#heldFor === transaction) this.#endHold();
      return;
    }
    this.#counts.foreign += 1;
    this.#foreignInRow += 1;
    if (this.#foreignInRow > mostForeign) {
      this.#lose(
        new ModbusError('bad-response', `${this.#where} keeps answering what nobody asked`),
      );
    }
  }

  #endHold(): void {
    this.#heldFor = undefined;
    this.#quietUntil = 0;
    this.#pump();
  }

  #giveUp(job: Job): void {
    const place = this.#queue.indexOf(job);
    if (place >= 0) this.#queue.splice(place, 1);
    const error = abortError(job.signal);
    job.reject(place >= 0 ? unsent(error) : error);
  }

  /** One timer for all requests: a timer for each would cost more than the request. */
  #watch(deadline: number): void {
    if (deadline >= this.#deadlineAt) return;
    this.#deadlineAt = deadline;
    this.#deadlineTimer?.[Symbol.dispose]();
    this.#deadlineTimer = this.#host.setTimeout(
      () => this.#onDeadline(),
      Math.max(1, Math.ceil(deadline - this.#host.monotonic())),
    );
  }

  #onDeadline(): void {
    this.#deadlineAt = Number.POSITIVE_INFINITY;
    const now = this.#host.monotonic();
    for (const job of [...this.#pending.values()]) {
      if (job.deadline <= now && this.#pending.get(job.transaction) === job) {
        this.#expire(job, now);
      }
    }
    for (const job of this.#pending.values()) this.#watch(job.deadline);
    this.#pump();
  }

  #expire(job: Job, now: number): void {
    this.#pending.delete(job.transaction);
    this.#ids.quarantine(job.transaction, job.sentAt);
    this.#counts.timeouts += 1;
    this.#timeoutsInRow += 1;
    const error = new ModbusError(
      'timeout',
      `unit ${job.unit} at ${this.#where} did not answer within ${job.timeoutMs} ms`,
    );
    leave(job).reject(error);
    // Without ids nothing but a new connection keeps the late answer from the next request.
    if (this.#timeoutsInRow >= this.#settings.maxTimeouts || this.#settings.ignoreTransactionId) {
      this.#lose(error);
    } else if (this.#settings.window === 1 && this.#isShared()) {
      // A gateway to a serial line is still waiting for this unit: the next request would only
      // queue up behind it and time out for something its unit did not do.
      this.#heldFor = job.transaction;
      this.#quietUntil = now + job.timeoutMs;
    }
  }

  #reopen(): void {
    if (this.#opening !== undefined) return;
    const wait = this.#delay.remaining(this.#host.monotonic());
    if (wait > 0) {
      const error = new ModbusError(
        'link-down',
        `no connection to ${this.#where}; the next try is in ${Math.ceil(wait / 1000)} s`,
        { retryAfterMs: Math.ceil(wait) },
      );
      this.#rejectQueue(error);
      return;
    }
    this.#opening = this.#openSocket(this.#closing.signal).then(
      (socket) => {
        this.#opening = undefined;
        this.#adopt(socket, true);
        this.#pump();
      },
      (error: ModbusError) => {
        this.#opening = undefined;
        this.#isResting = false;
        this.#delay.failed(this.#host.monotonic());
        this.#rejectQueue(this.#closing.signal.aborted ? closedError() : error);
      },
    );
  }

  #adopt(socket: Socket, onDemand: boolean): void {
    if (this.#closing.signal.aborted || this.#socket !== undefined) {
      socket.destroy();
      return;
    }
    this.#isResting = false;
    if (this.#everOpen) this.#counts.reconnects += 1;
    this.#everOpen = true;
    this.#socket = socket;
    this.#onDemand = onDemand;
    this.#answers = 0;
    this.#quietUntil = this.#host.monotonic() + this.#settings.afterConnectMs;
    const stream = new MbapStream();
    const isCurrent = () => this.#socket === socket;
    const lose = (how: string) => {
      if (isCurrent()) this.#lose(new ModbusError('link-down', `${this.#where} ${how}`));
    };
    socket.on('data', (chunk: Buffer) => {
      if (!isCurrent()) return;
      const framed = stream.push(chunk, (frame) => {
        this.#onFrame(frame);
        return isCurrent();
      });
      if (framed) return;
      this.#counts.badFrames += 1;
      this.#lose(
        new ModbusError('bad-response', `${this.#where} sent something that is not Modbus TCP`),
      );
    });
    socket.on('end', () => lose('closed the connection'));
    socket.on('error', (error) => lose(`broke the connection (${tlsWords(error)})`));
    socket.on('close', () => lose('closed the connection'));
  }

  /** Gives the connection up, with everything that waits on it; the queue stays for a new one. */
  #lose(why: ModbusError): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.destroy();
    const stale = why.kind === 'link-down' && (this.#answers > 0 || !this.#onDemand);
    const error = new ModbusError(why.kind, why.message, { stale });
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#ids.clear();
    this.#timeoutsInRow = 0;
    this.#foreignInRow = 0;
    this.#heldFor = undefined;
    this.#quietUntil = 0;
    this.#stopTimers();
    // A silent device is the business of the host's breaker; here only what refuses to talk counts.
    if (this.#answers === 0 && why.kind !== 'timeout' && !this.#isResting) {
      this.#delay.failed(this.#host.monotonic());
    }
    for (const job of pending) leave(job).reject(error);
    if (!this.#closing.signal.aborted) this.#pump();
  }

  #rejectQueue(error: ModbusError): void {
    for (const job of this.#queue.splice(0)) leave(job).reject(unsent(error));
  }

  #stopTimers(): void {
    this.#deadlineTimer?.[Symbol.dispose]();
    this.#pumpTimer?.[Symbol.dispose]();
    this.#restTimer?.[Symbol.dispose]();
    this.#deadlineAt = Number.POSITIVE_INFINITY;
  }

  get #where(): string {
    return this.#settings.where;
  }
}

function leave(job: Job): Job {
  job.signal.removeEventListener('abort', job.onAbort);
  return job;
}
