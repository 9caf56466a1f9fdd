import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { ReceiverState } from './receiver.ts';

interface Saved {
  readonly state: ReceiverState;
  /** Length of the event file that belongs to the state. */
  readonly bytes: number;
}

/** Lines are collected up to this many characters before they are written. */
const flushAt = 1024 * 1024;

/**
 * Events as lines of a file, and the state that belongs to it. What was written after the last
 * save is cut off at the next start: it was not acknowledged and comes again.
 */
export class DurableFiles {
  readonly #events: number | undefined;
  readonly #stateFile: string | undefined;
  #lines = '';
  readonly state: ReceiverState | undefined;

  private constructor(events: number | undefined, stateFile: string | undefined, saved?: Saved) {
    this.#events = events;
    this.#stateFile = stateFile;
    this.state = saved?.state;
  }

  static open(eventFile: string | undefined, stateFile: string | undefined): DurableFiles {
    const saved =
      stateFile !== undefined && existsSync(stateFile)
        ? (JSON.parse(readFileSync(stateFile, 'utf8')) as Saved)
        : undefined;
    const events = eventFile === undefined ? undefined : openSync(eventFile, 'a+', 0o640);
    if (events !== undefined && saved !== undefined) {
      const { size } = fstatSync(events);
      if (size < saved.bytes) {
        throw new Error(`${eventFile} is shorter than its state says: it was changed by somebody`);
      }
      ftruncateSync(events, saved.bytes);
    }
    return new DurableFiles(events, stateFile, saved);
  }

  append(line: string): void {
    if (this.#events === undefined) return;
    this.#lines += `${line}\n`;
    if (this.#lines.length >= flushAt) this.#write();
  }

  /** Returns when events and state would survive a power cut. */
  save(state: ReceiverState): void {
    this.#write();
    if (this.#events !== undefined) fdatasyncSync(this.#events);
    if (this.#stateFile === undefined) return;
    const bytes = this.#events === undefined ? 0 : fstatSync(this.#events).size;
    const saved: Saved = { state, bytes };
    const next = `${this.#stateFile}.next`;
    const file = openSync(next, 'w', 0o640);
    writeSync(file, JSON.stringify(saved));
    fsyncSync(file);
    closeSync(file);
    renameSync(next, this.#stateFile);
    // The new name is durable only when its folder is.
    const folder = openSync(path.dirname(path.resolve(this.#stateFile)), 'r');
    fsyncSync(folder);
    closeSync(folder);
  }

  close(): void {
    if (this.#events !== undefined) closeSync(this.#events);
  }

  #write(): void {
    if (this.#events === undefined || this.#lines === '') return;
    writeSync(this.#events, this.#lines);
    this.#lines = '';
  }
}
