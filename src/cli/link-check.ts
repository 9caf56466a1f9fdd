import type { Catalog } from '../field/catalog.ts';
import { Field } from '../field/field.ts';
import { EventBus } from '../kernel/event-bus.ts';
import { readBootId, SystemClock } from '../kernel/system-clock.ts';
import type { CheckLink } from '../model/installed-driver.ts';
import type { Notes } from '../model/notes.ts';
import type { Opaque } from '../model/point.ts';

/** Heap of a driver process that only looks at files. */
const heapMb = 128;

/** A field without links: its drivers are asked what only they know, and touch no medium. */
export class LinkCheck implements AsyncDisposable {
  readonly checkLink: CheckLink;
  readonly #catalog: Catalog;
  readonly #field: Field;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    // Nobody listens: what matters comes back as findings.
    const notes = new Proxy({} as Notes, { get: () => () => {} });
    this.#field = new Field({
      catalog,
      sink: { accept: async () => {}, dropped: () => {}, deviceEvent: async () => {} },
      clock: new SystemClock(readBootId()),
      notes,
      conditions: { raise: () => {}, clear: () => {} },
      bus: new EventBus(notes),
      settings: { heapMb, isolation: 'process' },
    });
    this.checkLink = this.#field.checkLink;
  }

  /** Runs an action that needs no configured link. */
  runAction(plugin: string, name: string, args: Opaque, signal: AbortSignal, planOnly: boolean) {
    const action = this.#catalog.actions.find(
      (each) => each.plugin === plugin && each.name === name,
    );
    const outputs = this.#field.runAction(plugin, name, args, signal, { planOnly });
    return { columns: action?.columns ?? [], outputs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#field.close();
  }
}
