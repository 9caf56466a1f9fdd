import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import type { Level, LineKind } from './log-catalogue.ts';
import type { Redactor } from './redactor.ts';

/** One line of each kind and subject in this time; the others are counted. */
const windowMs = 60_000;
/** Kinds and subjects that are told apart; beyond it all subjects of a kind share one window. */
const mostWindows = 2_000;
/** Bytes of a line, of which pino's own fields take the rest. */
const maxFieldBytes = 7_600;
/** Texts are cut to these lengths in turn until the line fits. */
const textLengths = [2_048, 512, 96] as const;
/** Fields that the writer sets itself; facts must not double them. */
const reserved = new Set(['level', 'time', 'msg', 'code', 'component', 'gateway', 'pid', 'more']);

type Fields = Readonly<Record<string, unknown>>;

interface Window {
  readonly kind: LineKind;
  readonly level: Level;
  readonly timer: Disposable;
  held: number;
  last: Fields;
}

export interface LineWriterParts {
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly clock: Pick<Clock, 'setTimeout'>;
  readonly onLine: (result: 'written' | 'held') => void;
}

/**
 * Writes log lines: without secrets, of at most 8 KiB, and no more than one a minute of each kind
 * and subject. What was held back is told with the next line: how many, and the last of them.
 */
export class LineWriter {
  readonly #parts: LineWriterParts;
  readonly #windows = new Map<string, Window>();
  #closed = false;

  constructor(parts: LineWriterParts) {
    this.#parts = parts;
  }

  /** `subject` is what the line is about: two devices do not hold back each other's lines. */
  write(kind: LineKind, subject: string, fields: Fields, level: Level = kind.level): void {
    if (this.#closed || !this.#parts.logger.isLevelEnabled(level)) return;
    // Whoever asked for debug wants every line.
    if (level === 'debug') {
      this.#put(kind, level, fields);
      return;
    }
    let key = `${kind.code} ${level} ${subject}`;
    if (!this.#windows.has(key) && this.#windows.size >= mostWindows) key = `${kind.code} ${level}`;
    const open = this.#windows.get(key);
    if (open !== undefined) {
      open.held += 1;
      open.last = fields;
      this.#parts.onLine('held');
      return;
    }
    this.#put(kind, level, fields);
    this.#open(key, kind, level, fields);
  }

  /** Tells what was held back and writes nothing from then on. */
  close(): void {
    for (const window of this.#windows.values()) {
      window.timer[Symbol.dispose]();
      this.#tellHeld(window);
    }
    this.#windows.clear();
    this.#closed = true;
  }

  #open(key: string, kind: LineKind, level: Level, last: Fields): void {
    const timer = this.#parts.clock.setTimeout(() => {
      const window = this.#windows.get(key);
      this.#windows.delete(key);
      if (window === undefined || window.held === 0) return;
      this.#tellHeld(window);
      this.#open(key, kind, level, window.last);
    }, windowMs);
    this.#windows.set(key, { kind, level, timer, held: 0, last });
  }

  #tellHeld({ kind, level, held, last }: Window): void {
    if (held === 0) return;
    this.#put(kind, level, last, { more: held, note: `${held} more in the last minute` });
  }

  #put(kind: LineKind, level: Level, fields: Fields, more: Fields = {}): void {
    const { logger } = this.#parts;
    const { code, component } = kind;
    logger[level]({ code, component, ...this.#fit(fields), ...more }, kind.message);
    this.#parts.onLine('written');
  }

  #fit(fields: Fields): Fields {
    const named = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        reserved.has(name) ? `${name}_` : name,
        value,
      ]),
    );
    let bytes = 0;
    for (const length of textLengths) {
      const clean = this.#parts.redactor.value(named, length) as Fields;
      bytes = Buffer.byteLength(JSON.stringify(clean));
      if (bytes <= maxFieldBytes) return clean;
    }
    return { left_out_bytes: bytes };
  }
}
