import { GatewayError } from '../model/errors.ts';

/** Where a broker is and how it is spoken to. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** For a person: without credentials. */
  readonly shown: string;
  /** From the URL; only the embedded broker's has them. */
  readonly username?: string;
  readonly password?: string;
}

const defaultPorts = { 'mqtt:': 1883, 'mqtts:': 8883 } as const;

/** Throws UPSTREAM_PROTOCOL when the text is no mqtt:// or mqtts:// URL. */
export function readBrokerUrl(text: string): BrokerAddress {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'mqtt:' && url.protocol !== 'mqtts:')) {
    throw new GatewayError(
      'UPSTREAM_PROTOCOL',
      'uplink.url is no address of an MQTT broker: it must begin with mqtt:// or mqtts://',
    );
  }
  // An IPv6 address comes in brackets.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw new GatewayError('UPSTREAM_PROTOCOL', 'uplink.url names no host');
  const port = url.port === '' ? defaultPorts[url.protocol] : Number(url.port);
  return {
    host,
    port,
    secure: url.protocol === 'mqtts:',
    shown: `${url.protocol}//${url.hostname}:${port}`,
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
  };
}
