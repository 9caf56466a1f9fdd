import { styleText } from 'node:util';
import { printable } from '../http/printable.ts';

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green';

/** Streams of a command: process.stdout and process.stderr. */
export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** Where a command writes: data to stdout, everything else to stderr. */
export class Output {
  readonly #streams: Streams;
  /** NO_COLOR: Node alone would let FORCE_COLOR win. */
  readonly #plain: boolean;
  readonly #closed = new AbortController();

  constructor(streams: Streams, env: NodeJS.ProcessEnv) {
    this.#streams = streams;
    this.#plain = env.NO_COLOR !== undefined && env.NO_COLOR !== '';
    for (const stream of [streams.stdout, streams.stderr]) {
      stream.on('error', (error) => this.#closed.abort(error));
    }
  }

  /** Aborts with the error of the stream when nothing can be written any more: EPIPE is the ordinary end of a pipe. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether a person looks at stdout. */
  get interactive(): boolean {
    return this.#streams.stdout.isTTY === true;
  }

  /** Columns of the terminal; 80 when it is none. */
  get width(): number {
    return Math.max(40, Math.min(this.#streams.stdout.columns ?? 80, 200));
  }

  /** Writes data to stdout; resolves when it may take more, so that a slow reader is waited for. */
  async write(text: string): Promise<void> {
    if (this.#closed.signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#streams.stdout.write(text, () => resolve());
    });
  }

  /** One line of data. */
  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** One JSON document, with the name of its schema first. */
  async json(schema: string, document: object): Promise<void> {
    await this.line(JSON.stringify({ schema, ...document }));
  }

  /** One line for the person, not for the pipe. Untrusted parts must have been made printable. */
  tell(text: string): void {
    this.#streams.stderr.write(`${text}\n`);
  }

  /** Shows how far a work is, in a line that the next one takes the place of; nothing without a terminal. */
  progress(text: string): void {
    if (this.#streams.stderr.isTTY === true) this.#streams.stderr.write(`\r\u001B[K${text}`);
  }

  /** Colours text for stdout when a person looks at it and does not forbid it (NO_COLOR). */
  paint(style: Style, text: string): string {
    return this.#style(style, text, this.#streams.stdout);
  }

  /** Says what went wrong and what to do, on stderr. */
  failure(message: string, remedy: string, details: readonly string[] = []): void {
    const name = this.#style('red', 'riser:', this.#streams.stderr);
    this.tell(`${name} ${printable(message, 2_000)}`);
    for (const detail of details.slice(0, 20)) this.tell(`  ${printable(detail)}`);
    if (remedy !== '') this.tell(`  → ${printable(remedy, 1_000)}`);
  }

  /** Resolves when everything is written, or can no longer be. */
  async flush(): Promise<void> {
    await Promise.all(
      [this.#streams.stdout, this.#streams.stderr].map(
        (stream) => new Promise<void>((resolve) => stream.write('', () => resolve())),
      ),
    );
  }

  #style(style: Style, text: string, stream: NodeJS.WriteStream): string {
    return this.#plain ? text : styleText(style, text, { stream, validateStream: true });
  }
}
