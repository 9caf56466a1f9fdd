import { createServer, type Server, type Socket } from 'node:net';
import type { DriverHost } from '#driver';
import type { Link } from './link.ts';
import { type MbapFrame, MbapStream, mbapFrame } from './mbap.ts';
import type { ModbusError } from './modbus-error.ts';
import { protocolLimits } from './pdu.ts';
import type { ProxySettings } from './proxy-settings.ts';
import type { ProxyTurns } from './proxy-turns.ts';
import type { DeviceSettings } from './settings.ts';

/** Requests of one client that may wait; a client that sends more does not wait for answers. */
const mostWaiting = 8;
/** A client that asks nothing for so long makes room for another one. */
const idleMs = 120_000;
/** Answers that a client has not fetched; more, and it is not reading. */
const mostUnread = 16_384;
/** How long a request waits for the gateway's own work before it is told to come again. */
const longestTurnMs = 5_000;

/** What the proxy needs of its driver. */
export interface ProxyScene {
  readonly host: DriverHost;
  readonly link: Link;
  readonly turns: ProxyTurns;
  /** How a unit is asked, undefined if no device of the link has it. */
  settingsOf(unit: number): DeviceSettings | undefined;
}

interface Ask extends MbapFrame {
  readonly socket: Socket;
}

/**
 * Offers the devices of one link to other programs by Modbus TCP, for reading only: many devices
 * take one client, and the gateway is it. One request at a time goes to the link, and only while
 * the gateway itself does not use it. Whoever connects is not trusted.
 */
export class ProxyServer {
  readonly #scene: ProxyScene;
  readonly #settings: ProxySettings;
  readonly #clients = new Map<Socket, number>();
  readonly #queue: Ask[] = [];
  readonly #stop = new AbortController();
  #server: Server | undefined;
  #serving: Promise<void> | undefined;

  constructor(scene: ProxyScene, settings: ProxySettings) {
    this.#scene = scene;
    this.#settings = settings;
  }

  /** Resolves with undefined, or with words that say why nobody can connect. Never rejects. */
  async open(): Promise<string | undefined> {
    const { host, port, maxClients } = this.#settings;
    const server = createServer({ noDelay: true }, (socket) => this.#take(socket));
    server.maxConnections = maxClients;
    this.#server = server;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    server.on('drop', () => this.#scene.host.metric('proxy_refused_total', 1));
    server.on('error', (error: NodeJS.ErrnoException) => resolve(wordsOf(error)));
    server.once('close', () => resolve('it was closed'));
    server.listen(port, host, () => resolve(undefined));
    return promise;
  }

  /** Ends every client. May be called twice. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#queue.length = 0;
    for (const socket of this.#clients.keys()) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
    await this.#serving;
  }

  #take(socket: Socket): void {
    if (this.#stop.signal.aborted) {
      socket.destroy();
      return;
    }
    this.#clients.set(socket, 0);
    const stream = new MbapStream();
    const cut = () => {
      this.#scene.host.metric('proxy_cut_off_total', 1);
      socket.destroy();
    };
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#forget(socket));
    const { host } = this.#scene;
    let askedAt = host.monotonic();
    socket.on('data', (chunk: Buffer) => {
      const framed = stream.push(chunk, (frame) => {
        const waiting = this.#clients.get(socket);
        if (waiting === undefined || socket.destroyed) return false;
        if (waiting >= mostWaiting || socket.writableLength > mostUnread) {
          cut();
          return false;
        }
        this.#clients.set(socket, waiting + 1);
        askedAt = host.monotonic();
        // A copy: the frame is a piece of what the socket gave.
        this.#queue.push({ ...frame, pdu: Buffer.from(frame.pdu), socket });
        return true;
      });
      // Bytes that never become a request keep others out of their place.
      if (!framed || host.monotonic() - askedAt > idleMs) cut();
      this.#serve();
    });
  }

  #forget(socket: Socket): void {
    this.#clients.delete(socket);
    const others = this.#queue.filter((ask) => ask.socket !== socket);
    this.#queue.splice(0, this.#queue.length, ...others);
  }

  #serve(): void {
    this.#serving ??= this.#serveAll().finally(() => {
      this.#serving = undefined;
    });
  }

  async #serveAll(): Promise<void> {
    for (;;) {
      const ask = this.#queue.shift();
      if (ask === undefined || this.#stop.signal.aborted) return;
      const { socket, transaction, unit } = ask;
      if (socket.destroyed) continue;
      const answer = await this.#answer(ask);
      const waiting = this.#clients.get(socket);
      if (waiting === undefined || socket.destroyed) continue;
      this.#clients.set(socket, waiting - 1);
      socket.write(mbapFrame(transaction, unit, answer));
    }
  }

  /** An answer of the device, or the exception that says why there is none. */
  async #answer({ unit, pdu }: Ask): Promise<Buffer> {
    const refusal = refusalOf(pdu);
    if (refusal !== undefined) return exception(pdu, refusal);
    const device = this.#scene.settingsOf(unit);
    if (device === undefined) return exception(pdu, 10);
    if (!(await this.#turn())) return exception(pdu, 6);
    const { timeoutMs, interRequestMs, quirks } = device;
    this.#scene.host.metric('proxy_requests_total', 1);
    try {
      return await this.#scene.link.request({
        unit,
        pdu,
        timeoutMs,
        interRequestMs,
        ...(quirks.ignoreUnitId && { ignoreUnitId: true }),
        signal: this.#stop.signal,
      });
    } catch (error) {
      return exception(pdu, codeOf(error as ModbusError));
    }
  }

  /** Waits until the gateway does not use the link; false if that took too long. */
  async #turn(): Promise<boolean> {
    const { turns, host } = this.#scene;
    if (turns.isFree) return true;
    const { signal } = this.#stop;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const onAbort = () => resolve(false);
    using _timer = host.setTimeout(() => resolve(false), longestTurnMs);
    using _wake = turns.onFree(() => resolve(true));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

/** The exception that a request deserves without asking the device. */
function refusalOf(pdu: Buffer): number | undefined {
  const fc = pdu[0] ?? 0;
  if (fc < 1 || fc > 4) return 1;
  if (pdu.length !== 5) return 3;
  const count = pdu.readUInt16BE(3);
  const most = fc <= 2 ? protocolLimits.bits : protocolLimits.registers;
  if (count < 1 || count > most) return 3;
  return pdu.readUInt16BE(1) + count > 0x1_0000 ? 2 : undefined;
}

function exception(pdu: Buffer, code: number): Buffer {
  return Buffer.from([(pdu[0] ?? 0) | 0x80, code]);
}

function codeOf({ kind }: ModbusError): number {
  if (kind === 'timeout') return 11;
  if (kind === 'busy') return 6;
  return kind === 'bad-response' ? 4 : 10;
}

function wordsOf(error: NodeJS.ErrnoException): string {
  switch (error.code ?? '') {
    case 'EADDRINUSE':
      return 'another program has this port; choose another one';
    case 'EACCES':
      return 'ports below 1024 are not for the gateway; choose one above, such as 1502';
    case 'EADDRNOTAVAIL':
      return 'the machine does not have this address; use 127.0.0.1 or 0.0.0.0';
    default:
      return error.message;
  }
}
