import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AuthErrorCode, type AuthenticateError, type Client } from 'aedes';
import type { Part } from '../kernel/part.ts';
import { GatewayError } from '../model/errors.ts';
import type { GatewayId } from '../model/ids.ts';
import {
  type BrokerRole,
  brokerRoles,
  mayPublish,
  mayRetain,
  maySubscribe,
} from './broker-rights.ts';
import { PacketGuard } from './packet-guard.ts';

export interface EmbeddedBrokerOptions {
  readonly gateway: GatewayId;
  /** 0: any free port. */
  readonly port: number;
  readonly limits?: Partial<BrokerLimits>;
}

export interface BrokerLimits {
  readonly packetBytes: number;
  readonly clients: number;
  /** From the connection to the CONNECT packet. */
  readonly connectMs: number;
  /** A reader that takes nothing for this long is dropped. */
  readonly drainMs: number;
  /** Topics with a retained message. */
  readonly retainedTopics: number;
  readonly subscriptions: number;
}

export const brokerLimits: BrokerLimits = {
  packetBytes: 256 * 1024,
  clients: 32,
  connectMs: 5_000,
  drainMs: 10_000,
  retainedTopics: 10_000,
  subscriptions: 64,
};

export interface BrokerCredentials {
  readonly username: BrokerRole;
  readonly password: string;
}

const host = '127.0.0.1';
/** CONNACK codes of MQTT 3.1.1. */
const notAuthorised = 5 as AuthErrorCode;

/**
 * A small MQTT 3.1.1 broker for this machine: the demo's upstream, and a local bus for programs
 * beside the gateway. It keeps everything in memory, so its PUBACK never proves that anything is
 * safe.
 */
export class EmbeddedBroker implements Part {
  readonly name = 'embedded-broker';
  readonly #options: EmbeddedBrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #passwords: ReadonlyMap<BrokerRole, string>;
  readonly #roles = new WeakMap<Client, BrokerRole>();
  readonly #wills = new WeakMap<Client, string>();
  readonly #subscriptions = new WeakMap<Client, number>();
  readonly #sockets = new Set<Socket>();
  readonly #retained = new Set<string>();
  #broker: Aedes | undefined;
  #server: Server | undefined;
  #port = 0;
  #refused = 0;

  constructor(options: EmbeddedBrokerOptions) {
    this.#options = options;
    this.#limits = { ...brokerLimits, ...options.limits };
    this.#passwords = new Map(
      brokerRoles.map((role) => [role, randomBytes(24).toString('base64url')]),
    );
  }

  /** Connections, publishes and subscriptions that were refused. */
  get refused(): number {
    return this.#refused;
  }

  /** Without credentials; empty before start(). */
  get url(): string {
    return this.#port === 0 ? '' : `mqtt://${host}:${this.#port}`;
  }

  /** User name and password of a role; new at each start of the gateway. */
  credentialsFor(role: BrokerRole): BrokerCredentials {
    return { username: role, password: this.#passwords.get(role) ?? '' };
  }

  /** With the credentials of a role, as Uplink takes it for brokerUrl. */
  urlFor(role: BrokerRole): string {
    const { username, password } = this.credentialsFor(role);
    return `mqtt://${username}:${password}@${host}:${this.#port}`;
  }

  /** Rejects with PORT_IN_USE. */
  async start(): Promise<void> {
    const { port } = this.#options;
    this.#broker = await Aedes.createBroker({
      connectTimeout: this.#limits.connectMs,
      drainTimeout: this.#limits.drainMs,
      maxTopicLevels: 8,
      maxInflightInbound: 64,
      preConnect: (client, packet, done) => {
        // A session that outlives its connection would collect messages without a limit.
        packet.clean = true;
        if (packet.will !== undefined) this.#wills.set(client, packet.will.topic);
        done(null, true);
      },
      authenticate: (client, username, password, done) => {
        const role = this.#authenticate(client, username, password);
        if (role === undefined) {
          this.#refused += 1;
          const error: AuthenticateError = Object.assign(new Error('not authorised'), {
            returnCode: notAuthorised,
          });
          done(error, null);
          return;
        }
        this.#roles.set(client, role);
        done(null, true);
      },
      authorizePublish: (client, packet, done) => {
        const role = client === null ? undefined : this.#roles.get(client);
        if (role === undefined || !mayPublish(role, this.#options.gateway, packet.topic)) {
          this.#refused += 1;
          done(new Error('not authorised'));
          return;
        }
        packet.retain = packet.retain && this.#mayRetain(packet.topic, packet.payload.length);
        done(null);
      },
      authorizeSubscribe: (client, subscription, done) => {
        const role = this.#roles.get(client);
        const count = (this.#subscriptions.get(client) ?? 0) + 1;
        const allowed =
          role !== undefined &&
          count <= this.#limits.subscriptions &&
          maySubscribe(role, this.#options.gateway, subscription.topic);
        if (allowed) this.#subscriptions.set(client, count);
        else this.#refused += 1;
        done(null, allowed ? subscription : null);
      },
      authorizeForward: (_client, packet) => (packet.topic.startsWith('$') ? null : packet),
    });
    // Errors of single clients end their connection; there is nothing else to do about them.
    this.#broker.on('clientError', () => {});
    this.#broker.on('connectionError', () => {});
    const server = createServer((socket) => this.#serve(socket));
    server.maxConnections = this.#limits.clients;
    this.#server = server;
    try {
      server.listen(port, host);
      await once(server, 'listening');
    } catch (cause) {
      await this.close();
      throw new GatewayError('PORT_IN_USE', `port ${port} of ${host} cannot be opened`, { cause });
    }
    const address = server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  async close(): Promise<void> {
    const [server, broker] = [this.#server, this.#broker];
    this.#server = undefined;
    this.#broker = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (broker !== undefined) await new Promise<void>((resolve) => broker.close(() => resolve()));
    if (server?.listening === true) await new Promise((resolve) => server.close(resolve));
  }

  #serve(socket: Socket): void {
    const broker = this.#broker;
    if (broker === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.once('close', () => this.#sockets.delete(socket));
    broker.handle(socket);
    const guard = new PacketGuard(this.#limits.packetBytes);
    // After aedes has begun to read: each chunk passes here before read() gives it to the parser.
    socket.on('data', (chunk: Buffer) => {
      if (guard.pass(chunk)) return;
      this.#refused += 1;
      socket.destroy();
    });
  }

  /** The role of a client, if name, password, client id and will fit together. */
  #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): BrokerRole | undefined {
    const role = brokerRoles.find((name) => name === username);
    if (role === undefined || !samePassword(this.#passwords.get(role), password)) return undefined;
    const { gateway } = this.#options;
    // Nobody else takes over the connection of the gateway by using its client id.
    if (client.id.startsWith(`${gateway}.`) !== (role === 'gateway')) return undefined;
    const will = this.#wills.get(client);
    if (will !== undefined && !mayPublish(role, gateway, will)) return undefined;
    return role;
  }

  #mayRetain(topic: string, bytes: number): boolean {
    if (!mayRetain(topic)) return false;
    if (bytes === 0) this.#retained.delete(topic);
    else if (this.#retained.size < this.#limits.retainedTopics) this.#retained.add(topic);
    return bytes === 0 || this.#retained.has(topic);
  }
}

function samePassword(expected: string | undefined, given: Buffer | undefined): boolean {
  if (expected === undefined || given === undefined) return false;
  const bytes = Buffer.from(expected);
  return bytes.length === given.length && timingSafeEqual(bytes, given);
}
