import type { Duplex } from 'node:stream';

/** Longest frame that either end takes or sends, in bytes of JSON. */
export const maxFrameBytes = 1_048_576;

const headBytes = 4;
/** At least `{}`. */
const minFrameBytes = 2;
const bigMark = Buffer.from('"$big"');

/** Something that is no frame: the end that sent it cannot be trusted any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const bigToJson = (_key: string, value: unknown) =>
  typeof value === 'bigint' ? { $big: value.toString() } : value;

const jsonToBig = (_key: string, value: unknown) => {
  if (typeof value !== 'object' || value === null || !('$big' in value)) return value;
  const digits = value.$big;
  return typeof digits === 'string' && /^-?\d{1,40}$/.test(digits) ? BigInt(digits) : value;
};

/** A message as it travels; throws FrameError when it is longer than a frame may be. */
export function encodeFrame(message: object): Buffer {
  let text: string;
  try {
    text = JSON.stringify(message);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // A replacer makes every message several times dearer, and a bigint is rare: so only now.
    text = JSON.stringify(message, bigToJson);
  }
  const length = Buffer.byteLength(text);
  if (length > maxFrameBytes) {
    throw new FrameError(`a frame of ${length} bytes is longer than ${maxFrameBytes}`);
  }
  const frame = Buffer.allocUnsafe(headBytes + length);
  frame.writeUInt32LE(length, 0);
  frame.write(text, headBytes, 'utf8');
  return frame;
}

function decodeBody(bytes: Buffer): object {
  let message: unknown;
  try {
    const text = bytes.toString('utf8');
    message = bytes.includes(bigMark) ? JSON.parse(text, jsonToBig) : JSON.parse(text);
  } catch (cause) {
    throw new FrameError('a frame is no JSON', { cause });
  }
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new FrameError('a frame is no JSON object');
  }
  return message;
}

/** Cuts a stream of bytes into messages. Each byte is copied once at most. */
export class FrameDecoder {
  readonly #head = Buffer.alloc(headBytes);
  #headFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;

  /** Calls back for every message that is complete; throws FrameError at the first that is none. */
  push(chunk: Buffer, take: (message: object) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body !== undefined) {
        at += this.#fill(this.#body, chunk, at, take);
        continue;
      }
      const part = Math.min(headBytes - this.#headFilled, chunk.length - at);
      chunk.copy(this.#head, this.#headFilled, at, at + part);
      this.#headFilled += part;
      at += part;
      if (this.#headFilled < headBytes) return;
      this.#headFilled = 0;
      at += this.#begin(this.#head.readUInt32LE(0), chunk, at, take);
    }
  }

  #begin(length: number, chunk: Buffer, at: number, take: (message: object) => void): number {
    if (length > maxFrameBytes || length < minFrameBytes) {
      throw new FrameError(`a frame announces ${length} bytes; ${maxFrameBytes} are allowed`);
    }
    if (chunk.length - at >= length) {
      take(decodeBody(chunk.subarray(at, at + length)));
      return length;
    }
    this.#body = Buffer.allocUnsafe(length);
    this.#bodyFilled = 0;
    return 0;
  }

  #fill(body: Buffer, chunk: Buffer, at: number, take: (message: object) => void): number {
    const part = Math.min(body.length - this.#bodyFilled, chunk.length - at);
    chunk.copy(body, this.#bodyFilled, at, at + part);
    this.#bodyFilled += part;
    if (this.#bodyFilled === body.length) {
      this.#body = undefined;
      take(decodeBody(body));
    }
    return part;
  }
}

/** What the owner of a channel is told. */
export interface ChannelListener<In> {
  message(message: In): void;
  /** The other end sent something that is no frame; the channel is closed. */
  failed(error: Error): void;
  /** The other end has taken what was sent; after a send() that said false. */
  drained(): void;
  /** Nothing will come any more. Called once. */
  closed(): void;
}

/** Messages both ways over one stream, used by kernel and driver process alike. */
export class FrameChannel<In, Out extends object> {
  readonly #stream: Duplex;
  readonly #listener: ChannelListener<In>;
  readonly #decoder = new FrameDecoder();
  #open = false;

  constructor(stream: Duplex, listener: ChannelListener<In>) {
    this.#stream = stream;
    this.#listener = listener;
  }

  /** Begins to listen. */
  open(): void {
    this.#open = true;
    const take = (message: object) => {
      if (this.#open) this.#listener.message(message as In);
    };
    this.#stream.on('data', (chunk: Buffer) => {
      if (!this.#open) return;
      try {
        this.#decoder.push(chunk, take);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    this.#stream.on('drain', () => {
      if (this.#open) this.#listener.drained();
    });
    // A reset is an end like another: the process of the other end tells more about it.
    this.#stream.on('error', () => this.#end());
    this.#stream.on('end', () => this.#end());
    this.#stream.on('close', () => this.#end());
  }

  /** False when the other end is slow and drained() should be awaited, or when the channel is closed. */
  send(message: Out): boolean {
    return this.#open && this.#stream.write(encodeFrame(message));
  }

  /** Bytes that the other end has not taken yet. */
  get waitingBytes(): number {
    return this.#stream.writableLength;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  close(): void {
    this.#open = false;
    this.#stream.destroy();
  }

  #fail(error: Error): void {
    if (!this.#open) return;
    this.#listener.failed(error);
    this.#end();
  }

  #end(): void {
    if (!this.#open) return;
    this.close();
    this.#listener.closed();
  }
}
