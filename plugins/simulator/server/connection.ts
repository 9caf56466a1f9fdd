import type { Socket } from 'node:net';
import type { Delivery } from '../faults/delivery.ts';
import type { Decision } from '../faults/injector.ts';
import { type Frame, FrameReader } from '../modbus/frame.ts';
import type { Line } from './line.ts';
import { type Runtime, Timers } from './runtime.ts';

/** Requests of one connection that may wait for their answers; beyond it nothing more is read. */
const mostPending = 256;
/** A frame that is begun must be complete within this time. */
const frameTimeoutMs = 10_000;
/** A client must take its answers within this time. */
const stallTimeoutMs = 10_000;

/** An answer, and how long the line is held before it. */
export interface Reply {
  readonly delivery: Delivery;
  readonly holdMs: number;
}

/** What a connection asks of its listener. */
export interface Exchange {
  readonly turnaroundMs: number;
  readonly idleTimeoutMs: number;
  received(): void;
  decide(frame: Frame): Decision;
  reply(frame: Frame, decision: Decision): Reply;
  /** The client broke a rule and its connection was ended. */
  cutOff(why: string): void;
}

/** One client: cuts its stream into requests, hands them to the line, sends what comes back. */
export class Connection {
  readonly #socket: Socket;
  readonly #exchange: Exchange;
  readonly #line: Line;
  readonly #runtime: Runtime;
  readonly #timers: Timers;
  readonly #reader = new FrameReader();
  #pending = 0;
  #paused = false;
  #reading = false;
  #over = false;
  #lastHeard = 0;
  /** When the frame that is not complete yet began. */
  #partialSince: number | undefined;
  /** When the client stopped taking its answers. */
  #stalledSince: number | undefined;

  constructor(socket: Socket, exchange: Exchange, line: Line, runtime: Runtime) {
    this.#socket = socket;
    this.#exchange = exchange;
    this.#line = line;
    this.#runtime = runtime;
    this.#timers = new Timers(runtime);
  }

  /** `ended` is called once, when the socket is gone. */
  start(ended: () => void): void {
    this.#lastHeard = this.#runtime.monotonic();
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk: Buffer) => this.#heard(chunk));
    this.#socket.on('drain', () => this.#continue());
    // A client may vanish at any time; 'close' follows and does what is to be done.
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#end();
      ended();
    });
  }

  close(): void {
    this.#end();
    this.#socket.destroy();
  }

  /** Called about once a second: ends the connection of a client that wastes our time. */
  inspect(): void {
    const now = this.#runtime.monotonic();
    this.#stalledSince = this.#socket.writableNeedDrain ? (this.#stalledSince ?? now) : undefined;
    if (this.#partialSince !== undefined && now - this.#partialSince > frameTimeoutMs) {
      this.#cut('a request was begun and not completed');
    } else if (this.#stalledSince !== undefined && now - this.#stalledSince > stallTimeoutMs) {
      this.#cut('the client does not take its answers');
    } else if (this.#pending === 0 && now - this.#lastHeard > this.#exchange.idleTimeoutMs) {
      this.#cut('the client has said nothing for too long');
    }
  }

  #heard(chunk: Buffer): void {
    if (this.#over) return;
    this.#lastHeard = this.#runtime.monotonic();
    if (this.#reader.push(chunk)) this.#readFrames();
    else this.#cut('the client sends faster than it may');
  }

  #readFrames(): void {
    if (this.#reading) return;
    this.#reading = true;
    // One write for all answers to the requests of one segment.
    this.#socket.cork();
    let complete = 0;
    while (!this.#over && !this.#full()) {
      const frame = this.#reader.next();
      if (frame === undefined) break;
      if (frame === 'broken') {
        this.#cut('what the client sends is not Modbus/TCP');
        break;
      }
      complete += 1;
      this.#take(frame);
    }
    this.#socket.uncork();
    this.#reading = false;
    if (this.#over) return;
    this.#paused = this.#full();
    if (this.#paused) this.#socket.pause();
    this.#notePartialFrame(complete);
  }

  #notePartialFrame(complete: number): void {
    // Bytes that we have not looked at yet are our delay, not the client's.
    if (this.#reader.waiting === 0 || this.#paused) this.#partialSince = undefined;
    else if (complete > 0) this.#partialSince = this.#lastHeard;
    else this.#partialSince ??= this.#lastHeard;
  }

  #full(): boolean {
    return this.#pending >= mostPending || this.#socket.writableNeedDrain;
  }

  #continue(): void {
    if (this.#over || !this.#paused || this.#full()) return;
    this.#paused = false;
    this.#readFrames();
    if (!this.#over && !this.#paused) this.#socket.resume();
  }

  #take(frame: Frame): void {
    this.#pending += 1;
    this.#exchange.received();
    this.#line.take((done) => {
      if (this.#over) done();
      else if (this.#exchange.turnaroundMs > 0) {
        this.#hold(this.#exchange.turnaroundMs, done, () => this.#carryOut(frame, done));
      } else this.#carryOut(frame, done);
    });
  }

  #carryOut(frame: Frame, done: () => void): void {
    const decision = this.#exchange.decide(frame);
    const answer = () => {
      const { delivery, holdMs } = this.#exchange.reply(frame, decision);
      if (holdMs > 0) this.#hold(holdMs, done, () => this.#deliver(delivery, done));
      else this.#deliver(delivery, done);
    };
    if (decision.slowMs > 0) this.#hold(decision.slowMs, done, answer);
    else answer();
  }

  /** Keeps the line busy; if the client goes meanwhile, the line is free for the others. */
  #hold(ms: number, done: () => void, then: () => void): void {
    this.#line.after(ms, () => {
      if (this.#over) done();
      else then();
    });
  }

  #deliver(delivery: Delivery, done: () => void): void {
    if (delivery.lateMs > 0) {
      this.#timers.after(delivery.lateMs, () => this.#send(delivery, 0, () => {}));
      done();
    } else this.#send(delivery, 0, done);
  }

  #send(delivery: Delivery, from: number, done: () => void): void {
    const { segments, gapMs } = delivery;
    for (let n = from; n < segments.length; n++) {
      const segment = segments[n];
      if (segment !== undefined) this.#socket.write(segment);
      if (gapMs > 0 && n + 1 < segments.length) {
        this.#hold(gapMs, done, () => this.#send(delivery, n + 1, done));
        return;
      }
    }
    this.#pending -= 1;
    if (delivery.afterwards === 'stay') this.#continue();
    else this.#finish(delivery.afterwards);
    done();
  }

  #finish(how: 'close' | 'reset'): void {
    this.#end();
    if (how === 'reset') this.#socket.resetAndDestroy();
    else this.#socket.destroySoon();
  }

  #cut(why: string): void {
    if (this.#over) return;
    this.#exchange.cutOff(why);
    this.close();
  }

  #end(): void {
    this.#over = true;
    this.#timers.clear();
  }
}
