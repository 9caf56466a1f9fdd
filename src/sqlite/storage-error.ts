import BetterSqlite from 'better-sqlite3';
import { GatewayError } from '../model/errors.ts';

/** What each family of failures means to the person who has to do something about it. */
const meanings: readonly (readonly [prefix: string, text: string])[] = [
  ['SQLITE_FULL', 'the disk is full'],
  ['SQLITE_READONLY', 'the disk or the file is read-only'],
  ['SQLITE_IOERR', 'the disk reports an error'],
  ['SQLITE_CANTOPEN', 'the file cannot be opened'],
  ['SQLITE_PERM', 'the file may not be opened'],
  ['ENOSPC', 'the disk is full'],
  ['EROFS', 'the disk is read-only'],
  ['EACCES', 'the folder may not be used by this user'],
  ['ENOENT', 'the folder does not exist'],
  ['EIO', 'the disk reports an error'],
];

/** Gives what SQLite or the file system threw the name and the words of the gateway. */
export function storageError(file: string, thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const code = sqliteCode(thrown);
  const options = { cause: thrown, facts: { path: file, sqlite: code } };
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new GatewayError('OUTBOX_CORRUPT', `${file} is damaged: ${textOf(thrown)}`, options);
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new GatewayError(
      'OUTBOX_UNAVAILABLE',
      `${file} is in use by another process; is the gateway running already?`,
      {
        ...options,
        facts: { ...options.facts, locked: true },
        remedy: 'Stop the other process ("systemctl stop riser"), then start again.',
      },
    );
  }
  const meaning = meanings.find(([prefix]) => code.startsWith(prefix))?.[1];
  return new GatewayError(
    'OUTBOX_UNAVAILABLE',
    `${file} cannot be used: ${meaning === undefined ? '' : `${meaning} – `}${textOf(thrown)} (${code})`,
    { ...options, retryable: true },
  );
}

/** SQLITE_… or errno name of what was thrown; UNKNOWN if it has none. */
export function sqliteCode(thrown: unknown): string {
  if (thrown instanceof BetterSqlite.SqliteError) return thrown.code;
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') {
    return thrown.code;
  }
  return 'UNKNOWN';
}

/** After one of these the handle is not to be trusted: what reached the disk is unknown. */
export function breaksHandle(thrown: unknown): boolean {
  return /^SQLITE_(IOERR|FULL|READONLY|CORRUPT|NOTADB|CANTOPEN|PROTOCOL|NOMEM)/.test(
    sqliteCode(thrown),
  );
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
