import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { type IClientOptions, type IConnackPacket, type IStore, MqttClient } from 'mqtt';
import type { Clock } from '../model/clock.ts';
import { SessionError } from './explain.ts';
import { PacketGuard } from './packet-guard.ts';

/** MQTT 5, or 3.1.1. */
export type ProtocolVersion = 5 | 4;

export interface SessionOptions {
  readonly version: ProtocolVersion;
  readonly clientId: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepaliveS: number;
  /** Published by the broker, retained, when the connection breaks. */
  readonly will: { readonly topic: string; readonly payload: string };
  /** Unacknowledged publishes at most, whatever the broker allows. */
  readonly window: number;
  readonly clock: Clock;
  readonly connackTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly onMessage: (topic: string, payload: Buffer, retained: boolean) => void;
  /** Room for another publish has come up. */
  readonly onRoom: () => void;
}

/** What the publisher needs of a connection. */
export interface Pipe {
  /** How many more may be published before one is acknowledged. */
  readonly free: number;
  /** Largest packet that the broker takes, in bytes. */
  readonly maximumPacketSize: number;
  /** Publishes with QoS 1; `done` gets the reason code of the PUBACK, 0 on MQTT 3.1.1. Never called after the connection has ended. */
  publish(
    topic: string,
    payload: Uint8Array | string,
    retain: boolean,
    done: (reasonCode: number) => void,
  ): void;
}

/** Packets to the gateway are acks and commands: small. */
const inboundLimitBytes = 64 * 1024;
const watchMs = 500;
/** MQTT's own limit of a packet. */
const largestPacket = 268_435_455;

/** mqtt.js would keep a copy of each publish and send it again by itself; the outbox does that. */
const forgetfulStore = (): IStore => {
  const store: IStore = {
    put: (_packet, done) => {
      done();
      return store;
    },
    del: (packet, done) => {
      done(undefined, packet as never);
      return store;
    },
    get: (_packet, done) => {
      done(new Error('nothing is kept'));
      return store;
    },
    createStream: () => new Readable({ objectMode: true, read: endAtOnce }) as never,
    close: (done) => done(),
  };
  return store;
};

function endAtOnce(this: Readable): void {
  this.push(null);
}

/** One MQTT connection from CONNECT to its end. It never reconnects: a new one is made instead. */
export class MqttSession implements Pipe {
  readonly version: ProtocolVersion;
  /** Resolves with the reason when the connection has ended, by whomever. */
  readonly ended: Promise<unknown>;
  readonly #options: SessionOptions;
  readonly #client: MqttClient;
  readonly #socket: Socket;
  /** When each publish went out that is not acknowledged yet, the oldest first. */
  readonly #pending = new Set<{ readonly sentAt: number }>();
  #limit = 1;
  #receiveMaximum = 65_535;
  #maximumPacketSize = largestPacket;
  #retain = true;
  #heardAt: number;
  #pinged = false;
  #over = false;
  #watch: Disposable | undefined;
  #socketError: unknown;
  #resolveEnded: (reason: unknown) => void = () => {};

