import type { GatewayId } from '../model/ids.ts';
import type { Committed } from '../model/outbox.ts';
import type { BatchRow, BatchTable } from './batch-table.ts';
import type { BootTable } from './boot-table.ts';
import type { DeadLetterTable } from './dead-letter-table.ts';
import { type GapReason, gapEnvelope } from './gap.ts';
import type { RunningTime } from './running-time.ts';
import { checksum, decodeBody } from './stored-body.ts';
import type { StreamState } from './stream-table.ts';
import type { ReadBatch, ReadResult, Requests } from './worker-messages.ts';

/** Damaged batches that are remembered, so that each is told of once. */
const maxKnownDamage = 10_000;

interface Tables {
  readonly batches: BatchTable;
  readonly boots: BootTable;
  readonly deadLetters: DeadLetterTable;
}

/** Reads streams without a hole: what is missing or unreadable comes as a gap event. */
export class BatchReader {
  readonly #tables: Tables;
  readonly #gateway: GatewayId;
  readonly #running: RunningTime;
  readonly #knownDamage = new Set<string>();
  #checksumErrors = 0;

  constructor(tables: Tables, gateway: GatewayId, running: RunningTime) {
    this.#tables = tables;
    this.#gateway = gateway;
    this.#running = running;
  }

  get checksumErrors(): number {
    return this.#checksumErrors;
  }

  read(stream: StreamState, request: Requests['read']['request']): ReadResult {
    const { batches, deadLetters } = this.#tables;
    const { sid } = stream;
    const bodies: Uint8Array[] = [];
    const found: ReadBatch[] = [];
    const damaged: Committed[] = [];
    let bytes = 0;
    let full = false;
    const give = (batch: Omit<ReadBatch, 'bytes'>, body: Uint8Array) => {
      // One batch is always given, however large: else a reader with a small limit would stand still.
      full = found.length > 0 && bytes + body.byteLength > request.bytes;
      if (full) return;
      found.push({ ...batch, bytes: body.byteLength });
      bodies.push(body);
      bytes += body.byteLength;
      full = found.length >= request.batches;
    };
    const giveGap = (first: number, end: number, reason: GapReason, row?: BatchRow) => {
      const n = end - first;
      if (reason === 'corrupt') this.#noteDamage(stream, first, n, damaged);
      give(
        { sequence: first, n, type: 'riser.gap.v1' },
        this.#gapBody(stream, first, n, reason, row),
      );
    };

    const from = Math.max(request.after + 1, stream.oldest);
    let expected = batches.startOf(sid, from);
    let bad: BatchRow | undefined;
    for (const row of batches.rows(sid, expected)) {
      if (full) break;
      if (row.seq > expected) {
        giveGap(expected, row.seq, 'corrupt', bad);
        bad = undefined;
        expected = row.seq;
        if (full) break;
      }
      const body = readBody(sid, row);
      if (body === undefined) {
        // Its length is not to be trusted either: it ends where the next begins.
        bad = row;
        continue;
      }
      expected = row.seq + row.n;
      if (deadLetters.has(request.consumer, stream.epoch, row.seq) && row.gap === null) {
        giveGap(row.seq, expected, 'dead-letter', row);
      } else {
        const appendedAt = this.#running.monotonicAt(row.run_ms);
        const batch = { sequence: row.seq, n: row.n, type: row.type };
        give(appendedAt === undefined ? batch : { ...batch, appendedAt }, body);
      }
    }
    if (!full && expected < stream.next) giveGap(expected, stream.next, 'corrupt', bad);
    return {
      batches: found,
      bodies: join(bodies),
      damaged,
      checksumErrors: this.#checksumErrors,
    };
  }

  #gapBody(
    stream: StreamState,
    first: number,
    n: number,
    reason: GapReason,
    row: BatchRow | undefined,
  ): Uint8Array {
    const { tenant, lane, epoch } = stream;
    const text = gapEnvelope({
      gateway: this.#gateway,
      tenant,
      lane,
      epoch,
      first,
      n,
      reason,
      time: plausibleTime(row?.wall_ms),
      bootId: row === undefined ? 'unknown' : this.#tables.boots.nameOf(row.boot),
      synced: row?.synced === 1,
    });
    return Buffer.from(text, 'utf8');
  }

  #noteDamage(stream: StreamState, sequence: number, n: number, damaged: Committed[]): void {
    const key = `${stream.sid}.${sequence}`;
    if (this.#knownDamage.has(key) || this.#knownDamage.size >= maxKnownDamage) return;
    this.#knownDamage.add(key);
    this.#checksumErrors += 1;
    damaged.push({ sid: stream.sid, sequence, n });
  }
}

/** The body as it travels; undefined if it is not what was stored. */
function readBody(sid: number, row: BatchRow): Uint8Array | undefined {
  if (checksum({ sid, ...row }, row.body) !== row.crc) return undefined;
  try {
    return decodeBody(row);
  } catch {
    return undefined;
  }
}

/** A damaged row may hold any number. */
function plausibleTime(time: number | undefined): number {
  return time !== undefined && time >= 0 && time < 253_402_300_800_000 ? time : 0;
}

function join(bodies: readonly Uint8Array[]): ArrayBuffer {
  const joined = new Uint8Array(bodies.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let offset = 0;
  for (const body of bodies) {
    joined.set(body, offset);
    offset += body.byteLength;
  }
  return joined.buffer;
}
