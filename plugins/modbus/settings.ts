import type { DeviceConfig, Json } from '#driver';
import { ModbusError } from './modbus-error.ts';
import { type Quirks, quirksOf } from './quirks.ts';
import type { SerialLine } from './request-cost.ts';

/** A link document that cannot be used; `key` is the setting that has to be changed. */
export class SettingError extends ModbusError {
  readonly key: string;

  constructor(key: string, message: string) {
    super('bad-address', message);
    this.key = key;
  }
}

/** What every link has, whatever it runs over. */
export interface LinkSettings {
  /** How messages call it: 192.168.10.40:502, /dev/serial/by-id/usb-…. */
  readonly where: string;
  readonly timeoutMs: number;
  readonly interRequestMs: number;
  readonly window: number;
  readonly afterConnectMs: number;
  readonly maxTimeouts: number;
  /** The connection is ended after each poll. */
  readonly closeAfterPoll: boolean;
  /** Speed and characters of a serial line. */
  readonly line?: SerialLine;
}

/** A link document of modbus-tcp with everything that is left out filled in. */
export interface TcpSettings extends LinkSettings {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Answers are matched by their order: the device does not return the id of the request. */
  readonly ignoreTransactionId: boolean;
  /** The connection is ended after so long without a request; 0 keeps it. */
  readonly idleCloseMs: number;
}

/** A link over TLS: who we are, and whom we trust. Files in PEM. */
export interface TlsSettings extends TcpSettings {
  /** Authority that signed the device's certificate; none: the ones of the system. */
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  /** Name in the device's certificate when it is not the host. */
  readonly serverName?: string;
}

/** A link over a serial line of this machine. */
export interface SerialSettings extends LinkSettings {
  readonly path: string;
  readonly line: SerialLine;
  readonly echo: boolean;
}

/** How one device is asked: its own word goes before its profile's, and that before the link's. */
export interface DeviceSettings {
  readonly unit: number;
  readonly timeoutMs: number;
  readonly interRequestMs: number;
  readonly retries: number;
  /** What the device thinks before it answers, for planning on a serial line. */
  readonly turnaroundMs: number;
  readonly line?: SerialLine;
  readonly maxRegisters: number;
  readonly maxBits: number;
  readonly maxGap: number;
  /** Inclusive ranges of addresses that are never read in passing. */
  readonly holes: ReadonlyArray<readonly [from: number, to: number]>;
  readonly quirks: Quirks;
}

/**
 * Registers between two points that are worth reading in vain. Wider gaps save little on TCP and
 * more often run over registers that a device refuses.
 */
export const defaultMaxGap = 16;
const defaultTurnaroundMs = 20;

/** Reads a link document that is valid against link.schema.json. */
export function tcpSettings(config: Json, defaultPort = 502): TcpSettings {
  const keys = objectOf(config);
  const host = keys.host;
  if (typeof host !== 'string' || host === '') {
    throw new SettingError('host', 'the link has no host; give it one like 192.168.10.40');
  }
  const port = numberOf(keys.port) ?? defaultPort;
  return {
    host,
    port,
    where: `${host}:${port}`,
    timeoutMs: numberOf(keys.timeoutMs) ?? 1000,
    connectTimeoutMs: numberOf(keys.connectTimeoutMs) ?? 3000,
    window: keys.ignoreTransactionId === true ? 1 : (numberOf(keys.window) ?? 1),
    afterConnectMs: numberOf(keys.afterConnectMs) ?? 0,
    interRequestMs: numberOf(keys.interRequestMs) ?? 0,
    keepAliveMs: numberOf(keys.keepAliveMs) ?? 10_000,
    maxTimeouts: numberOf(keys.maxTimeouts) ?? 3,
    ignoreTransactionId: keys.ignoreTransactionId === true,
    idleCloseMs: numberOf(keys.idleCloseMs) ?? 0,
    closeAfterPoll: keys.closeAfterPoll === true,
  };
}

/** Reads a link document that is valid against link-tls.schema.json. */
export function tlsSettings(config: Json): TlsSettings {
  const { ca, certificate, key, serverName } = objectOf(config);
  if ((certificate === undefined) !== (key === undefined)) {
    throw new SettingError('key', 'a client certificate needs its key: give both or none');
  }
  return {
    ...tcpSettings(config, 802),
    ...(typeof ca === 'string' && { ca }),
    ...(typeof certificate === 'string' && { certificate }),
    ...(typeof key === 'string' && { key }),
    ...(typeof serverName === 'string' && { serverName }),
  };
}

/** Reads a link document that is valid against link-rtu-tcp.schema.json. */
export function rtuTcpSettings(config: Json): TcpSettings & { readonly echo: boolean } {
  const keys = objectOf(config);
  const baudRate = numberOf(keys.baudRate);
  return {
    ...tcpSettings(config),
    window: 1,
    echo: keys.echo === true,
    ...(baudRate !== undefined && { line: serialLine(config, 'even') }),
  };
}

