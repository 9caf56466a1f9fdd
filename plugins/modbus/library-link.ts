import { lookup } from 'node:dns/promises';
import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import type { DriverHost } from '#driver';
import type { Channel, ChannelEvents, LineMedium } from './line-link.ts';
import { abortError, ModbusError } from './modbus-error.ts';
import { misfit } from './pdu.ts';
import { characterMs } from './request-cost.ts';
import { rtuFrame } from './rtu-frame.ts';
import { isGone, type OpenablePort, opened } from './serial-port.ts';
import type { SerialSettings, TcpSettings } from './settings.ts';

/** What modbus-serial's ports have: they take and give a unit, a PDU and a CRC. */
interface LibraryPort extends EventEmitter {
  readonly isOpen: boolean;
  write(frame: Buffer): void;
  close(done?: () => void): void;
  /** The medium below: a serial port or a UDP socket. */
  readonly _client: EventEmitter & Partial<OpenablePort>;
  /** ASCII: what came in and is not a whole frame yet. */
  _buffer?: Buffer;
  /** UDP: the number that the next request gets, and that of the last answer. */
  _transactionIdWrite?: number;
  _transactionIdRead?: number;
}

type LibraryPortClass = new (address: string, options: object) => LibraryPort;

// Deep and untyped, because the package's own client is what is wrong with it (docs/adr/0014).
const require = createRequire(import.meta.url);
/** A frame of Modbus ASCII has 513 characters at most (Serial Line V1.02, 2.5.2). */
const longestAscii = 513;
const asciiFunctions = new Set([1, 2, 3, 4, 5, 6, 15, 16]);
/** Colon, checksum and end of a request and of its answer. */
const asciiFraming = 2 * (1 + 2 + 2);

/** A Modbus ASCII line on a serial port of this machine. */
export function asciiMedium(host: DriverHost, settings: SerialSettings): LineMedium {
  const { path, line, where } = settings;
  const character = characterMs(line);
  return {
    where,
    gapMs: character,
    afterConnectMs: settings.afterConnectMs,
    maxTimeouts: settings.maxTimeouts,
    longestDelayMs: 10_000,
    hasBroadcast: true,
    wireMs: (pdu) => character * (asciiFraming + 2 * (pdu.length + 1) + 2 * answerBytes(pdu)),
    refuse: (functionCode) =>
      asciiFunctions.has(functionCode)
        ? undefined
        : `function ${functionCode} cannot be used with Modbus ASCII`,
    open: async (events, signal) => {
      const AsciiPort = require('modbus-serial/ports/asciiport.js') as LibraryPortClass;
      const port = new AsciiPort(path, { ...line });
      const client = port._client as EventEmitter & OpenablePort;
      const forget = () => {
        port._buffer = Buffer.alloc(0);
      };
      const lines = (chunk: Buffer) => {
        // A frame without end.
        if ((port._buffer?.length ?? 0) + chunk.length > 2 * longestAscii) forget();
        return linesOf(chunk);
      };
      guardInput(client, 'data', lines, () => {
        forget();
        events.noise();
      });
      await opened(host, where, client, signal);
      return new LibraryChannel(port, events, { isGone: () => isGone(path) });
    },
  };
}

/** Modbus over UDP: frames of Modbus TCP, one in each datagram. */
export function udpMedium(host: DriverHost, settings: TcpSettings): LineMedium {
  const { where } = settings;
  return {
    where,
    gapMs: 0,
    afterConnectMs: settings.afterConnectMs,
    maxTimeouts: settings.maxTimeouts,
    longestDelayMs: 60_000,
    hasBroadcast: false,
    wireMs: () => 0,
    refuse: () => undefined,
    open: async (events, signal) => {
      const address = await addressOf(host, settings, signal);
      const UdpPort = require('modbus-serial/ports/udpport.js') as LibraryPortClass;
      const port = new UdpPort(address, { port: settings.port });
      guardInput(
        port._client,
        'message',
        (datagram) => (isOneFrame(datagram) ? [datagram] : undefined),
        () => events.noise(),
      );
      return new LibraryChannel(port, events, { isGone: () => false });
    },
  };
}

