import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type Packet,
  parser,
} from 'mqtt-packet';

/** How the broker behaves; a test changes it while it runs. */
export interface Behaviour {
  /** Answer to a CONNECT; false: none. */
  connack?: (packet: IConnectPacket) => Partial<IConnackPacket> | false;
  /** Bytes instead of an answer to CONNECT. */
  greeting?: Buffer;
  /** What to do with a publish; by default it is acknowledged. */
  publish?: (packet: IPublishPacket, connection: BadConnection) => void;
  /** Takes no more bytes from the network after the CONNACK. */
  deaf?: boolean;
}

/** One connection as the broker sees it. */
export class BadConnection {
  readonly version: number;
  readonly #socket: Socket;
  /** Publishes on this connection. */
  published = 0;
  /** QoS 1 publishes that are not acknowledged yet, and the most there ever were. */
  outstanding = 0;
  mostOutstanding = 0;

  constructor(socket: Socket, version: number) {
    this.#socket = socket;
    this.version = version;
  }

  ack(messageId: number | undefined, reasonCode = 0): void {
    this.outstanding -= 1;
    this.send({
      cmd: 'puback',
      messageId: messageId ?? 0,
      ...(this.version === 5 ? { reasonCode } : {}),
    } as Packet);
  }

  send(packet: Packet): void {
    if (this.#socket.writable)
      this.#socket.write(generate(packet, { protocolVersion: this.version }));
  }

  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A broker on mqtt-packet that does what a script says, for faults that no real broker shows on demand. */
export class BadBroker {
  readonly behaviour: Behaviour;
  readonly connects: IConnectPacket[] = [];
  readonly connections: BadConnection[] = [];
  /** Everything that was published, in the order of arrival. */
  readonly received: IPublishPacket[] = [];
  readonly #server: Server;
  /** DISCONNECT packets. */
  goodbyes = 0;
  readonly #silent = new Set<Socket>();
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();
  #port = 0;

  constructor(behaviour: Behaviour = {}) {
    this.behaviour = behaviour;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Resolves when something is so; looked at after each packet. */
  async until(what: () => boolean, limitMs = 15_000): Promise<void> {
    const giveUpAt = performance.now() + limitMs;
    while (!what()) {
      if (performance.now() > giveUpAt) throw new Error(`not within ${limitMs} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, 20);
        const waiting = this.#waiting;
        function done() {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
        waiting.add(done);
      });
    }
  }

  /** Publishes to everybody who is connected. */
  say(topic: string, payload: string, retain = false): void {
    for (const connection of this.connections) {
      connection.send({
        cmd: 'publish',
        topic,
        payload,
        qos: 0,
        retain,
        dup: false,
      } as IPublishPacket);
    }
  }

  /** Closes the connections that got no answer to their CONNECT. */
  dropSilent(): void {
    for (const socket of this.#silent) socket.destroy();
    this.#silent.clear();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    const packets = parser();
    let connection: BadConnection | undefined;
    packets.on('error', () => socket.destroy());
    packets.on('packet', (packet) => {
      if (packet.cmd === 'connect') connection = this.#connect(socket, packet);
      else if (connection !== undefined) this.#packet(packet, connection);
      for (const look of this.#waiting) look();
    });
    socket.on('data', (chunk: Buffer) => {
      packets.parse(chunk);
    });
  }

  #connect(socket: Socket, packet: IConnectPacket): BadConnection | undefined {
    this.connects.push(packet);
    const { connack, greeting, deaf } = this.behaviour;
    if (greeting !== undefined) {
      socket.write(greeting);
      return undefined;
    }
    const version = packet.protocolVersion ?? 4;
    const answer = connack?.(packet) ?? {};
    if (answer === false) {
      this.#silent.add(socket);
      return undefined;
    }
    const connection = new BadConnection(socket, version);
    const code = answer.reasonCode ?? answer.returnCode ?? 0;
    connection.send({
      cmd: 'connack',
      sessionPresent: false,
      ...(version === 5 ? { reasonCode: code } : { returnCode: code }),
      ...(answer.properties === undefined ? {} : { properties: answer.properties }),
    } as IConnackPacket);
    if (code !== 0) {
      socket.end();
      return undefined;
    }
    if (deaf === true) socket.pause();
    this.connections.push(connection);
    return connection;
  }

  #packet(packet: Packet, connection: BadConnection): void {
    if (packet.cmd === 'pingreq') connection.send({ cmd: 'pingresp' });
    else if (packet.cmd === 'disconnect') this.goodbyes += 1;
    else if (packet.cmd === 'subscribe') {
      connection.send({
        cmd: 'suback',
        messageId: packet.messageId ?? 0,
        granted: packet.subscriptions.map(({ qos }) => qos),
      } as Packet);
    } else if (packet.cmd === 'publish') {
      connection.published += 1;
      this.received.push(packet);
      if (packet.qos === 0) return;
      connection.outstanding += 1;
      connection.mostOutstanding = Math.max(connection.mostOutstanding, connection.outstanding);
      if (this.behaviour.publish === undefined) connection.ack(packet.messageId);
      else this.behaviour.publish(packet, connection);
    }
  }
}
