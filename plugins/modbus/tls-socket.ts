import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { DriverHost } from '#driver';
import { abortError, ModbusError } from './modbus-error.ts';
import { openSocket } from './open-socket.ts';
import type { TlsSettings } from './settings.ts';

/** With TLS 1.3 the device refuses a client only after the handshake seems done. */
const secondThoughtsMs = 150;

/**
 * Opens a connection for Modbus/TCP Security: TLS 1.2 or later, the device's certificate always
 * verified. Rejects with a ModbusError of kind link-down, leaving nothing open.
 */
export async function openTlsSocket(
  host: DriverHost,
  settings: TlsSettings,
  signal: AbortSignal,
): Promise<TLSSocket> {
  // Read each time: certificates are renewed while the gateway runs.
  const files = {
    ca: readPem('ca', settings.ca),
    cert: readPem('certificate', settings.certificate),
    key: readPem('key', settings.key),
  };
  const socket = await openSocket(host, settings, signal);
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      socket.destroy();
      reject(abortError(signal));
      return;
    }
    const { where, serverName = settings.host } = settings;
    const fail = (error: ModbusError) => {
      leave();
      // An error of a socket that nobody wants any more must not end the process.
      secure?.on('error', () => undefined);
      secure?.destroy();
      socket.destroy();
      reject(error);
    };
    const refused = (error: NodeJS.ErrnoException) =>
      fail(
        new ModbusError('link-down', `no TLS with ${where}: ${tlsWords(error)}`, {
          ...(error.code !== undefined && { code: error.code }),
          cause: error,
        }),
      );
    const onAbort = () => fail(abortError(signal));
    const onError = (error: NodeJS.ErrnoException) => refused(error);
    const onClose = () => refused(new Error('socket disconnected'));
    const done = () => {
      leave();
      if (secure === undefined) return;
      secure.on('error', () => undefined);
      resolve(secure);
    };
    let timer = host.setTimeout(
      () => refused(new Error(`no handshake within ${settings.connectTimeoutMs} ms`)),
      settings.connectTimeoutMs,
    );
    let secure: TLSSocket | undefined;
    const leave = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
      secure?.off('error', onError).off('close', onClose).off('session', done);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      secure = connect({
        socket,
        minVersion: 'TLSv1.2',
        rejectUnauthorized: true,
        // The name that is checked; an address must not be sent as one (RFC 6066, 3).
        host: serverName,
        ...(isIP(serverName) === 0 && { servername: serverName }),
        ...(files.ca !== undefined && { ca: files.ca }),
        ...(files.cert !== undefined && { cert: files.cert }),
        ...(files.key !== undefined && { key: files.key }),
      });
    } catch (error) {
      refused(error as Error);
      return;
    }
    secure.on('error', onError);
    secure.on('close', onClose);
    secure.once('secureConnect', () => {
      timer[Symbol.dispose]();
      if (secure?.getProtocol() !== 'TLSv1.3') {
        done();
        return;
      }
      // Its session ticket is the first word that comes after our certificate was accepted.
      timer = host.setTimeout(done, secondThoughtsMs);
      secure?.once('session', done);
    });
  });
}

function readPem(what: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ERR_ACCESS_DENIED'
        ? 'drivers may read certificates only below /etc/riser/tls'
        : code === 'EACCES'
          ? 'the user riser may not read it (chgrp riser, chmod 640)'
          : code === 'ENOENT'
            ? 'there is no such file'
            : message;
    throw new ModbusError('link-down', `${what} ${path} cannot be read: ${why}`, { cause: error });
  }
}

/** An error of TLS in words that lead to what must be done. */
export function tlsWords(error: NodeJS.ErrnoException): string {
  const text = `${error.code ?? ''} ${error.message}`;
  if (/CERTIFICATE_REQUIRED|certificate required/i.test(text)) {
    return 'the device wants a client certificate (set certificate and key)';
  }
  if (
    /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE|ACCESS_DENIED)|alert (unknown ca|bad certificate|handshake failure)|HANDSHAKE_FAILURE/i.test(
      text,
    )
  ) {
    return 'the device refuses our client certificate, or wants one (check certificate and key)';
  }
  if (/socket disconnected|ECONNRESET/.test(text)) {
    return 'it ended the handshake; perhaps it does not accept our client certificate, or wants one';
  }
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)/i.test(text)) {
    return 'the authority of its certificate is not known (set ca to the file of the authority)';
  }
  if (/CERT_HAS_EXPIRED/.test(text)) return 'its certificate has expired (or our clock is wrong)';
  if (/CERT_NOT_YET_VALID/.test(text))
    return 'its certificate is not valid yet (is our clock right?)';
  if (/ALTNAME_INVALID/.test(text)) {
    return 'its certificate is for another name (set serverName to the name in it)';
  }
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(text)) {
    return 'it does not speak TLS on this port (802 is usual)';
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(text))
    return 'it does not offer TLS 1.2 or later';
  if (/KEY_VALUES_MISMATCH/.test(text)) return 'key and certificate do not belong together';
  return error.message;
}
