import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const maxBytes = 2 * 1024 * 1024;
const minBytes = 64 * 1024;
/** The ballast is made only where this many times its size is free. */
const roomFactor = 2;

/**
 * A file that does nothing but take up space. On a full disk SQLite can neither delete nor
 * checkpoint; removing the ballast gives it the room to do so.
 */
export class Ballast {
  readonly #file: string;
  readonly #bytes: number;

  constructor(database: string, budgetBytes: number) {
    this.#file = `${database}.ballast`;
    this.#bytes = Math.max(minBytes, Math.min(maxBytes, Math.floor(budgetBytes / 16)));
  }

  /** Makes it if it is missing and there is room. Returns whether it is there. */
  restore(): boolean {
    if (existsSync(this.#file)) return true;
    if (this.free() < roomFactor * this.#bytes) return false;
    try {
      // Random bytes: a file system that compresses would not set room aside for zeros.
      const content = randomFillSync(new Uint8Array(this.#bytes));
      writeFileSync(this.#file, content, { mode: 0o600, flush: true });
      return true;
    } catch {
      this.release();
      return false;
    }
  }

  release(): void {
    rmSync(this.#file, { force: true });
  }

  /** Bytes that are free on the disk; without limit where it cannot be asked. */
  free(): number {
    try {
      const { bavail, bsize } = statfsSync(path.dirname(this.#file));
      return bavail * bsize;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
}
