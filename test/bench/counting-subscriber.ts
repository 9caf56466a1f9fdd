import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import process from 'node:process';

const publish = 3;
const subscriptionAccepted = 9;

/**
 * Counts the messages of a broker, and does nothing else with them: a client that parsed them would
 * take the CPU that is to be measured. MQTT 3.1.1, QoS 0.
 */
export class CountingSubscriber {
  readonly #port: number;
  readonly #filter: string;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #count = 0;
  #bytes = 0;
  #firstAt: number | undefined;
  #lastAt = 0;
  readonly #waiting: { readonly count: number; readonly resolve: (at: number) => void }[] = [];

  constructor(port: number, filter: string) {
    this.#port = port;
    this.#filter = filter;
  }

  get count(): number {
    return this.#count;
  }

  /** Of topics and payloads. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the first and the last message came, by performance.now(). */
  get span(): { readonly first: number; readonly last: number } {
    return { first: this.#firstAt ?? Number.NaN, last: this.#lastAt };
  }

  /** Resolves when the broker has accepted the subscription. */
  async start(): Promise<void> {
    const socket = connect(this.#port, '127.0.0.1');
    this.#socket = socket;
    await once(socket, 'connect');
    socket.setNoDelay(true);
    const subscribed = Promise.withResolvers<void>();
    socket.on('error', (error) => subscribed.reject(error));
    socket.on('close', () => subscribed.reject(new Error('the broker closed the connection')));
    socket.on('data', (chunk: Buffer) => this.#take(chunk, subscribed.resolve));
    socket.write(connectPacket(`count-${process.pid}-${this.#port}`));
    socket.write(subscribePacket(this.#filter));
    await subscribed.promise;
  }

  /** Resolves with the time at which so many messages had come. Rejects at the deadline. */
  async reached(count: number, deadlineMs: number): Promise<number> {
    if (this.#count >= count) return this.#lastAt;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.push({ count, resolve });
    const late = () => reject(new Error(`${this.#count} of ${count} in ${deadlineMs} ms`));
    const timer = setTimeout(late, deadlineMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#socket?.destroy();
  }

  #take(chunk: Buffer, subscribed: () => void): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const packet = packetAt(data, at);
      if (packet === undefined) break;
      at = packet.end;
      if (packet.kind === subscriptionAccepted) subscribed();
      if (packet.kind === publish) this.#counted(packet.end - packet.body - 2);
    }
    this.#rest = data.subarray(at);
  }

  #counted(bytes: number): void {
    this.#count += 1;
    this.#bytes += bytes;
    this.#lastAt = performance.now();
    this.#firstAt ??= this.#lastAt;
    for (const { count, resolve } of this.#waiting) {
      if (count === this.#count) resolve(this.#lastAt);
    }
  }
}

function packetAt(
  data: Buffer,
  at: number,
): { readonly kind: number; readonly body: number; readonly end: number } | undefined {
  let length = 0;
  for (let n = 0; n < 4; n += 1) {
    const byte = data[at + 1 + n];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** n;
    if (byte < 0x80) {
      const body = at + 2 + n;
      const end = body + length;
      return end > data.length ? undefined : { kind: (data[at] ?? 0) >> 4, body, end };
    }
  }
  return undefined;
}

/** MQTT-Connect: protocol MQTT 4, clean session, no keep-alive. */
function connectPacket(client: string): Buffer {
  const body = Buffer.concat([text('MQTT'), Buffer.from([4, 2, 0, 0]), text(client)]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

function subscribePacket(filter: string): Buffer {
  const body = Buffer.concat([Buffer.from([0, 1]), text(filter), Buffer.from([0])]);
  return Buffer.concat([Buffer.from([0x82, body.length]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
