import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { GatewayError } from '../model/errors.ts';
import { type Database, type OpenOptions, openDatabase } from '../sqlite/open-database.ts';
import { setAside } from '../sqlite/set-aside.ts';
import { BatchLog } from './batch-log.ts';
import { migrations } from './migrations/index.ts';
import { checksum } from './stored-body.ts';
import type { LogOptions, Moment } from './worker-messages.ts';

/** "RsOx": marks the file as an outbox. */
export const outboxApplicationId = 0x52_73_4f_78;

/** Bigger files are checked only after they were not closed cleanly. */
const checkBelowBytes = 1024 ** 3;

export interface OpenedLog {
  readonly log: BatchLog;
  readonly quarantined?: { readonly to: string; readonly cause: string };
}

/**
 * Opens the log; a damaged file is set aside and a new one begun.
 *
 * `known` is what was confirmed of each stream before the file was closed by a failure. What lies
 * beyond was written but never confirmed: its owner was told that it is not accepted, and has kept it.
 */
export function openLog(
  options: LogOptions,
  now: Moment,
  known?: readonly (readonly [sid: number, next: number])[],
): OpenedLog {
  mkdirSync(path.dirname(options.path), { recursive: true, mode: 0o750 });
  const mustCheck = known !== undefined || !wasClosedCleanly(options.path);
  try {
    return { log: openChecked(options, now, mustCheck, known) };
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown.code !== 'OUTBOX_CORRUPT') throw thrown;
    const to = setAside(options.path);
    return {
      log: openChecked(options, now, false),
      quarantined: { to, cause: thrown.message },
    };
  }
}

function openChecked(
  options: LogOptions,
  now: Moment,
  mustCheck: boolean,
  known?: readonly (readonly [sid: number, next: number])[],
): BatchLog {
  const bytes = statSync(options.path, { throwIfNoEntry: false })?.size ?? 0;
  const openOptions: OpenOptions = {
    path: options.path,
    applicationId: outboxApplicationId,
    migrations,
    maxBytes: options.limits.maxBytes,
    check: mustCheck || bytes < checkBelowBytes,
    lockWaitMs: options.lockWaitMs,
  };
  const db = openDatabase(openOptions, options.unsafe);
  try {
    if (known !== undefined) dropUnconfirmed(db, new Map(known));
    const log = new BatchLog(db, options, now);
    settle(log, options);
    return log;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** SQLite removes the log of a database that it closes. */
function wasClosedCleanly(file: string): boolean {
  const wal = statSync(`${file}-wal`, { throwIfNoEntry: false });
  return wal === undefined || wal.size === 0;
}

/** So that "rejected" always means "not accepted", also when the answer of the disk was lost. */
function dropUnconfirmed(db: Database, known: ReadonlyMap<number, number>): void {
  const streams = db.prepare<[], { sid: number; next_seq: number }>(
    'SELECT sid, next_seq FROM stream',
  );
  const drop = db.prepare<[number, number, number]>(
    'DELETE FROM batch WHERE key >= ? * 1099511627776 + ? AND key < (? + 1) * 1099511627776',
  );
  const reset = db.prepare<[number, number, number, number]>(
    `UPDATE stream SET next_seq = ?, bytes = (SELECT ifnull(sum(length(body)), 0) FROM batch
       WHERE key >= ? * 1099511627776 AND key < (? + 1) * 1099511627776) WHERE sid = ?`,
  );
  db.transaction(() => {
    for (const { sid } of streams.all()) {
      const next = known.get(sid) ?? 1;
      if (drop.run(sid, next, sid).changes > 0) reset.run(next, sid, sid, sid);
    }
  }).immediate();
}

/** Begins new epochs where the old ones must not go on. */
function settle(log: BatchLog, options: LogOptions): void {
  const machine = machineId(options.machineIdPath);
  const { meta, streams, batches, cursors } = log.tables;
  const isCopy = machine !== '' && (meta.get('machine') ?? machine) !== machine;
  const isRenamed = (meta.get('gateway') ?? options.gateway) !== options.gateway;
  const close = [...streams.all()].filter((stream) => {
    if (stream.closed) return false;
    if (isCopy || isRenamed) return true;
    // Somebody has acked what this file does not hold: it is an old copy, or has lost its end.
    if (cursors.ackedByAny(stream.sid) >= stream.next) return true;
    const row = batches.lastRow(stream.sid);
    // How far the last batch reaches is known only if its checksum is right.
    return row !== undefined && checksum({ sid: stream.sid, ...row }, row.body) !== row.crc;
  });
  const isNew = meta.get('uuid') === undefined;
  const isMoved = meta.get('machine') !== machine || meta.get('gateway') !== options.gateway;
  if (close.length === 0 && !isNew && !isMoved) return;
  log.transact(() => {
    for (const stream of close) streams.close(stream);
    if (isNew) meta.put('uuid', randomUUID());
    if (machine !== '') meta.put('machine', machine);
    meta.put('gateway', options.gateway);
  });
}

/** Empty where the machine has no id. */
function machineId(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
