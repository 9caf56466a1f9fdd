import type { Catalog } from '../field/catalog.ts';
import { Field } from '../field/field.ts';
import { EventBus } from '../kernel/event-bus.ts';
import { readBootId, SystemClock } from '../kernel/system-clock.ts';
import type { CheckLink } from '../model/installed-driver.ts';
import type { Notes } from '../model/notes.ts';

/** Heap of a driver process that only looks at files. */
const heapMb = 128;

/** A field without links: its drivers are asked what only they know, and touch no medium. */
export class LinkCheck implements AsyncDisposable {
  readonly checkLink: CheckLink;
  readonly #field: Field;

  constructor(catalog: Catalog) {
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#field.close();
  }
}
