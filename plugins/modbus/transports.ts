import type { DriverFactory, DriverHost, Json } from '#driver';
import { asciiMedium, udpMedium } from './library-link.ts';
import { LineLink, type LineMedium } from './line-link.ts';
import type { Link } from './link.ts';
import { ModbusDriver } from './modbus-driver.ts';
import { openSocket } from './open-socket.ts';
import { RtuChannel } from './rtu-channel.ts';
import { rtuTiming, serialMedium } from './serial-port.ts';
import {
  type LinkSettings,
  rtuTcpSettings,
  serialSettings,
  tcpSettings,
  tlsSettings,
} from './settings.ts';
import { TcpLink } from './tcp-link.ts';
import { openTlsSocket } from './tls-socket.ts';

/** One way to carry Modbus: how its link document is read, and what it opens. */
export interface Transport {
  /** Throws a ModbusError that says what is wrong with the document. */
  settings(config: Json): LinkSettings;
  /** A line with several units, where unit 0 is everybody. */
  readonly hasBroadcast: boolean;
  open(host: DriverHost, config: Json, isShared: () => boolean): Link;
}

/** Modbus TCP. */
export const tcp: Transport = {
  hasBroadcast: false,
  settings: (config) => tcpSettings(config),
  open: (host, config, isShared) => new TcpLink(host, tcpSettings(config), isShared),
};

/** Modbus/TCP Security: Modbus TCP inside TLS. */
export const tls: Transport = {
  hasBroadcast: false,
  settings: tlsSettings,
  open: (host, config, isShared) => {
    const settings = tlsSettings(config);
    return new TcpLink(host, settings, isShared, (signal) => openTlsSocket(host, settings, signal));
  },
};

/** Modbus RTU on a serial port of this machine. */
export const rtu: Transport = {
  hasBroadcast: true,
  settings: (config) => serialSettings(config),
  open: (host, config) => new LineLink(host, serialMedium(host, serialSettings(config))),
};

/** Frames of RTU through a TCP connection to a converter that knows nothing of Modbus. */
export const rtuTcp: Transport = {
  hasBroadcast: true,
  settings: rtuTcpSettings,
  open: (host, config) => {
    const settings = rtuTcpSettings(config);
    const medium: LineMedium = {
      ...rtuTiming(settings),
      longestDelayMs: 60_000,
      open: async (events, signal) =>
        new RtuChannel(await openSocket(host, settings, signal), events, {
          echo: settings.echo,
          words: (error) => `broke the connection (${error.message})`,
        }),
    };
    return new LineLink(host, medium);
  },
};

/** Modbus ASCII on a serial port of this machine. */
export const ascii: Transport = {
  hasBroadcast: true,
  settings: (config) => serialSettings(config, true),
  open: (host, config) => new LineLink(host, asciiMedium(host, serialSettings(config, true))),
};

/** Modbus over UDP. */
export const udp: Transport = {
  hasBroadcast: false,
  settings: (config) => ({ ...tcpSettings(config), window: 1 }),
  open: (host, config) => new LineLink(host, udpMedium(host, tcpSettings(config))),
};

/** The factory of a driver that speaks Modbus over one transport. */
export function driverOver(transport: Transport): DriverFactory {
  return (host) => new ModbusDriver(host, transport);
}
