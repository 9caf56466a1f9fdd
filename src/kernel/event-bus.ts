import type { Bus, BusEvents } from '../model/bus-events.ts';
import type { Notes } from '../model/notes.ts';

type AnyListener = (...args: readonly unknown[]) => unknown;

interface Entry {
  readonly listener: AnyListener;
  failures: number;
}

/**
 * Tells observers what has happened, one after the other and at once. A listener that fails is
 * noted and called again next time; the others and the one who told do not notice.
 */
export class EventBus implements Bus {
  readonly #notes: Pick<Notes, 'listenerFailed'>;
  readonly #entries = new Map<keyof BusEvents, readonly Entry[]>();
  #failures = 0;

  constructor(notes: Pick<Notes, 'listenerFailed'>) {
    this.#notes = notes;
  }

  on<Name extends keyof BusEvents>(
    name: Name,
    listener: (...args: BusEvents[Name]) => void,
  ): () => void {
    // The map keeps lists of all events together; on() and emit() agree on the arguments by name.
    const entry: Entry = { listener: listener as AnyListener, failures: 0 };
    // Lists are replaced, never changed: a listener may come or go while its event is being told.
    this.#entries.set(name, [...(this.#entries.get(name) ?? []), entry]);
    return () => {
      this.#entries.set(
        name,
        (this.#entries.get(name) ?? []).filter((other) => other !== entry),
      );
    };
  }

  emit<Name extends keyof BusEvents>(name: Name, ...args: BusEvents[Name]): void {
    for (const entry of this.#entries.get(name) ?? []) {
      try {
        const result = entry.listener(...args);
        // A listener written as an async function fits the type; its rejection has to end here too.
        if (result instanceof Promise) {
          result.catch((error: unknown) => this.#failed(name, entry, error));
        }
      } catch (error) {
        this.#failed(name, entry, error);
      }
    }
  }

  /** Failures of all listeners since the start. */
  get failures(): number {
    return this.#failures;
  }

  /** For each listener of an event, in the order of subscription, how often it failed. */
  failuresOf(name: keyof BusEvents): readonly number[] {
    return (this.#entries.get(name) ?? []).map((entry) => entry.failures);
  }

  #failed(name: keyof BusEvents, entry: Entry, error: unknown): void {
    entry.failures += 1;
    this.#failures += 1;
    this.#notes.listenerFailed({ event: name, error });
  }
}