/** The port compares addresses as text, so that it needs one and not a name. */
async function addressOf(
  host: DriverHost,
  settings: TcpSettings,
  signal: AbortSignal,
): Promise<string> {
  const called = Promise.withResolvers<never>();
  const onAbort = () => called.reject(abortError(signal));
  if (signal.aborted) throw abortError(signal);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = host.setTimeout(
    () => called.reject(new Error('nobody knows the name in time')),
    settings.connectTimeoutMs,
  );
  try {
    return (await Promise.race([lookup(settings.host, { family: 4 }), called.promise])).address;
  } catch (error) {
    if (error instanceof ModbusError) throw error;
    throw new ModbusError('link-down', `${settings.where}: the name is not known`, {
      cause: error,
    });
  } finally {
    timer[Symbol.dispose]();
    signal.removeEventListener('abort', onAbort);
  }
}

/** The port fills a datagram that is cut short with zeros, and takes any protocol for Modbus. */
function isOneFrame(datagram: Buffer): boolean {
  return (
    datagram.length >= 9 &&
    datagram.readUInt16BE(2) === 0 &&
    datagram.readUInt16BE(4) === datagram.length - 6 &&
    datagram.length <= 260
  );
}

/**
 * Puts a check before the library's own listener, and takes what it throws: a frame of two
 * characters (":\r\n") would end the process.
 */
function guardInput(
  client: EventEmitter,
  event: string,
  partsOf: (input: Buffer) => readonly Buffer[] | undefined,
  onNoise: () => void,
): void {
  const listeners = client.listeners(event) as ((input: Buffer, from: unknown) => void)[];
  client.removeAllListeners(event);
  client.on(event, (input: Buffer, from: unknown) => {
    const parts = partsOf(input);
    if (parts === undefined) onNoise();
    for (const part of parts ?? []) {
      try {
        for (const listener of listeners) listener(part, from);
      } catch {
        onNoise();
      }
    }
  });
}

/** One line each, because the port forgets what comes after the first. */
function linesOf(chunk: Buffer): readonly Buffer[] {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
    lines.push(chunk.subarray(start, end + 1));
    start = end + 1;
  }
  if (start < chunk.length) lines.push(chunk.subarray(start));
  return lines;
}

/** A port of modbus-serial with everything checked that it does not check. */
class LibraryChannel implements Channel {
  // Its matching of late answers is not to be relied on: a new port knows nothing of them.
  readonly reopenAfterTimeout = true;
  readonly #port: LibraryPort;
  readonly #events: ChannelEvents;
  readonly #options: { readonly isGone: () => boolean };
  #unit = -1;
  #request: Buffer = Buffer.alloc(0);
  #number: number | undefined;
  #closed = false;

  constructor(
    port: LibraryPort,
    events: ChannelEvents,
    options: { readonly isGone: () => boolean },
  ) {
    this.#port = port;
    this.#events = events;
    this.#options = options;
    port.on('data', (frame: Buffer) => this.#onFrame(frame));
    port._client.on('error', (error: Error) => {
      if (!this.#closed) events.lost(`broke (${error.message})`);
    });
    port._client.on('close', () => {
      if (!this.#closed) events.lost('was closed');
    });
  }

  send(unit: number, pdu: Buffer): void {
    this.#unit = unit;
    this.#request = pdu;
    this.#number = this.#port._transactionIdWrite;
    if (this.#port._buffer !== undefined) this.#port._buffer = Buffer.alloc(0);
    this.#port.write(rtuFrame(unit, pdu));
  }

  async flush(): Promise<void> {
    if (this.#port._buffer !== undefined) this.#port._buffer = Buffer.alloc(0);
  }

  hint(): string | undefined {
    return undefined;
  }

  isGone(): boolean {
    return this.#options.isGone();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#port.close(() => undefined);
    } catch {
      // It was closed already.
    }
  }

  #onFrame(frame: Buffer): void {
    if (this.#closed || this.#unit < 0) return;
    const pdu = frame.subarray(1, -2);
    if (this.#port._transactionIdRead !== undefined && this.#number !== undefined) {
      if (this.#port._transactionIdRead !== this.#number) {
        this.#events.noise();
        return;
      }
    }
    if (frame[0] !== this.#unit) {
      this.#events.answer(pdu, `unit ${frame[0]} instead of ${this.#unit}`);
      return;
    }
    this.#events.answer(pdu, misfit(this.#request, pdu));
  }
}

function answerBytes(pdu: Buffer): number {
  const count = pdu.length >= 5 ? pdu.readUInt16BE(3) : 0;
  return (pdu[0] ?? 0) <= 2 ? 4 + Math.ceil(count / 8) : (pdu[0] ?? 0) <= 4 ? 4 + 2 * count : 7;
}
