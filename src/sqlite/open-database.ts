import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { GatewayError } from '../model/errors.ts';
import { type Migration, migrate } from './migrate.ts';
import { storageError } from './storage-error.ts';

export type { Database, Statement } from 'better-sqlite3';

/** Bytes of a page; part of the file format, so it never changes for an existing file. */
export const pageBytes = 4096;

/** Suffixes of the files that make up one database. The last is absent under an exclusive lock. */
export const databaseSuffixes = ['', '-wal', '-shm'] as const;

/** The write-ahead log is cut back to this after a checkpoint, bytes. */
const walLimitBytes = 16 * 1024 * 1024;
/** Pages in the write-ahead log at which it is copied into the file. */
const checkpointPages = 1000;
/** Page cache, KiB. Constant, whatever the size of the file. */
const cacheKib = 4096;
/** A predecessor that is just ending gets this long to let go of the file. */
const defaultLockWaitMs = 5_000;

/** What is opened, and what it must be. */
export interface OpenOptions {
  readonly path: string;
  /** Marks the file as ours: a number below 2^31 of its own for each kind of file. */
  readonly applicationId: number;
  /** All of them, the oldest first; the n-th leads to version n. */
  readonly migrations: readonly Migration[];
  /** The file never grows beyond this. */
  readonly maxBytes?: number;
  /** Whether its structure is checked first (0.3 s a gigabyte from a warm cache). */
  readonly check?: boolean;
  /** How long to wait for another process to let go of the file. */
  readonly lockWaitMs?: number;
}

/** Weakens the promise of durability: for benchmarks and for tests that must see a loss. */
export interface UnsafeOptions {
  readonly synchronous: 'NORMAL' | 'OFF';
}

/**
 * Opens a database so that what is committed survives a power cut, for this process alone.
 *
 * Throws OUTBOX_CORRUPT if the file is damaged or not ours, OUTBOX_NEWER if a later release wrote
 * it, STORAGE_NOT_DURABLE if the pragmas do not hold, and OUTBOX_UNAVAILABLE for everything that
 * the disk or another process is to blame for (fact `locked`: another process has it open).
 */
export function openDatabase(options: OpenOptions, unsafe?: UnsafeOptions): BetterSqlite.Database {
  try {
    if (!existsSync(options.path)) create(options);
    // We never write an empty file: see create(). SQLite would take it for an empty, healthy one.
    if (statSync(options.path).size === 0) {
      throw new GatewayError('OUTBOX_CORRUPT', `${options.path} is empty`);
    }
    return open(options.path, options, unsafe);
  } catch (thrown) {
    throw storageError(options.path, thrown);
  }
}

/**
 * A new file is made under another name and renamed when it is complete, so that a file of the
 * right name is either whole or damaged, never half made.
 */
function create(options: OpenOptions): void {
  const { path: file } = options;
  if (existsSync(`${file}-wal`)) {
    // A log without its file: SQLite would replay it into whatever is made now.
    throw new GatewayError(
      'OUTBOX_CORRUPT',
      `${file} is missing, but its log ${file}-wal is there`,
    );
  }
  const draft = `${file}.new`;
  for (const suffix of databaseSuffixes) rmSync(draft + suffix, { force: true });
  open(draft, options).close();
  renameSync(draft, file);
  const folder = openSync(path.dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function open(file: string, options: OpenOptions, unsafe?: UnsafeOptions): BetterSqlite.Database {
  const db = new BetterSqlite(file, { timeout: options.lockWaitMs ?? defaultLockWaitMs });
  try {
    // Taken with the first read and held until close; the kernel lets go of it if we are killed.
    // Without shared memory two processes cannot even meet on one log.
    db.pragma('locking_mode = EXCLUSIVE');
    claim(db, file, options);
    if (options.check === true) quickCheck(db, file);
    setPragmas(db, options, unsafe);
    verifyPragmas(db, file, unsafe);
    migrate(db, options.migrations);
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** Refuses files of others and of later releases before anything is written. */
function claim(db: BetterSqlite.Database, file: string, options: OpenOptions): void {
  const applicationId = numberOf(db, 'application_id');
  const version = numberOf(db, 'user_version');
  if (applicationId === 0 && version === 0 && numberOf(db, 'page_count') === 0) {
    db.pragma(`page_size = ${pageBytes}`);
    db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma(`application_id = ${options.applicationId}`);
    return;
  }
  if (applicationId !== options.applicationId) {
    throw new GatewayError('OUTBOX_CORRUPT', `${file} is a database, but not one of this gateway`, {
      facts: { applicationId },
    });
  }
  if (version > options.migrations.length) {
    throw new GatewayError(
      'OUTBOX_NEWER',
      `${file} has version ${version}; this release reads versions up to ${options.migrations.length}`,
      { facts: { version, supported: options.migrations.length } },
    );
  }
}

function quickCheck(db: BetterSqlite.Database, file: string): void {
  const result = db.pragma('quick_check(1)', { simple: true });
  if (result !== 'ok') {
    throw new GatewayError('OUTBOX_CORRUPT', `${file} is damaged: ${String(result)}`);
  }
}

/**
 * On every open: better-sqlite3 is compiled with SQLITE_DEFAULT_WAL_SYNCHRONOUS=1, so a file that
 * is in WAL mode already comes up with NORMAL, which loses commits in a power cut.
 */
function setPragmas(db: BetterSqlite.Database, options: OpenOptions, unsafe?: UnsafeOptions): void {
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${unsafe?.synchronous ?? 'FULL'}`);
  db.pragma(`wal_autocheckpoint = ${checkpointPages}`);
  db.pragma(`journal_size_limit = ${walLimitBytes}`);
  db.pragma(`cache_size = -${cacheKib}`);
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
  db.pragma('temp_store = MEMORY');
  if (options.maxBytes !== undefined) {
    db.pragma(`max_page_count = ${Math.max(1, Math.floor(options.maxBytes / pageBytes))}`);
  }
}

function verifyPragmas(db: BetterSqlite.Database, file: string, unsafe?: UnsafeOptions): void {
  const journal = db.pragma('journal_mode', { simple: true });
  const locking = db.pragma('locking_mode', { simple: true });
  const synchronous = numberOf(db, 'synchronous');
  const wanted = { FULL: 2, NORMAL: 1, OFF: 0 }[unsafe?.synchronous ?? 'FULL'];
  if (journal !== 'wal' || locking !== 'exclusive' || synchronous !== wanted) {
    throw new GatewayError(
      'STORAGE_NOT_DURABLE',
      `${file} opened with journal ${String(journal)}, synchronous ${synchronous}, locking ${String(locking)}`,
      { facts: { journal: String(journal), synchronous, locking: String(locking) } },
    );
  }
}

function numberOf(db: BetterSqlite.Database, pragma: string): number {
  return Number(db.pragma(pragma, { simple: true }));
}
