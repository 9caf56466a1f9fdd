import { connect, type Socket } from 'node:net';
import type { DriverHost } from '#driver';
import { abortError, ModbusError } from './modbus-error.ts';
import type { TcpSettings } from './settings.ts';

/**
 * Opens a TCP connection. Rejects with a ModbusError of kind link-down after connectTimeoutMs, or
 * at once when called off; nothing stays open then, because many devices take one to five clients
 * and a forgotten half-open one locks everybody out.
 */
export function openSocket(
  host: DriverHost,
  settings: TcpSettings,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortError(signal));
      return;
    }
    const { where } = settings;
    const socket = connect({
      host: settings.host,
      port: settings.port,
      noDelay: true,
      keepAlive: settings.keepAliveMs > 0,
      keepAliveInitialDelay: settings.keepAliveMs,
    });
    const fail = (error: ModbusError) => {
      leave();
      socket.destroy();
      reject(error);
    };
    const onConnect = () => {
      leave();
      resolve(socket);
    };
    const onError = (error: NodeJS.ErrnoException) =>
      fail(
        new ModbusError('link-down', `cannot connect to ${where}: ${wordsOf(error)}`, {
          ...(error.code !== undefined && { code: error.code }),
          cause: error,
        }),
      );
    const onAbort = () => fail(abortError(signal));
    const timer = host.setTimeout(
      () =>
        fail(
          new ModbusError(
            'link-down',
            `cannot connect to ${where}: nothing answered within ${settings.connectTimeoutMs} ms`,
            { code: 'ETIMEDOUT' },
          ),
        ),
      settings.connectTimeoutMs,
    );
    const leave = () => {
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
      socket.off('connect', onConnect);
      socket.off('error', onError);
      // An error of a socket that nobody wants any more must not end the process.
      socket.on('error', () => undefined);
    };
    socket.once('connect', onConnect);
    socket.once('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function wordsOf(error: NodeJS.ErrnoException): string {
  switch (error.code ?? '') {
    case 'ECONNREFUSED':
      return 'the host refuses this port (wrong port, service off, or too many clients)';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to this address (cable, network or address wrong)';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the name is not known';
    default:
      return error.message;
  }
}
