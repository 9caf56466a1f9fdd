import type { DriverError } from '#driver';
import type { Clock } from '../../model/clock.ts';
import { asDriverError } from './driver-error.ts';

/** Things that one running action may stream; a plugin that never ends is ended here. */
const maxOutputs = 100_000;

export interface StreamOptions<Item> {
  /** Begins the work; may throw. */
  readonly begin: (signal: AbortSignal) => AsyncIterable<Item>;
  /** Sends one item; false when the kernel is slow. */
  readonly item: (item: Item) => boolean;
  /** Resolves when the kernel takes items again. */
  readonly drained: () => Promise<void>;
  /** Sent last, exactly once. */
  readonly end: (error?: DriverError) => void;
}

/**
 * Requests that were begun and can be cancelled: on-demand reads, writes, and streams of discovery
 * and actions.
 */
export class OpenRequests {
  readonly #open = new Map<number, AbortController>();

  get size(): number {
    return this.#open.size;
  }

  /** Runs a request under its id. Never rejects, provided that the work does not. */
  async run(id: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    this.#open.set(id, controller);
    try {
      await work(controller.signal);
    } finally {
      this.#open.delete(id);
    }
  }

  cancel(id: number): void {
    this.#open.get(id)?.abort(cancelled);
  }

  cancelAll(): void {
    for (const controller of this.#open.values()) controller.abort(cancelled);
  }
}

const cancelled: DriverError = { kind: 'closed', message: 'it was cancelled' };

/** Streams what a plugin finds, at the pace of the kernel. Never rejects. */
export async function stream<Item>(
  options: StreamOptions<Item>,
  signal: AbortSignal,
): Promise<void> {
  const { begin, item, drained, end } = options;
  let count = 0;
  try {
    for await (const found of begin(signal)) {
      signal.throwIfAborted();
      count += 1;
      if (count > maxOutputs) {
        end({ kind: 'internal', message: `the driver gave more than ${maxOutputs} results` });
        return;
      }
      if (!item(found)) await drained();
    }
    end();
  } catch (error) {
    end(asDriverError(error));
  }
}

/** Waits for an end that a plugin may never reach: the signal's end is the last one. */
export function untilAborted(clock: Clock, graceMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wait = () => {
      clock.setTimeout(resolve, graceMs);
    };
    if (signal.aborted) wait();
    else signal.addEventListener('abort', wait, { once: true });
  });
}
