import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A TCP client that knows nothing of Modbus but the length field, so that it sees every byte. */
export class RawClient {
  readonly socket: Socket;
  readonly #news = new EventEmitter();
  #bytes = Buffer.alloc(0);
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#news.emit('heard');
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.#news.emit('heard'));
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    const client = new RawClient(socket);
    await once(socket, 'connect', { signal: AbortSignal.timeout(5000) });
    return client;
  }

  /** Everything that has arrived and was not taken. */
  get unread(): Buffer {
    return this.#bytes;
  }

  /** The code of the error that ended the connection, such as ECONNRESET. */
  get error(): string | undefined {
    return (this.#error as NodeJS.ErrnoException | undefined)?.code;
  }

  send(...bytes: Buffer[]): void {
    for (const part of bytes) this.socket.write(part);
  }

  /** The next frame as its length field cuts it. */
  async frame(): Promise<Buffer> {
    const header = await this.#available(6);
    return await this.take(6 + header.readUInt16BE(4));
  }

  /** The next so many bytes. */
  async take(count: number): Promise<Buffer> {
    const bytes = await this.#available(count);
    this.#bytes = this.#bytes.subarray(count);
    return bytes.subarray(0, count);
  }

  /** Sends one request and takes one frame. */
  async ask(request: Buffer): Promise<Buffer> {
    this.send(request);
    return await this.frame();
  }

  /** Settles when the server has ended the connection. */
  async closed(): Promise<void> {
    const signal = AbortSignal.timeout(10_000);
    while (!this.socket.closed) await once(this.#news, 'heard', { signal });
  }

  close(): void {
    this.socket.destroy();
  }

  async #available(count: number): Promise<Buffer> {
    const signal = AbortSignal.timeout(10_000);
    while (this.#bytes.length < count) {
      if (this.socket.closed) {
        throw new Error(`connection ended after ${this.#bytes.length} of ${count} bytes`);
      }
      await once(this.#news, 'heard', { signal });
    }
    return this.#bytes;
  }
}

/** A request frame: function code and the 16-bit numbers or bytes behind it. */
export function request(
  transaction: number,
  unit: number,
  code: number,
  words: readonly number[],
  tail: Buffer = Buffer.alloc(0),
): Buffer {
  const frame = Buffer.alloc(8 + words.length * 2 + tail.length);
  frame.writeUInt16BE(transaction, 0);
  frame.writeUInt16BE(frame.length - 6, 4);
  frame[6] = unit;
  frame[7] = code;
  for (const [n, word] of words.entries()) frame.writeUInt16BE(word, 8 + n * 2);
  tail.copy(frame, 8 + words.length * 2);
  return frame;
}
