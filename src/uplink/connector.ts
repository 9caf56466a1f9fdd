import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Clock } from '../model/clock.ts';
import { GatewayError } from '../model/errors.ts';
import type { SecretRef, Settings } from '../model/site.ts';
import type { BrokerAddress } from './broker-address.ts';
import { dial } from './dial.ts';
import { explain } from './explain.ts';
import type { Attempt, Failure } from './failure.ts';
import { MqttSession, type ProtocolVersion, type SessionOptions } from './mqtt-session.ts';
import { type LoadedTls, loadTls } from './tls.ts';

export interface ConnectorLimits {
  readonly dialMs: number;
  readonly connackMs: number;
  /** A publish that the broker has not acknowledged for this long ends the connection. */
  readonly ackMs: number;
  /** A broker that speaks only 3.1.1 is asked for 5 again after this long. */
  readonly retryNewerMs: number;
}

export const connectorLimits: ConnectorLimits = {
  dialMs: 10_000,
  connackMs: 10_000,
  ackMs: 30_000,
  retryNewerMs: 3_600_000,
};

export interface ConnectorOptions {
  readonly settings: Settings['uplink'];
  readonly address: BrokerAddress;
  readonly clientId: string;
  readonly will: SessionOptions['will'];
  readonly clock: Clock;
  readonly limits: ConnectorLimits;
  readonly resolveSecret: (ref: SecretRef) => Promise<string>;
  readonly onMessage: SessionOptions['onMessage'];
  readonly onRoom: () => void;
  /** The gateway's own certificate, each time it has been read. */
  readonly onCertificate: (certificate: X509Certificate) => void;
}

/** What connect() gives: a session, or why there is none. */
export type Connected = { readonly session: MqttSession } | { readonly failure: Failure };

/** Opens sessions to one broker: secrets, TLS, MQTT 5 and the way back to 3.1.1. */
export class Connector {
  readonly #options: ConnectorOptions;
  /** Monotonic time until which the broker is taken to speak 3.1.1 only. */
  #olderUntil = Number.NEGATIVE_INFINITY;
  #attempt: Attempt;

  constructor(options: ConnectorOptions) {
    this.#options = options;
    this.#attempt = this.#newAttempt(undefined);
  }

  /** Never rejects, but for the signal's reason. */
  async connect(window: number, signal: AbortSignal): Promise<Connected> {
    const { settings, clock, limits } = this.#options;
    const first = this.#firstVersion();
    const result = await this.#try(first, window, signal);
    if ('session' in result || first === 4 || settings.protocol !== 'auto') return result;
    if (result.failure.tryOlder !== true) return result;
    const older = await this.#try(4, window, signal);
    if ('session' in older) {
      this.#olderUntil = clock.monotonic() + limits.retryNewerMs;
      return older;
    }
    // The one that came further knows better what is wrong.
    return older.failure.tryOlder === true ? result : older;
  }

  /** Why a session that was open has ended. */
  explain(reason: unknown): Failure {
    return explain(reason, this.#attempt);
  }

  #firstVersion(): ProtocolVersion {
    const { settings, clock } = this.#options;
    if (settings.protocol !== 'auto') return settings.protocol === 'mqtt5' ? 5 : 4;
    return clock.monotonic() < this.#olderUntil ? 4 : 5;
  }

  async #try(version: ProtocolVersion, window: number, signal: AbortSignal): Promise<Connected> {
    const { settings, address, clock, limits, onMessage, onRoom, clientId, will } = this.#options;
    let peer: X509Certificate | undefined;
    let tls: LoadedTls | undefined;
    let socket: Socket | undefined;
    try {
      this.#attempt = this.#newAttempt(undefined);
      const password = address.password ?? (await this.#password());
      if (address.secure) {
        tls = await loadTls(settings.tls, this.#options.resolveSecret);
        if (tls.certificate !== undefined) this.#options.onCertificate(tls.certificate);
      }
      socket = await dial({
        host: address.host,
        port: address.port,
        timeoutMs: limits.dialMs,
        clock,
        signal,
        onPeer: (certificate) => {
          peer = certificate;
        },
        ...(tls === undefined ? {} : { tls: tls.options }),
      });
      const opening = MqttSession.open(socket, {
        version,
        clientId,
        username: address.username ?? (settings.username === '' ? undefined : settings.username),
        password,
        keepaliveS: settings.keepaliveS,
        will,
        window,
        clock,
        connackTimeoutMs: limits.connackMs,
        ackTimeoutMs: limits.ackMs,
        onMessage,
        onRoom,
      });
      const stop = () => socket?.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        return { session: await opening };
      } finally {
        signal.removeEventListener('abort', stop);
      }
    } catch (error) {
      signal.throwIfAborted();
      this.#attempt = this.#newAttempt(peer);
      return { failure: explain(error, this.#attempt) };
    }
  }

  async #password(): Promise<string | undefined> {
    const { settings, resolveSecret } = this.#options;
    if (settings.password === null) return undefined;
    try {
      return await resolveSecret(settings.password);
    } catch (thrown) {
      throw GatewayError.from(
        thrown,
        'SECRET_UNRESOLVED',
        'the secret of uplink.password cannot be read',
      );
    }
  }

  #newAttempt(peer: X509Certificate | undefined): Attempt {
    const { address, settings, clock } = this.#options;
    const { host, port, secure } = address;
    return { host, port, secure, clientCertificate: settings.tls.certificate !== '', peer, clock };
  }
}
