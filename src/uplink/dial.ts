import type { X509Certificate } from 'node:crypto';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '../model/clock.ts';
import { SessionError } from './explain.ts';
import type { TlsOptions } from './tls.ts';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Absent for a connection without TLS. */
  readonly tls?: TlsOptions;
  readonly timeoutMs: number;
  readonly clock: Pick<Clock, 'setTimeout'>;
  readonly signal: AbortSignal;
  /** Told the certificate before it is judged, so that a refusal can be explained. */
  readonly onPeer: (certificate: X509Certificate | undefined) => void;
}

/**
 * Opens the byte stream to a broker, verified to the end: nothing is written before the broker has
 * proved who it is, so that no password reaches an impostor.
 */
export function dial(options: DialOptions): Promise<Socket> {
  const { host, port, tls, timeoutMs, clock, signal, onPeer } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const socket: Socket =
      tls === undefined
        ? connectPlain({ host, port, noDelay: true, keepAlive: true })
        : connectTls({
            host,
            port,
            ...tls,
            ...(tls.servername === undefined && isIP(host) === 0 ? { servername: host } : {}),
          });
    const done = (error?: unknown) => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', stop);
      socket.off('error', done);
      socket.off('close', closed);
      if (error === undefined) {
        socket.setNoDelay(true);
        resolve(socket);
      } else {
        // What a dying socket still says has no listener otherwise and would end the process.
        socket.on('error', () => {});
        socket.destroy();
        // A handshake that is broken off comes as a reset connection or as nothing at all.
        const brokenOff = tls !== undefined && (error as { code?: unknown }).code === 'ECONNRESET';
        reject(brokenOff ? new SessionError('handshake', undefined, { cause: error }) : error);
      }
    };
    const stop = () => done(signal.reason);
    const closed = () => done(new SessionError('handshake'));
    const timer = clock.setTimeout(() => done(new SessionError('dial-timeout')), timeoutMs);
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', done);
    socket.once('close', closed);
    if (tls === undefined) {
      socket.once('connect', () => done());
    } else {
      // Comes before Node looks at the result of the verification; only read here.
      socket.prependOnceListener('secure', () =>
        onPeer((socket as TLSSocket).getPeerX509Certificate()),
      );
      socket.once('secureConnect', () => done());
    }
  });
}
