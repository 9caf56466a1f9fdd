import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';
import type { Notes } from '../model/notes.ts';
import { Backoff, type BackoffLimits } from './backoff.ts';
import type { Part } from './part.ts';
import { sleep, withDeadline } from './wait.ts';

const startDeadlineMs = 30_000;
const closeDeadlineMs = 5_000;
const loopLimits: BackoffLimits = { minMs: 1_000, maxMs: 60_000 };

/** What the supervisor needs of its surroundings; deadlines in milliseconds. */
export interface SupervisorParts {
  readonly clock: Pick<Clock, 'monotonic' | 'setTimeout'>;
  readonly notes: Pick<Notes, 'partFailed'>;
  readonly startDeadlineMs?: number;
  readonly closeDeadlineMs?: number;
}

interface Loop {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * Owns what lives: parts, background promises and loops.
 *
 * - Parts start one after the other and close in reverse, each with a deadline; one that does not
 *   close is noted and left behind, so that the others still get their turn.
 * - A background promise that rejects is noted; nothing becomes an unhandled rejection.
 * - A loop that fails is noted and run again after a growing wait.
 */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #started: Part[] = [];
  readonly #owned = new Set<Promise<void>>();
  readonly #loops = new Set<Loop>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Aborts when close() begins. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** Background promises that have not settled. */
  get pending(): number {
    return this.#owned.size;
  }

  /** Starts a part. Rejects with what it failed of, or DEADLINE; the part is closed then. */
  async start(part: Part, deadlineMs?: number): Promise<void> {
    this.signal.throwIfAborted();
    const ms = deadlineMs ?? this.#parts.startDeadlineMs ?? startDeadlineMs;
    const giveUp = new AbortController();
    const stop = () => giveUp.abort(this.signal.reason);
    this.signal.addEventListener('abort', stop, { once: true });
    // Before the first step of its start: a part that hangs in it has to be closed as well.
    this.#started.push(part);
    try {
      const starting = settle(() => part.start(giveUp.signal));
      starting.catch(() => {});
      await withDeadline(`starting ${part.name}`, ms, starting);
      this.signal.throwIfAborted();
    } catch (error) {
      giveUp.abort(error);
      await this.#closePart(part);
      throw error;
    } finally {
      this.signal.removeEventListener('abort', stop);
    }
  }

  /** Starts parts in the order given. When one fails, all are closed in reverse and the error is passed on. */
  async startAll(parts: readonly Part[], deadlineMs?: number): Promise<void> {
    try {
      for (const part of parts) await this.start(part, deadlineMs);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Takes responsibility for a promise that nobody awaits. */
  own(name: string, work: Promise<unknown>): void {
    const owned: Promise<void> = work
      .then(
        () => {},
        (error: unknown) => this.#failed(name, error),
      )
      .finally(() => this.#owned.delete(owned));
    this.#owned.add(owned);
  }

  /**
   * Runs something that is meant to go on until the signal aborts. When it throws it is run again
   * after a wait; when it returns it is over. Returns the way to end it.
   */
  loop(
    name: string,
    run: (signal: AbortSignal) => Promise<void>,
    limits: BackoffLimits = loopLimits,
  ): () => Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.signal]);
    const loop: Loop = { stop, done: this.#run(name, run, limits, signal) };
    this.#loops.add(loop);
    this.own(
      name,
      loop.done.finally(() => this.#loops.delete(loop)),
    );
    return async () => {
      stop.abort(new GatewayError('DEADLINE', `${name} was stopped`));
      await this.#await(`stopping ${name}`, name, loop.done);
    };
  }

  /** Ends loops, closes parts in reverse, and waits for what is owned. Never rejects; may come twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new GatewayError('DEADLINE', 'the gateway is stopping'));
    await this.#await(
      'ending the loops',
      'supervisor',
      Promise.all([...this.#loops].map((loop) => loop.done)),
    );
    for (let part = this.#started.at(-1); part !== undefined; part = this.#started.at(-1)) {
      await this.#closePart(part);
    }
    await this.#await('ending background work', 'supervisor', Promise.all(this.#owned));
  }

  async #closePart(part: Part): Promise<void> {
    const index = this.#started.lastIndexOf(part);
    if (index !== -1) this.#started.splice(index, 1);
    const closing = settle(() => part.close());
    await this.#await(`closing ${part.name}`, part.name, closing);
  }

  async #run(
    name: string,
    run: (signal: AbortSignal) => Promise<void>,
    limits: BackoffLimits,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock } = this.#parts;
    const backoff = new Backoff(limits);
    while (!signal.aborted) {
      const begun = clock.monotonic();
      try {
        await run(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(name, error);
      }
      // It worked for a good while: the next failure is a new one.
      if (clock.monotonic() - begun > limits.maxMs) backoff.reset();
      await sleep(backoff.next(), signal, clock).catch(() => {});
    }
  }

  /** Waits, but not for ever; what is late is noted and left behind. */
  async #await(what: string, part: string, work: Promise<unknown>): Promise<void> {
    try {
      await withDeadline(what, this.#parts.closeDeadlineMs ?? closeDeadlineMs, work);
    } catch (error) {
      this.#failed(part, error, true);
    }
    work.catch(() => {});
  }

  #failed(part: string, error: unknown, always = false): void {
    // Work that was told to stop says so by rejecting.
    if (!always && this.signal.aborted && isAbort(error, this.signal)) return;
    this.#parts.notes.partFailed({ part, error });
  }
}

/** A function that throws before its first await rejects like one that throws after it. */
async function settle<Result>(run: () => Promise<Result>): Promise<Result> {
  return await run();
}

function isAbort(error: unknown, signal: AbortSignal): boolean {
  return error === signal.reason || (error instanceof Error && error.name === 'AbortError');
}
