/** The files that the shim watches. */
export type WatchedFile = 'database' | 'wal' | 'acks';

interface Operation {
  readonly op: 'W' | 'T' | 'S' | 'U';
  readonly file: WatchedFile;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** What lies on the disk after a power cut, and what had been promised before it. */
export interface CrashState {
  /** Operation after which the power went. */
  readonly cut: number;
  /** Undefined if the file does not exist. */
  readonly database: Buffer | undefined;
  readonly wal: Buffer | undefined;
  /** Everything that was acknowledged to the outside. */
  readonly acks: string;
}

const fileNames: readonly (WatchedFile | undefined)[] = [undefined, 'database', 'wal', 'acks'];
const headBytes = 14;
/** Disks write sectors whole, but in any order until they are told to sync. */
const sectorBytes = 512;
/** Share of unsynced sectors that survive: none, half, all but the order. */
const survivals = [0, 0.5, 1];

/** Reads what the shim has recorded. */
export function readOperations(log: Buffer): readonly Operation[] {
  const operations: Operation[] = [];
  for (let at = 0; at + headBytes <= log.length; ) {
    const op = String.fromCharCode(log[at] ?? 0) as Operation['op'];
    const file = fileNames[log[at + 1] ?? 0];
    const offset = Number(log.readBigUInt64LE(at + 2));
    const length = log.readUInt32LE(at + 10);
    at += headBytes;
    if (file === undefined) throw new RangeError(`record at ${at} names no file`);
    operations.push({ op, file, offset, bytes: log.subarray(at, at + length) });
    at += length;
  }
  return operations;
}

/**
 * Possible states of the disk after power cuts at random moments. What a file held at its last sync
 * is there; of each later write any sector may be missing.
 */
export function* crashStates(
  operations: readonly Operation[],
  initialDatabase: Buffer,
  count: number,
  random: () => number,
): Iterable<CrashState> {
  for (let i = 0; i < count; i += 1) {
    const cut = 1 + Math.floor(random() * operations.length);
    const survival = survivals[i % survivals.length] ?? 0;
    const before = operations.slice(0, cut);
    yield {
      cut,
      database: replay(before, 'database', survival, random, initialDatabase),
      wal: replay(before, 'wal', survival, random),
      acks: replay(before, 'acks', 1, random)?.toString('utf8') ?? '',
    };
  }
}

function replay(
  operations: readonly Operation[],
  file: WatchedFile,
  survival: number,
  random: () => number,
  initial?: Buffer,
): Buffer | undefined {
  const lastSync = operations.findLastIndex((each) => each.op === 'S' && each.file === file);
  const content = new Content(initial);
  let exists = initial !== undefined;
  for (const [index, { op, file: of, offset, bytes }] of operations.entries()) {
    if (of !== file) continue;
    const isDurable = index <= lastSync;
    if (op === 'U') {
      exists = false;
      content.truncate(0);
    } else if (op === 'T') {
      if (isDurable || survival > 0) content.truncate(offset);
    } else if (op === 'W') {
      exists = true;
      for (let at = 0; at < bytes.length; at += sectorBytes) {
        if (!isDurable && survival < 1 && random() >= survival) continue;
        content.write(offset + at, bytes.subarray(at, at + sectorBytes));
      }
    }
  }
  return exists ? content.bytes() : undefined;
}

/** Bytes of a file that grows. */
class Content {
  #buffer: Buffer;
  #length: number;

  constructor(initial: Buffer | undefined) {
    this.#buffer = Buffer.from(initial ?? []);
    this.#length = this.#buffer.length;
  }

  write(offset: number, bytes: Buffer): void {
    const end = offset + bytes.length;
    if (end > this.#buffer.length) {
      const longer = Buffer.alloc(end * 2);
      this.#buffer.copy(longer, 0, 0, this.#length);
      this.#buffer = longer;
    }
    bytes.copy(this.#buffer, offset);
    this.#length = Math.max(this.#length, end);
  }

  truncate(length: number): void {
    if (length < this.#length) this.#buffer.fill(0, length, this.#length);
    this.#length = Math.min(this.#length, length);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
