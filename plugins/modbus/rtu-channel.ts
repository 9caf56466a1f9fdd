import type { Duplex } from 'node:stream';
import type { Channel, ChannelEvents } from './line-link.ts';
import { findAnswer, longestRtuFrame, rtuFrame } from './rtu-frame.ts';

/** Noise beyond this is cut off at the front; a frame is never longer than half of it. */
const mostInput = 4 * longestRtuFrame;
const nothing = Buffer.alloc(0);

export interface RtuChannelOptions {
  /** The adapter hears what it sends. */
  readonly echo: boolean;
  /** Throws away input that the system still holds. */
  readonly flush?: (done: () => void) => void;
  readonly isGone?: () => boolean;
  /** Words for an error of the stream. */
  readonly words: (error: Error) => string;
}

/** RTU frames over a stream of bytes: a serial port, or a converter behind a socket. */
export class RtuChannel implements Channel {
  readonly reopenAfterTimeout = false;
  readonly #stream: Duplex;
  readonly #events: ChannelEvents;
  readonly #options: RtuChannelOptions;
  #input: Buffer = nothing;
  #unit = 0;
  #request: Buffer = nothing;
  #sent: Buffer = nothing;
  /** The own request is still to be heard. */
  #awaitsEcho = false;
  #heard = false;

  constructor(stream: Duplex, events: ChannelEvents, options: RtuChannelOptions) {
    this.#stream = stream;
    this.#events = events;
    this.#options = options;
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('end', () => events.lost('was closed'));
    stream.on('error', (error: Error) => events.lost(options.words(error)));
    stream.on('close', () => events.lost('was closed'));
  }

  send(unit: number, pdu: Buffer): void {
    this.#input = nothing;
    this.#unit = unit;
    this.#request = pdu;
    this.#sent = rtuFrame(unit, pdu);
    this.#awaitsEcho = this.#options.echo;
    this.#heard = false;
    this.#stream.write(this.#sent);
  }

  async flush(): Promise<void> {
    const { flush } = this.#options;
    if (flush !== undefined) await new Promise<void>((resolve) => flush(resolve));
    this.#input = nothing;
  }

  hint(): string | undefined {
    if (this.#awaitsEcho) {
      return 'not even the echo of the request was heard: check the adapter, or set echo to false';
    }
    return this.#heard && !this.#options.echo
      ? 'the adapter hears what it sends: set echo to true'
      : undefined;
  }

  isGone(): boolean {
    return this.#options.isGone?.() ?? false;
  }

  close(): void {
    this.#stream.destroy();
  }

  #onData(chunk: Buffer): void {
    const input = this.#input.length === 0 ? chunk : Buffer.concat([this.#input, chunk]);
    this.#input = input.length > mostInput ? input.subarray(-mostInput / 2) : input;
    if (this.#sent.length === 0) return;
    if (this.#awaitsEcho || !this.#heard) this.#dropEcho();
    if (this.#awaitsEcho) return;
    const found = findAnswer(this.#input, this.#unit, this.#request);
    if (found === undefined) return;
    this.#input = nothing;
    if (found.skipped > 0) this.#events.noise();
    this.#events.answer(found.pdu, found.misfit);
  }

  #dropEcho(): void {
    const at = this.#input.indexOf(this.#sent);
    if (at < 0) return;
    this.#heard = true;
    if (!this.#awaitsEcho) return;
    this.#awaitsEcho = false;
    this.#input = this.#input.subarray(at + this.#sent.length);
  }
}
