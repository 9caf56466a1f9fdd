import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { sleep, withDeadline } from '../kernel/wait.ts';

const standardOutput = 1;
const notOpen = -1;
/** Bytes that wait for a slow reader; beyond it lines are lost and counted. */
const maxWaiting = 1024 * 1024;
const maxWrite = 64 * 1024;
const closeDeadlineMs = 1_000;
/** A full pipe is tried again after so long. */
const againMs = 50;

/**
 * Standard output as the log needs it: it neither blocks the gateway when the reader is slow nor
 * ends it when the reader or the disk below is gone. Not pino.destination(): that one waits for
 * ever at the exit of the process when what it holds cannot be written (sonic-boom 4, flushSync).
 */
export class StandardOutput {
  readonly #onLost: (lines: number) => void;
  #fd: number = notOpen;
  readonly #giveUp = new AbortController();
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #closed = false;
  readonly #atExit = () => this.#flushAtExit();

  constructor(onLost: (lines: number) => void) {
    this.#onLost = onLost;
  }

  /** Takes one line, or loses it when too much is waiting. Never throws. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#closed || this.#bytes + bytes.length > maxWaiting) {
      this.#onLost(1);
      return;
    }
    if (this.#fd === notOpen) this.#fd = openUnblocked();
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (this.#writing !== undefined) return;
    process.once('exit', this.#atExit);
    this.#writing = this.#drain().finally(() => {
      this.#writing = undefined;
      process.removeListener('exit', this.#atExit);
    });
  }

  /** Waits until all is written, but not for ever. May come twice. */
  async close(): Promise<void> {
    if (this.#closed) return this.#writing;
    this.#closed = true;
    if (this.#writing !== undefined) {
      await withDeadline('writing the last lines', closeDeadlineMs, this.#writing).catch(() => {});
      this.#giveUp.abort();
      this.#lose();
    }
    if (this.#fd > standardOutput) closeSync(this.#fd);
  }

  /** Never rejects. */
  async #drain(): Promise<void> {
    // Lines of one turn go out together; and should the process end in this turn, at its exit.
    await setImmediate();
    while (this.#waiting.length > 0) {
      const lines = this.#take();
      try {
        await writeAll(this.#fd, Buffer.concat(lines), this.#giveUp.signal);
      } catch {
        // The reader has gone or the disk is full; there is nobody to tell. The next line is tried.
        this.#onLost(lines.length);
      }
    }
  }

  /** The oldest lines, as many as fit into one write; at least one. */
  #take(): Buffer[] {
    let count = 0;
    let bytes = 0;
    for (const line of this.#waiting) {
      if (count > 0 && bytes + line.length > maxWrite) break;
      bytes += line.length;
      count += 1;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  /** The process ends without close(): one attempt for what is left, which may be the reason. */
  #flushAtExit(): void {
    try {
      while (this.#waiting.length > 0) writeSync(this.#fd, Buffer.concat(this.#take()));
    } catch {
      this.#lose();
    }
  }

  #lose(): void {
    if (this.#waiting.length > 0) this.#onLost(this.#waiting.length);
    this.#waiting.length = 0;
    this.#bytes = 0;
  }
}

/**
 * A write to a full pipe blocks a thread, and that thread blocks the exit of the process. Opened
 * anew, a pipe can be told not to block without changing it for the other processes that write to
 * it. A socket (systemd's journal) cannot be opened: there the stop has systemd's time limit.
 */
function openUnblocked(): number {
  try {
    if (fstatSync(standardOutput).isFIFO()) {
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK);
    }
  } catch {
    // Of another user, or no descriptor left: as it is.
  }
  return standardOutput;
}

async function writeAll(fd: number, bytes: Buffer, signal: AbortSignal): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const written = await new Promise<number>((resolve, reject) => {
      write(fd, rest, (error, count) => {
        if (error === null) resolve(count);
        else if (error.code === 'EAGAIN') resolve(0);
        else reject(error);
      });
    });
    if (written === 0) await sleep(againMs, signal);
    rest = rest.subarray(written);
  }
}
