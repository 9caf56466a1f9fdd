import { connect, type Socket } from 'node:net';
import type { DriverError, DriverHost } from '#driver';

/** The `config` of a link, valid against link.schema.json. */
export interface LineLink {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs?: number;
}

/** Longest answer, in bytes: what comes from a device has a limit. */
const maxLine = 256;

/**
 * One TCP connection on which one line is asked and one is answered. The answers carry no number,
 * so a conversation that was broken off – by a timeout, an abort, a strange byte – is never gone
 * on with: the next line could be the late answer to the last question. The connection is ended,
 * and the next question opens another one.
 */
export class LineConnection {
  readonly #host: DriverHost;
  readonly #link: LineLink;
  readonly #closing = new AbortController();
  #socket: Socket | undefined;
  /** Takes what arrives, while a question is open. */
  #listener: ((chunk: Buffer) => void) | undefined;

  constructor(host: DriverHost, link: LineLink) {
    this.#host = host;
    this.#link = link;
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** Rejects with a DriverError, leaving nothing open. */
  open(signal: AbortSignal): Promise<void> {
    return this.#bounded(signal, 'link-down', (done, fail) => {
      const { host, port } = this.#link;
      const socket = connect({ host, port, noDelay: true });
      this.#socket = socket;
      socket.once('connect', done);
      socket.on('error', (why) => fail('link-down', `cannot reach ${this.#where}: ${why.message}`));
      socket.on('close', () => {
        if (this.#socket === socket) this.#drop();
      });
      socket.on('data', (chunk: Buffer) => {
        // What nobody asked for would be taken for the answer to the next question.
        if (this.#listener === undefined) socket.destroy();
        else this.#listener(chunk);
      });
      return () => socket.off('connect', done);
    });
  }

  /** Sends one line and resolves with the one that answers it. */
  async ask(line: string, signal: AbortSignal): Promise<string> {
    if (this.#socket === undefined) await this.open(signal);
    return await this.#bounded<string>(signal, 'timeout', (done, fail) => {
      const socket = this.#socket as Socket;
      let answer = '';
      this.#listener = (chunk) => {
        answer += chunk.toString('latin1');
        const end = answer.indexOf('\n');
        if (end === answer.length - 1) done(answer.slice(0, end).trim());
        else if (end >= 0) fail('bad-response', `${this.#where} answered more than one line`);
        else if (answer.length > maxLine) fail('bad-response', `${this.#where} sends no line end`);
      };
      const onClose = () => fail('link-down', `${this.#where} closed the connection`);
      socket.once('close', onClose);
      socket.write(`${line}\n`);
      return () => {
        this.#listener = undefined;
        socket.off('close', onClose);
      };
    });
  }

  /** Open calls reject with `closed`. May be called twice. */
  close(): void {
    this.#closing.abort();
    this.#drop();
  }

  get #where(): string {
    return `${this.#link.host}:${this.#link.port}`;
  }

  #drop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  /** A wait with an end: done, failed, too late, called off or closed. All but the first end the connection. */
  #bounded<Result>(
    signal: AbortSignal,
    late: DriverError['kind'],
    begin: (
      done: (result: Result) => void,
      fail: (kind: DriverError['kind'], message: string) => void,
    ) => () => void,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { timeoutMs = 1_000 } = this.#link;
      const either = [signal, this.#closing.signal];
      if (either.some(({ aborted }) => aborted)) return reject(calledOff);
      let settled = false;
      const settle = () => {
        settled = true;
        timer[Symbol.dispose]();
        for (const each of either) each.removeEventListener('abort', onAbort);
        end();
      };
      const done = (result: Result) => {
        settle();
        resolve(result);
      };
      const fail = (kind: DriverError['kind'], message: string) => {
        if (settled) return;
        settle();
        this.#drop();
        reject({ kind, message } satisfies DriverError);
      };
      const onAbort = () => fail(calledOff.kind, calledOff.message);
      const timer = this.#host.setTimeout(
        () => fail(late, `${this.#where} did not answer within ${timeoutMs} ms`),
        timeoutMs,
      );
      for (const each of either) each.addEventListener('abort', onAbort, { once: true });
      const end = begin(done, fail);
    });
  }
}

const calledOff: DriverError = { kind: 'closed', message: 'the call was called off' };
