import { type LinkConfig, type ModelName, seedOf } from './link-config.ts';
import { type Counters, Listener } from './server/listener.ts';
import type { Runtime } from './server/runtime.ts';

/** One simulated device and where it is reached. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly unit: number;
  readonly model: ModelName;
  readonly seed: number;
  /** Place of its listener in the link. */
  readonly listener: number;
}

/** Why a site could not be opened, with the endpoint in words. */
export class EndpointError extends Error {
  override readonly name = 'EndpointError';
}

/** All simulated endpoints of one link. Opened once; a closed site is not opened again. */
export class SimulatedSite {
  readonly #listeners: readonly Listener[];
  readonly #config: LinkConfig;

  constructor(config: LinkConfig, runtime: Runtime) {
    this.#config = config;
    const bornAt = runtime.now();
    const bornMonotonic = runtime.monotonic();
    // The devices' own clock: a gateway whose time is set back must not see a counter fall.
    const time = () => bornAt + (runtime.monotonic() - bornMonotonic);
    this.#listeners = config.listeners.map(
      (listener, place) => new Listener(listener, place, config.seed ?? 1, runtime, time),
    );
  }

  /** Rejects with an EndpointError, or the signal's reason, leaving nothing open. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      for (const listener of this.#listeners) {
        signal.throwIfAborted();
        await openListener(listener);
      }
      signal.throwIfAborted();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  endpoints(): Endpoint[] {
    return this.#listeners.flatMap((listener, place) =>
      listener.units.map((unit) => ({
        host: listener.host,
        port: listener.port,
        unit: unit.unit,
        model: unit.model,
        seed: seedOf(unit, place),
        listener: place,
      })),
    );
  }

  /** Of one listener, or the sum of all; undefined if there is no such listener. */
  counters(place?: number): Counters | undefined {
    if (place !== undefined) return this.#listeners[place]?.counters;
    const sum = { requests: 0, connections: 0, faultsInjected: 0, cutOff: 0 };
    for (const { counters } of this.#listeners) {
      sum.requests += counters.requests;
      sum.connections += counters.connections;
      sum.faultsInjected += counters.faultsInjected;
      sum.cutOff += counters.cutOff;
    }
    return sum;
  }

  /** How many listeners the link has. */
  get size(): number {
    return this.#config.listeners.length;
  }
}

async function openListener(listener: Listener): Promise<void> {
  try {
    await listener.open();
  } catch (error) {
    const where = `${listener.host}:${listener.port}`;
    throw new EndpointError(`cannot listen on ${where}: ${remedy(error)}`, { cause: error });
  }
}

function remedy(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code ?? '') {
    case 'EADDRINUSE':
      return 'another program has this port; take another one, or 0 for any free one';
    case 'EACCES':
      return 'ports below 1024 need a privilege; take a higher one, such as 1502';
    case 'EADDRNOTAVAIL':
      return 'this machine does not have that address; leave host out for 127.0.0.1';
    default:
      return message;
  }
}
