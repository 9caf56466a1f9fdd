import type { Migration } from '../../sqlite/migrate.ts';

/**
 * A log of immutable batches with cursors.
 *
 * batch.key is `sid * 2^40 + sequence`, so one b-tree serves arrival, reading by range and deletion
 * by range: a second index would dirty one more page in every commit, and flash wears out by pages.
 * stream.next_seq and bytes are a snapshot; rows at or above next_seq are added to it on opening.
 */
export const firstLog: Migration = {
  title: 'streams, batches, cursors, dead letters',
  sql: `
    CREATE TABLE stream (
      born     INTEGER PRIMARY KEY AUTOINCREMENT,
      sid      INTEGER NOT NULL UNIQUE CHECK (sid BETWEEN 1 AND 8191),
      tenant   TEXT NOT NULL,
      lane     TEXT NOT NULL CHECK (lane IN ('alarm', 'live', 'bulk')),
      epoch    TEXT NOT NULL UNIQUE,
      reason   TEXT NOT NULL,
      closed   INTEGER NOT NULL DEFAULT 0,
      next_seq INTEGER NOT NULL DEFAULT 1,
      bytes    INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE UNIQUE INDEX stream_current ON stream (tenant, lane) WHERE closed = 0;

    CREATE TABLE batch (
      key      INTEGER PRIMARY KEY,
      n        INTEGER NOT NULL,
      boot     INTEGER NOT NULL,
      run_ms   REAL NOT NULL,
      wall_ms  INTEGER NOT NULL,
      synced   INTEGER NOT NULL,
      type     TEXT NOT NULL,
      gap      TEXT,
      enc      INTEGER NOT NULL,
      crc      INTEGER NOT NULL,
      body     BLOB NOT NULL
    ) STRICT;

    CREATE TABLE cursor (
      consumer TEXT NOT NULL,
      sid      INTEGER NOT NULL,
      acked    INTEGER NOT NULL,
      PRIMARY KEY (consumer, sid)
    ) WITHOUT ROWID, STRICT;

    CREATE TABLE dead_letter (
      id       INTEGER PRIMARY KEY AUTOINCREMENT,
      consumer TEXT NOT NULL,
      sid      INTEGER NOT NULL,
      tenant   TEXT NOT NULL,
      lane     TEXT NOT NULL,
      epoch    TEXT NOT NULL,
      seq      INTEGER NOT NULL,
      n        INTEGER NOT NULL,
      reason   TEXT NOT NULL,
      at       INTEGER NOT NULL,
      bytes    INTEGER NOT NULL,
      enc      INTEGER NOT NULL,
      body     BLOB,
      UNIQUE (consumer, epoch, seq)
    ) STRICT;

    CREATE TABLE boot (
      id       INTEGER PRIMARY KEY AUTOINCREMENT,
      boot_id  TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE meta (
      name     TEXT PRIMARY KEY,
      value    ANY
    ) WITHOUT ROWID, STRICT;
  `,
};