  private constructor(socket: Socket, client: MqttClient, options: SessionOptions) {
    this.version = options.version;
    this.#options = options;
    this.#client = client;
    this.#socket = socket;
    this.#heardAt = options.clock.monotonic();
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  /** Sends CONNECT on an open stream. Rejects with a SessionError or a socket's error, the stream closed. */
  static async open(socket: Socket, options: SessionOptions): Promise<MqttSession> {
    const client = new MqttClient(() => socket as never, clientOptions(options));
    const session = new MqttSession(socket, client, options);
    const guard = new PacketGuard(inboundLimitBytes);
    // Before the parser of mqtt.js, which listens from a later tick on at the earliest.
    socket.prependListener('data', (chunk: Buffer) => {
      if (!session.#over && !guard.pass(chunk)) session.#end(new SessionError('too-large'));
    });
    const connack = session.#awaitConnack();
    client.on('message', (topic, payload, packet) => {
      if (!session.#over) options.onMessage(topic, payload, packet.retain);
    });
    session.#accept(await connack);
    return session;
  }

  get free(): number {
    return this.#over ? 0 : this.#limit - this.#pending.size;
  }

  get maximumPacketSize(): number {
    return this.#maximumPacketSize;
  }

  /** Allows so many unacknowledged publishes, or as many as the broker allows if that is less. */
  limitTo(window: number): void {
    this.#limit = Math.max(1, Math.min(window, this.#receiveMaximum));
  }

  /** Bytes that the network has not taken yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength;
  }

  /** Acknowledged publishes still missing. */
  get unacknowledged(): number {
    return this.#pending.size;
  }

  publish(
    topic: string,
    payload: Uint8Array | string,
    retain: boolean,
    done: (reasonCode: number) => void,
  ): void {
    if (this.#over) return;
    const entry = { sentAt: this.#options.clock.monotonic() };
    this.#pending.add(entry);
    const body = typeof payload === 'string' ? payload : asBuffer(payload);
    this.#client.publish(topic, body, { qos: 1, retain: retain && this.#retain }, (error) => {
      if (this.#over) return;
      const code = error === undefined || error === null ? 0 : reasonCodeOf(error);
      // An error without a code is the end of the connection, which is told elsewhere.
      if (code === undefined) return;
      this.#pending.delete(entry);
      done(code);
      this.#options.onRoom();
    });
  }

  /** Publishes with QoS 0, retained where the broker can; left out when the network is behind. */
  tell(topic: string, payload: string): void {
    if (this.#over) return;
    this.#client.publish(topic, payload, { qos: 0, retain: this.#retain });
  }

  /** Resolves with the filters that the broker refused. Rejects when it does not answer. */
  subscribe(filters: readonly string[]): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimeout(() => {
        const error = new SessionError('subscribe-timeout');
        this.#end(error);
        reject(error);
      }, this.#options.connackTimeoutMs);
      this.#client.subscribe([...filters], { qos: 1 }, (error, _granted, packet) => {
        timer[Symbol.dispose]();
        const codes = (packet as { granted?: readonly unknown[] } | undefined)?.granted;
        if (codes !== undefined) {
          resolve(filters.filter((_, index) => Number(codes[index] ?? 0) >= 0x80));
        } else if (error === null || error === undefined) resolve([]);
        else reject(this.#socketError ?? new SessionError('closed', undefined, { cause: error }));
      });
    });
  }

  /** Says goodbye: the broker does not publish the will. Resolves when the stream is closed. */
  async close(limitMs: number): Promise<void> {
    if (this.#over) return;
    this.#watch?.[Symbol.dispose]();
    const closed = new Promise<void>((resolve) => {
      this.#socket.once('close', () => resolve());
    });
    const timer = setTimeout(() => this.#end(new SessionError('closed')), limitMs);
    // end() waits for the acks of what is outstanding, which may never come.
    for (const id of Object.keys(this.#client.outgoing)) {
      this.#client.removeOutgoingMessage(Number(id));
    }
    this.#client.end(false);
    await closed;
    clearTimeout(timer);
    this.#end(new SessionError('closed'));
  }

  /** Ends the connection at once; the broker publishes the will. */
  abort(): void {
    this.#end(new SessionError('closed'));
  }

  #awaitConnack(): Promise<IConnackPacket> {
    const client = this.#client;
    const { connackTimeoutMs, clock } = this.#options;
    return new Promise((resolve, reject) => {
      let connected = false;
      const timer = clock.setTimeout(
        () => fail(new SessionError('connack-timeout')),
        connackTimeoutMs,
      );
      const fail = (error: unknown) => {
        timer[Symbol.dispose]();
        this.#end(error);
        reject(error);
      };
      // Before mqtt.js, which passes the same error on as its own.
      this.#socket.prependListener('error', (error: Error) => {
        this.#socketError ??= error;
      });
      client.once('connect', (packet) => {
        connected = true;
        timer[Symbol.dispose]();
        resolve(packet);
      });
      client.on('packetreceive', (packet) => {
        this.#heardAt = clock.monotonic();
        this.#pinged = false;
        if (!connected && packet.cmd !== 'connack') fail(new SessionError('not-mqtt'));
      });
      client.on('disconnect', (packet) => {
        this.#end(new SessionError('disconnect', packet.reasonCode ?? 0));
      });
      client.on('error', (error) => {
        const failure = this.#socketTrouble(connected) ?? mqttTrouble(error, connected);
        if (connected) this.#end(failure);
        else fail(failure);
      });
      client.on('close', () => {
        const failure =
          this.#socketTrouble(connected) ?? new SessionError(connected ? 'closed' : 'closed-early');
        if (connected) this.#end(failure);
        else fail(failure);
      });
    });
  }

  /** What the network says; a connection reset before the answer is one that was closed early. */
  #socketTrouble(connected: boolean): unknown {
    const error = this.#socketError;
    const code = (error as { code?: unknown } | undefined)?.code;
    const reset = code === 'ECONNRESET' || code === 'EPIPE';
    return reset && !connected
      ? new SessionError('closed-early', undefined, { cause: error })
      : error;
  }

  #accept(connack: IConnackPacket): void {
    const { receiveMaximum, maximumPacketSize, maximumQoS, retainAvailable } =
      connack.properties ?? {};
    if (maximumQoS === 0) {
      const error = new SessionError('no-qos1');
      this.#end(error);
      throw error;
    }
    this.#receiveMaximum = receiveMaximum ?? 65_535;
    this.limitTo(this.#options.window);
    this.#maximumPacketSize = maximumPacketSize ?? largestPacket;
    this.#retain = retainAvailable !== false;
    this.#watchOver();
  }

  /** Notices a dead connection: mqtt.js takes its own sending for a sign of life. */
  #watchOver(): void {
    const { clock, ackTimeoutMs } = this.#options;
    this.#watch = clock.setTimeout(() => {
      if (this.#over) return;
      const now = clock.monotonic();
      const [oldest] = this.#pending;
      // The broker may ask for a shorter keepalive than ours (MQTT 5.0, 3.2.2.3.14).
      const keepaliveMs = this.#client.keepalive * 1_000;
      const silentMs = now - this.#heardAt;
      if (oldest !== undefined && now - oldest.sentAt > ackTimeoutMs) {
        this.#end(new SessionError('ack-timeout'));
      } else if (keepaliveMs > 0 && silentMs > keepaliveMs * 1.5) {
        this.#end(new SessionError('silent'));
      } else {
        if (keepaliveMs > 0 && !this.#pinged && silentMs > keepaliveMs * 0.75) {
          this.#pinged = true;
          this.#client.sendPing();
        }
        this.#watchOver();
      }
    }, watchMs);
  }

  #end(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#watch?.[Symbol.dispose]();
    this.#pending.clear();
    this.#socket.destroy();
    // An error after the end (a late TLS alert) must not find the client without a listener.
    this.#client.on('error', () => {});
    this.#resolveEnded(reason);
  }
}

function clientOptions(options: SessionOptions): IClientOptions {
  const { version, clientId, username, password, keepaliveS, will } = options;
  return {
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    keepalive: keepaliveS,
    // Pings are sent by #watchOver().
    timerVariant: { set: () => 0 as never, clear: () => {} },
    connectTimeout: options.connackTimeoutMs * 2,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
    outgoingStore: forgetfulStore(),
    incomingStore: forgetfulStore(),
    ...(version === 5 ? { properties: { maximumPacketSize: inboundLimitBytes } } : {}),
  };
}

function mqttTrouble(error: Error, connected: boolean): SessionError {
  const code = reasonCodeOf(error);
  if (!connected && code !== undefined) return new SessionError('connack', code);
  if (/connack timeout/i.test(error.message)) return new SessionError('connack-timeout');
  return new SessionError('not-mqtt', undefined, { cause: error });
}

function reasonCodeOf(error: object): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

/** The same bytes as a Buffer, without a copy. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