/** Reads a link document that is valid against link-serial.schema.json or link-ascii.schema.json. */
export function serialSettings(config: Json, ascii = false): SerialSettings {
  const keys = objectOf(config);
  const path = keys.path;
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new SettingError(
      'path',
      'the link has no serial port; give it a path like /dev/serial/by-id/usb-FTDI_FT232R-if00-port0',
    );
  }
  return {
    path,
    where: path,
    line: serialLine(config, ascii ? 'none' : 'even'),
    echo: keys.echo === true,
    timeoutMs: numberOf(keys.timeoutMs) ?? 1000,
    interRequestMs: numberOf(keys.interRequestMs) ?? 0,
    window: 1,
    afterConnectMs: numberOf(keys.afterConnectMs) ?? 0,
    maxTimeouts: numberOf(keys.maxTimeouts) ?? 10,
    closeAfterPoll: false,
  };
}

/** The line's speed and characters; 8E1 is what Modbus prescribes (Serial Line V1.02, 2.5.1). */
function serialLine(config: Json, defaultParity: SerialLine['parity']): SerialLine {
  const keys = objectOf(config);
  const parity = keys.parity ?? defaultParity;
  const stopBits = keys.stopBits ?? 1;
  const dataBits = keys.dataBits ?? 8;
  if (parity !== 'none' && parity !== 'even' && parity !== 'odd') {
    throw new SettingError(
      'parity',
      `parity ${JSON.stringify(parity)} cannot be set on Linux; use none, even or odd`,
    );
  }
  if (stopBits !== 1 && stopBits !== 2) {
    throw new SettingError(
      'stopBits',
      `${JSON.stringify(stopBits)} stop bits cannot be set on Linux; use 1 or 2`,
    );
  }
  if (dataBits !== 8 && dataBits !== 7) {
    throw new SettingError('dataBits', `${JSON.stringify(dataBits)} data bits: use 8 (ASCII: 7)`);
  }
  return { baudRate: numberOf(keys.baudRate) ?? 9600, dataBits, parity, stopBits };
}

/** What a profile says of the line of its devices: `link.serial`. */
export function profileLine(device: DeviceConfig): Readonly<Record<string, Json | undefined>> {
  return objectOf(objectOf(device.options.profile.link).serial);
}

/** Merges what the device, its profile and its link say. */
export function deviceSettings(
  device: DeviceConfig,
  link: Pick<LinkSettings, 'timeoutMs' | 'interRequestMs' | 'line'>,
): DeviceSettings {
  const own = objectOf(device.address);
  const profile = objectOf(device.options.profile.link);
  const limits = objectOf(device.options.profile.limits);
  const unit = numberOf(own.unit);
  if (unit === undefined || !Number.isInteger(unit) || unit < 0 || unit > 255) {
    throw new ModbusError(
      'bad-address',
      `device ${device.id} needs a unit id from 0 to 255, such as unit: 1`,
    );
  }
  return {
    unit,
    timeoutMs: numberOf(own.timeoutMs) ?? numberOf(profile.timeoutMs) ?? link.timeoutMs,
    interRequestMs: Math.max(
      numberOf(own.interRequestMs) ?? numberOf(profile.interRequestMs) ?? 0,
      link.interRequestMs,
    ),
    retries: numberOf(own.retries) ?? numberOf(profile.retries) ?? 0,
    turnaroundMs: numberOf(profile.turnaroundMs) ?? defaultTurnaroundMs,
    ...(link.line !== undefined && { line: link.line }),
    maxRegisters: Math.min(numberOf(limits.maxRegisters) ?? 125, 125),
    maxBits: Math.min(numberOf(limits.maxBits) ?? 2000, 2000),
    maxGap: numberOf(limits.maxGap) ?? defaultMaxGap,
    holes: holesOf(device.options.profile.holes),
    quirks: quirksOf(device),
  };
}

function holesOf(source: Json | undefined): ReadonlyArray<readonly [number, number]> {
  if (!Array.isArray(source)) return [];
  return source.flatMap((range) => {
    const [from, to] = Array.isArray(range) ? range : [];
    return typeof from === 'number' && typeof to === 'number' ? [[from, to] as const] : [];
  });
}

function objectOf(source: Json | undefined): Readonly<Record<string, Json | undefined>> {
  return source !== null && typeof source === 'object' && !Array.isArray(source)
    ? (source as Readonly<Record<string, Json>>)
    : {};
}

function numberOf(source: Json | undefined): number | undefined {
  return typeof source === 'number' && Number.isFinite(source) ? source : undefined;
}
