import type { DeviceConfig, Json } from '#driver';
import { ModbusError } from './modbus-error.ts';
import { type Quirks, quirksOf } from './quirks.ts';

/** A link document of modbus-tcp with everything that is left out filled in. */
export interface TcpSettings {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly window: number;
  readonly afterConnectMs: number;
  readonly interRequestMs: number;
  readonly keepAliveMs: number;
  readonly maxTimeouts: number;
  /** Answers are matched by their order: the device does not return the id of the request. */
  readonly ignoreTransactionId: boolean;
  /** The connection is ended after so long without a request; 0 keeps it. */
  readonly idleCloseMs: number;
  /** The connection is ended after each poll. */
  readonly closeAfterPoll: boolean;
}

/** How one device is asked: its own word goes before its profile's, and that before the link's. */
export interface DeviceSettings {
  readonly unit: number;
  readonly timeoutMs: number;
  readonly interRequestMs: number;
  readonly retries: number;
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

/** Reads a link document that is valid against link.schema.json. */
export function tcpSettings(config: Json): TcpSettings {
  const keys = objectOf(config);
  const host = keys.host;
  if (typeof host !== 'string' || host === '') {
    throw new ModbusError('bad-address', 'the link has no host; give it one like 192.168.10.40');
  }
  return {
    host,
    port: numberOf(keys.port) ?? 502,
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

/** Merges what the device, its profile and its link say. */
export function deviceSettings(
  device: DeviceConfig,
  link: Pick<TcpSettings, 'timeoutMs' | 'interRequestMs'>,
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
