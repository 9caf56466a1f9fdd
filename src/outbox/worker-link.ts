import type { Worker } from 'node:worker_threads';
import { GatewayError } from '../model/errors.ts';
import type { Op, Requests, WorkerReply } from './worker-messages.ts';

interface Waiting {
  resolve(result: unknown): void;
  reject(error: GatewayError): void;
}

/** What went wrong in the worker; `broken` if its file is closed now. */
export class LogFailure extends GatewayError {
  readonly broken: boolean;

  constructor(error: Extract<WorkerReply, { ok: false }>['error'], broken: boolean) {
    const { code, message, retryable, remedy, facts } = error;
    super(code, message, { retryable, remedy, facts });
    this.broken = broken;
  }
}

/** Requests to one worker and their replies. When the worker ends, everything that waits is rejected. */
export class WorkerLink {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended = Promise.withResolvers<void>();
  #lastId = 0;
  #error: unknown;
  #isOver = false;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** `ended` is called once, with the reason, when the worker is gone. */
  listen(ended: (error: GatewayError) => void): void {
    this.#worker.on('message', (reply: WorkerReply) => this.#settle(reply));
    this.#worker.on('error', (error) => {
      this.#error = error;
    });
    this.#worker.on('exit', (code) => {
      this.#isOver = true;
      const error = new GatewayError(
        'OUTBOX_UNAVAILABLE',
        `the outbox worker ended (exit code ${code}${this.#error instanceof Error ? `: ${this.#error.message}` : ''})`,
        { retryable: true, cause: this.#error, remedy: 'It is started again by itself.' },
      );
      const waiting = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const each of waiting) each.reject(error);
      this.#ended.resolve();
      ended(error);
    });
  }

  request<Name extends Op>(
    op: Name,
    body: Requests[Name]['request'],
  ): Promise<Requests[Name]['result']> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) {
        reject(
          new GatewayError('OUTBOX_UNAVAILABLE', 'the outbox worker has ended', {
            retryable: true,
          }),
        );
        return;
      }
      this.#lastId += 1;
      this.#waiting.set(this.#lastId, {
        resolve: (result) => resolve(result as Requests[Name]['result']),
        reject,
      });
      this.#worker.postMessage({ id: this.#lastId, op, body });
    });
  }

  /** Ends the worker; resolves when it is gone and its file is free. */
  async terminate(): Promise<void> {
    if (this.#isOver) return;
    await this.#worker.terminate();
    await this.#ended.promise;
  }

  #settle(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.id);
    if (waiting === undefined) return;
    this.#waiting.delete(reply.id);
    if (reply.ok) waiting.resolve(reply.result);
    else waiting.reject(new LogFailure(reply.error, reply.broken));
  }
}
