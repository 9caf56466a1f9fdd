import type { Readable } from 'node:stream';
import type { Clock } from '../model/clock.ts';
import { Quota } from './quota.ts';

/** Lines in a second that are passed on. */
const linesPerSecond = 20;
const maxLineLength = 1_000;
/** Lines that are kept to explain an exit. */
const keptLines = 30;

/**
 * What a driver process writes to its standard output and error. Always read to the end, so that
 * the process never waits for its kernel; passed on in a bounded number of bounded lines.
 */
export class DriverOutput {
  readonly #quota: Quota;
  readonly #line: (stream: 'stdout' | 'stderr', text: string, leftOutBytes: number) => void;
  readonly #partial = { stdout: '', stderr: '' };
  readonly #kept: string[] = [];
  #leftOutBytes = 0;

  constructor(
    clock: Clock,
    line: (stream: 'stdout' | 'stderr', text: string, leftOutBytes: number) => void,
  ) {
    this.#quota = new Quota(clock, linesPerSecond);
    this.#line = line;
  }

  /** Begins to read a stream. */
  read(name: 'stdout' | 'stderr', stream: Readable): void {
    stream.on('data', (chunk: Buffer) => this.#take(name, chunk));
    stream.on('error', () => undefined);
  }

  /** The line of standard error that best says why a process ended; undefined when it said nothing. */
  lastWords(): string | undefined {
    const error = this.#kept.findLast((line) =>
      /^\s*(Uncaught )?\w*(Error|FATAL|Exception)\b/i.test(line),
    );
    return error ?? this.#kept.at(-1);
  }

  #take(name: 'stdout' | 'stderr', chunk: Buffer): void {
    // Not even decoded while there is too much: reading a flood must cost next to nothing.
    if (this.#quota.isEmpty) {
      this.#leftOutBytes += chunk.length;
      this.#partial[name] = '';
      if (name === 'stderr') this.#keep(chunk.subarray(-maxLineLength).toString('utf8'));
      return;
    }
    const lines = (this.#partial[name] + chunk.toString('utf8')).split('\n');
    this.#partial[name] = (lines.pop() ?? '').slice(0, maxLineLength);
    for (const line of lines) {
      if (line.trim() !== '') this.#tell(name, line);
    }
  }

  #tell(name: 'stdout' | 'stderr', line: string): void {
    const text = line.slice(0, maxLineLength).trimEnd();
    if (name === 'stderr') this.#keep(text);
    if (!this.#quota.take()) {
      this.#leftOutBytes += line.length + 1;
      return;
    }
    const leftOut = this.#leftOutBytes;
    this.#leftOutBytes = 0;
    this.#line(name, text, leftOut);
  }

  #keep(text: string): void {
    this.#kept.push(...text.split('\n').filter((line) => line.trim() !== ''));
    this.#kept.splice(0, this.#kept.length - keptLines);
  }
}
