import { type Database, pageBytes, type Statement } from '../sqlite/open-database.ts';

/** Share of the budget that is kept free, so that gaps and cursors can always be written. */
const reserveShare = 0.03;
const minReserveBytes = 64 * 1024;
const maxReserveBytes = 8 * 1024 * 1024;
/** Most bytes that one commit gives up beyond what it needs itself. */
const maxSliceBytes = 4 * 1024 * 1024;
/** Free pages are given back to the disk when there are more than this share of the file … */
const spareShare = 0.25;
/** … and more than this many, so many at a time. */
const sparePages = 1024;
const shrinkPages = 256;

/** How big the file is, and how big it may become. */
export class FileSize {
  readonly #db: Database;
  readonly #maxBytes: number;
  readonly #pages: Statement<[], { readonly pages: number; readonly free: number }>;

  constructor(db: Database, maxBytes: number) {
    this.#db = db;
    this.#maxBytes = maxBytes;
    this.#pages = db.prepare(
      'SELECT page_count AS pages, freelist_count AS free FROM pragma_page_count, pragma_freelist_count',
    );
  }

  get fileBytes(): number {
    return this.#count().pages * pageBytes;
  }

  /** Whether there are enough free pages for some commits. */
  get hasSpare(): boolean {
    return this.#count().free >= shrinkPages;
  }

  /** How much is given up at least when something is given up at all. */
  get sliceBytes(): number {
    return Math.min(maxSliceBytes, Math.max(4 * pageBytes, this.#maxBytes / 100));
  }

  /** Bytes by which the file would exceed its budget, reserve included; zero or less if it would not. */
  excess(needed: number): number {
    const { pages, free } = this.#count();
    const reserve = Math.min(
      maxReserveBytes,
      Math.max(minReserveBytes, this.#maxBytes * reserveShare),
      this.#maxBytes / 4,
    );
    return (pages - free) * pageBytes + needed - (this.#maxBytes - reserve);
  }

  /** Bytes to give up for an excess: some more, so that it is not needed again at once; not all, if a limit was lowered. */
  toFree(excess: number, needed: number): number {
    return Math.max(Math.min(excess, maxSliceBytes), this.sliceBytes, needed);
  }

  /** Whether so many bytes can be stored. A file above a limit that was lowered has room in its free pages. */
  fits(needed: number): boolean {
    const { pages, free } = this.#count();
    return needed <= free * pageBytes + Math.max(0, this.#maxBytes - pages * pageBytes);
  }

  /** Gives some free pages back to the disk, if there are many. Outside a transaction. */
  shrink(): void {
    const { pages, free } = this.#count();
    if (free > sparePages && free > pages * spareShare) {
      this.#db.pragma(`incremental_vacuum(${shrinkPages})`);
    }
  }

  #count(): { readonly pages: number; readonly free: number } {
    return this.#pages.get() ?? { pages: 0, free: 0 };
  }
}
