import type { DriverHost } from '#driver';
import type { Link, LinkRequest } from './link.ts';
import type { ModbusError } from './modbus-error.ts';
import { exceptionOf } from './pdu.ts';

/** One exchange as it was on the wire. */
export interface TracedExchange {
  /** Monotonic time at which it ended, milliseconds. */
  readonly at: number;
  readonly unit: number;
  /** Function code and data; a copy. */
  readonly request: Buffer;
  readonly answer?: Buffer;
  /** From sending to its end. */
  readonly ms: number;
  /** "ok", "exception 2", "timeout", or what is wrong with the answer. */
  readonly verdict: string;
}

/** The last exchanges of a link, for the technician who wants to see the bytes. */
export class FrameTrace {
  readonly #ring: TracedExchange[] = [];
  readonly #size: number;
  #next = 0;

  constructor(size = 200) {
    this.#size = size;
  }

  add(exchange: TracedExchange): void {
    this.#ring[this.#next] = exchange;
    this.#next = (this.#next + 1) % this.#size;
  }

  /** From the oldest to the newest. */
  list(): readonly TracedExchange[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
  }
}

/** The same link, remembering each exchange as whoever asked saw it: with its wait for its turn. */
export function tracedLink(link: Link, host: DriverHost, trace: FrameTrace): Link {
  const remember = (request: LinkRequest, from: number, verdict: string, answer?: Buffer) => {
    const at = host.monotonic();
    trace.add({
      at,
      unit: request.unit,
      request: Buffer.from(request.pdu),
      // A copy: a piece of what the socket gave would keep all of it in memory.
      ...(answer !== undefined && { answer: Buffer.from(answer) }),
      ms: at - from,
      verdict,
    });
  };
  return {
    get state() {
      return link.state;
    },
    open: (signal) => link.open(signal),
    takeCounts: () => link.takeCounts(),
    rest: () => link.rest?.(),
    close: () => link.close(),
    async request(request) {
      const from = host.monotonic();
      try {
        const answer = await link.request(request);
        const exception = exceptionOf(answer);
        const verdict = exception === undefined ? 'ok' : `exception ${exception}`;
        remember(request, from, verdict, answer);
        return answer;
      } catch (error) {
        const { kind, message } = error as ModbusError;
        remember(request, from, kind === 'bad-response' ? message : kind);
        throw error;
      }
    },
  };
}
