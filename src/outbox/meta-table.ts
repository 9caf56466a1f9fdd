import type { Database, Statement } from '../sqlite/open-database.ts';

/** Facts about the file itself. */
export interface Meta {
  /** Id of the machine that wrote last; a copy on another machine must not go on in the same epochs. */
  readonly machine: string;
  readonly gateway: string;
  /** Names this file among all others. */
  readonly uuid: string;
  /** Running time in milliseconds, see RunningTime. */
  readonly running: number;
  /** Events given up so far. */
  readonly lost: number;
}

/** One value for each name. */
export class MetaTable {
  readonly #get: Statement<[string], { readonly value: string | number }>;
  readonly #put: Statement<[string, string | number]>;

  constructor(db: Database) {
    this.#get = db.prepare('SELECT value FROM meta WHERE name = ?');
    this.#put = db.prepare(
      'INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
  }

  get<Name extends keyof Meta>(name: Name): Meta[Name] | undefined {
    return this.#get.get(name)?.value as Meta[Name] | undefined;
  }

  put<Name extends keyof Meta>(name: Name, value: Meta[Name]): void {
    this.#put.run(name, value);
  }
}
