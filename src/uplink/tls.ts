import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type ConnectionOptions, getCACertificates } from 'node:tls';
import { GatewayError } from '../model/errors.ts';
import type { SecretRef, Settings } from '../model/site.ts';

export type TlsSettings = Settings['uplink']['tls'];

/**
 * Options that can be given to a TLS connection here. `rejectUnauthorized` is not among them: the
 * broker is always verified.
 */
export type TlsOptions = Required<Pick<ConnectionOptions, 'ca' | 'minVersion'>> &
  Pick<ConnectionOptions, 'cert' | 'key' | 'servername'>;

export interface LoadedTls {
  readonly options: TlsOptions;
  /** The gateway's own certificate, if it has one. */
  readonly certificate?: X509Certificate;
}

/**
 * Reads the files anew, so that a renewed certificate is used from the next connection on. Rejects
 * with UPSTREAM_TLS naming the file that cannot be used.
 */
export async function loadTls(
  settings: TlsSettings,
  resolveSecret: (ref: SecretRef) => Promise<string>,
): Promise<LoadedTls> {
  const ca = settings.ca === '' ? systemAuthorities() : await read('uplink.tls.ca', settings.ca);
  const options: TlsOptions = {
    ca,
    minVersion: 'TLSv1.2',
    ...(settings.serverName === '' ? {} : { servername: settings.serverName }),
  };
  if (settings.certificate === '') return { options };
  const text = await read('uplink.tls.certificate', settings.certificate);
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(text);
  } catch (cause) {
    throw unusable(`uplink.tls.certificate ${settings.certificate} is no certificate (PEM)`, cause);
  }
  if (settings.key === null) {
    throw unusable('uplink.tls.certificate is set, but uplink.tls.key is not');
  }
  const key = await resolveSecret(settings.key);
  return { options: { ...options, cert: text, key }, certificate };
}

/** Certificates of the system's store; where it is empty, those that Node brings. */
function systemAuthorities(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? system : getCACertificates('default');
}

async function read(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw unusable(`${setting} ${file} cannot be read: ${(cause as Error).message}`, cause);
  }
}

function unusable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('UPSTREAM_TLS', message, {
    cause,
    remedy: 'Correct uplink.tls, or the file that it names.',
  });
}

/** Days before its end at which the owner of a certificate is warned. */
export const warnDaysBefore = 30;

const dayMs = 86_400_000;

/** What to say about the end of a certificate; undefined while it is far. */
export function expiryWarning(
  certificate: X509Certificate,
  file: string,
  nowMs: number,
): string | undefined {
  const days = Math.floor((certificate.validToDate.getTime() - nowMs) / dayMs);
  if (days >= warnDaysBefore) return undefined;
  const date = certificate.validToDate.toISOString().slice(0, 10);
  return days < 0
    ? `The client certificate ${file} expired on ${date}`
    : `The client certificate ${file} expires on ${date}, in ${days} days`;
}
