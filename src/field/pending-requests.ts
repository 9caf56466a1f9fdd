import type { ActionOutput, ConfigIssue, DeviceConfig, DiscoveredDevice, Json } from '#driver';
import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';
import type { RawResult } from '../model/field.ts';
import type { FromDriver, ToDriver } from './host/messages.ts';
import { isResult } from './readings-intake.ts';

type Answer = Extract<FromDriver, { readonly id: number }>;

interface Pending {
  take(answer: Answer): void;
  fail(error: unknown): void;
}

/** A request without its id. */
type Request<Kind extends ToDriver['t']> = WithoutId<
  Extract<ToDriver, { readonly t: Kind; readonly id: number }>
>;
/** Omit would lose what tells the members of a union apart. */
type WithoutId<Message> = Message extends unknown ? Omit<Message, 'id'> : never;

/** What an action is asked for. */
export type ActionCall = Request<'action'>;

/** How much longer than the driver itself the kernel waits, milliseconds. */
const graceMs = 2_500;
/** Length of the JSON of some devices that leaves room for characters of several bytes. */
const portionLength = 262_144;
/** Streamed things that may wait for whoever reads them. */
const maxWaiting = 10_000;

/** What was asked of a driver process and is not answered yet. Every wait has an end. */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #send: (message: ToDriver) => void;
  readonly #pending = new Map<number, Pending>();
  #next = 1;

  constructor(clock: Clock, send: (message: ToDriver) => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Reads points now. Rejects READ_FAILED or DEADLINE; a point that failed is a bad result. */
  async read(request: Request<'read'>, signal: AbortSignal): Promise<RawResult[]> {
    const answer = await this.#ask(request, request.deadlineMs + graceMs, signal);
    if (answer.t !== 'result' || answer.results === undefined) throw failed(answer);
    const results = answer.results as readonly RawResult[];
    if (!Array.isArray(results) || !results.every(isResult)) throw failed(answer);
    return [...results];
  }

  async validate(
    request: Request<'validate'>,
    deadlineMs: number,
  ): Promise<readonly ConfigIssue[]> {
    const [last = [], ...others] = framefuls(request.devices).reverse();
    const parts = others.reverse();
    const answer = await this.#ask({ ...request, devices: last }, deadlineMs, undefined, (id) => {
      for (const devices of parts) this.#send({ ...request, id, devices, more: true });
    });
    if (answer.t !== 'issues' || !Array.isArray(answer.issues)) throw failed(answer);
    return answer.issues;
  }

  /** Streams what an action gives; ending the iteration cancels it. */
  action(request: Request<'action'>, signal: AbortSignal): AsyncIterable<ActionOutput> {
    return this.#stream(request, signal, (answer) =>
      answer.t === 'output' ? answer.output : undefined,
    );
  }

  /** Streams the devices that are found on a link. */
  discover(link: string, options: Json, signal: AbortSignal): AsyncIterable<DiscoveredDevice> {
    return this.#stream({ t: 'discover', link, options }, signal, (answer) =>
      answer.t === 'found' ? answer.device : undefined,
    );
  }

  /** Takes an answer; one that nobody waits for any more is forgotten. */
  take(answer: Answer): void {
    this.#pending.get(answer.id)?.take(answer);
  }

  /** The process is gone. */
  failAll(error: GatewayError): void {
    for (const pending of [...this.#pending.values()]) pending.fail(error);
  }

  #ask(
    request: Request<'read' | 'validate'>,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    before?: (id: number) => void,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        take: (answer) => settle(() => resolve(answer)),
        fail: (error) => settle(() => reject(error)),
      };
      const id = this.#begin(request, pending, before);
      const cancel = (reason: unknown) => {
        this.#send({ t: 'cancel', id });
        settle(() => reject(reason));
      };
      const stop = () => cancel(signal?.reason);
      const timer = this.#clock.setTimeout(
        () => cancel(new GatewayError('DEADLINE', `the driver did not answer in ${deadlineMs} ms`)),
        deadlineMs,
      );
      const settle = (done: () => void) => {
        timer[Symbol.dispose]();
        signal?.removeEventListener('abort', stop);
        this.#pending.delete(id);
        done();
      };
      if (signal?.aborted === true) stop();
      else signal?.addEventListener('abort', stop, { once: true });
    });
  }

  async *#stream<Item>(
    request: Request<'action' | 'discover'>,
    signal: AbortSignal,
    itemOf: (answer: Answer) => Item | undefined,
  ): AsyncGenerator<Item> {
    signal.throwIfAborted();
    const waiting: Item[] = [];
    let end: { readonly error?: unknown } | undefined;
    let wake: (() => void) | undefined;
    const stop = () => finish({ error: signal.reason });
    const finish = (how: { readonly error?: unknown }) => {
      end ??= how;
      wake?.();
    };
    const id = this.#begin(request, {
      take: (answer) => {
        const item = itemOf(answer);
        if (item !== undefined) waiting.push(item);
        if (waiting.length > maxWaiting) {
          finish({ error: new GatewayError('INTERNAL', 'more was found than could be taken') });
        }
        if (answer.t === 'result' || ('error' in answer && answer.error !== undefined)) {
          const code = request.t === 'action' ? 'ACTION_FAILED' : 'READ_FAILED';
          finish({ error: failed(answer, code) });
        } else if ('end' in answer && answer.end === true) finish({});
        wake?.();
      },
      fail: (error) => finish({ error }),
    });
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        while (waiting.length > 0) yield waiting.shift() as Item;
        if (end !== undefined) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (end.error !== undefined) throw end.error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.#pending.delete(id);
      if (end === undefined || end.error !== undefined) this.#send({ t: 'cancel', id });
    }
  }

  /** Throws FrameError when the request does not fit into a frame; then nothing waits for it. */
  #begin(
    request: Request<'read' | 'validate' | 'action' | 'discover'>,
    pending: Pending,
    before?: (id: number) => void,
  ): number {
    const id = this.#next;
    this.#next += 1;
    before?.(id);
    this.#send({ ...request, id } as ToDriver);
    this.#pending.set(id, pending);
    return id;
  }
}

/** Devices in portions of which each fits into a frame, unless a single one is too large. */
function framefuls(devices: readonly DeviceConfig[]): DeviceConfig[][] {
  const portions: DeviceConfig[][] = [];
  let room = 0;
  for (const device of devices) {
    const size = JSON.stringify(device).length;
    if (size > room) {
      portions.push([]);
      room = portionLength;
    }
    portions.at(-1)?.push(device);
    room -= size;
  }
  return portions;
}

function failed(
  answer: Answer,
  code: 'READ_FAILED' | 'ACTION_FAILED' = 'READ_FAILED',
): GatewayError {
  const error = 'error' in answer ? answer.error : undefined;
  // Arguments that only the driver understands, such as an address.
  if (code === 'ACTION_FAILED' && error?.kind === 'bad-address') {
    return new GatewayError('USAGE', error.message);
  }
  return new GatewayError(code, error?.message ?? 'the driver gave no proper answer', {
    facts: { reason: error?.kind ?? 'internal' },
  });
}
