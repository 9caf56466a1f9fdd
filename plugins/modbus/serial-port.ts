import type { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import type { DriverHost } from '#driver';
import type { Channel, ChannelEvents, LineMedium } from './line-link.ts';
import { abortError, ModbusError } from './modbus-error.ts';
import { characterMs, frameGapMs } from './request-cost.ts';
import { RtuChannel } from './rtu-channel.ts';
import { hasKnownLength } from './rtu-frame.ts';
import type { SerialSettings } from './settings.ts';

const openMs = 5_000;
/** A port is found again quickly and costs nothing to look for. */
const longestDelayMs = 10_000;

/** An RTU line on a serial port of this machine. */
export function serialMedium(host: DriverHost, settings: SerialSettings): LineMedium {
  return {
    ...rtuTiming(settings),
    longestDelayMs,
    open: (events, signal) => openSerialPort(host, settings, events, signal),
  };
}

/** What RTU needs whatever carries it. */
export function rtuTiming(
  settings: Pick<SerialSettings, 'where' | 'afterConnectMs' | 'maxTimeouts'> & {
    readonly line?: SerialSettings['line'];
  },
): Omit<LineMedium, 'open' | 'longestDelayMs'> {
  const { line, where, afterConnectMs, maxTimeouts } = settings;
  return {
    where,
    afterConnectMs,
    maxTimeouts,
    hasBroadcast: true,
    gapMs: line === undefined ? 0 : frameGapMs(line),
    wireMs: (pdu) => (line === undefined ? 0 : framesBytes(pdu) * characterMs(line)),
    refuse: (functionCode) =>
      hasKnownLength(functionCode)
        ? undefined
        : `function ${functionCode} has no known length of answer and cannot be used with RTU`,
  };
}

/** Bytes of a request and of its answer; of an answer that tells its length itself, the most. */
function framesBytes(pdu: Buffer): number {
  const count = pdu.length >= 5 ? pdu.readUInt16BE(3) : 0;
  switch (pdu[0] ?? 0) {
    case 1:
    case 2:
      return pdu.length + 8 + Math.ceil(count / 8);
    case 3:
    case 4:
    case 23:
      return pdu.length + 8 + 2 * count;
    case 5:
    case 6:
    case 15:
    case 16:
    case 22:
      return pdu.length + 13;
    default:
      return pdu.length + 3 + 256;
  }
}

async function openSerialPort(
  host: DriverHost,
  settings: SerialSettings,
  events: ChannelEvents,
  signal: AbortSignal,
): Promise<Channel> {
  // Only where it is needed: it brings a native addon.
  const { SerialPort } = await import('serialport');
  const { path, line } = settings;
  const port = new SerialPort({ path, ...line, autoOpen: false });
  await opened(host, settings.where, port as OpenablePort, signal);
  return new RtuChannel(port, events, {
    echo: settings.echo,
    flush: (done) => port.flush(() => done()),
    isGone: () => isGone(path),
    words: (error) => `broke (${error.message}); is the adapter plugged in?`,
  });
}

/** What this file needs of a port of serialport. */
export interface OpenablePort {
  readonly port?: { readonly poller?: EventEmitter } | undefined;
  open(done: (error: Error | null) => void): void;
  close(done: () => void): void;
}

/** Waits until a port is open. Rejects with a ModbusError, leaving it closed. */
export function opened(
  host: DriverHost,
  where: string,
  port: OpenablePort,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortError(signal));
      return;
    }
    let over = false;
    const end = (error?: ModbusError) => {
      if (over) return;
      over = true;
      timer[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onAbort = () => end(abortError(signal));
    const timer = host.setTimeout(
      () => end(new ModbusError('link-down', `${where} cannot be opened: the system is silent`)),
      openMs,
    );
    signal.addEventListener('abort', onAbort, { once: true });
    port.open((error) => {
      if (error === null || error === undefined) {
        // Opened for nobody: it must not stay locked.
        if (over) port.close(() => undefined);
        else {
          wakeOnInput(port);
          end();
        }
        return;
      }
      end(
        new ModbusError('link-down', `${where} cannot be opened: ${wordsOf(error.message)}`, {
          cause: error,
        }),
      );
    });
  });
}

/**
 * serialport's addon tells that input is there without letting promises go on, so that the input
 * is read only when something else happens in the process: with Node 26 one answer waited for the
 * next timer. A callback of our own in the same turn ends that.
 */
function wakeOnInput(port: OpenablePort): void {
  for (const event of ['readable', 'writable']) {
    port.port?.poller?.on(event, () => setImmediate(() => undefined));
  }
}

/** Whether the file of a port is not there any more; false where that cannot be seen. */
export function isGone(path: string): boolean {
  return path.startsWith('/dev/') && !existsSync(path);
}

function wordsOf(message: string): string {
  if (/lock/i.test(message)) {
    return 'another program holds it, and a line takes only one (fuser -v shows which)';
  }
  if (/no such (file|device)|ENOENT|ENXIO|ENODEV/i.test(message)) {
    return 'there is no such port (adapter unplugged, or path wrong: ls -l /dev/serial/by-id)';
  }
  if (/permission|EACCES|access/i.test(message)) {
    return 'no right to use it (the user riser must be in group dialout)';
  }
  if (/inappropriate ioctl|ENOTTY|tcgetattr/i.test(message)) return 'this is no serial port';
  return message.replace(/^Error:?\s*/, '');
}
