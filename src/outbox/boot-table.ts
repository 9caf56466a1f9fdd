import type { Database, Statement } from '../sqlite/open-database.ts';

/** Boots of machines, so that a row needs a small number instead of a name. */
export class BootTable {
  readonly #insert: Statement<[string]>;
  readonly #idOf: Statement<[string], { readonly id: number }>;
  readonly #nameOf: Statement<[number], { readonly boot_id: string }>;
  readonly #prune: Statement<[number]>;
  readonly #ids = new Map<string, number>();

  constructor(db: Database) {
    this.#insert = db.prepare('INSERT OR IGNORE INTO boot (boot_id) VALUES (?)');
    this.#idOf = db.prepare('SELECT id FROM boot WHERE boot_id = ?');
    this.#nameOf = db.prepare('SELECT boot_id FROM boot WHERE id = ?');
    this.#prune = db.prepare('DELETE FROM boot WHERE id < ?');
  }

  /** Inside a transaction. */
  idOf(bootId: string): number {
    const known = this.#ids.get(bootId);
    if (known !== undefined) return known;
    this.#insert.run(bootId);
    const id = this.#idOf.get(bootId)?.id ?? 0;
    this.#ids.clear();
    this.#ids.set(bootId, id);
    return id;
  }

  nameOf(id: number): string {
    return this.#nameOf.get(id)?.boot_id ?? 'unknown';
  }

  /** Forgets boots before one that no row refers to. Inside a transaction. */
  prune(before: number): void {
    this.#prune.run(before);
  }

  /** After a transaction that failed: a name may not be in the file. */
  forget(): void {
    this.#ids.clear();
  }
}
