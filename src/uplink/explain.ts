import type { X509Certificate } from 'node:crypto';
import { GatewayError } from '../model/errors.ts';
import { explainConnack, explainDisconnect } from './explain-codes.ts';
import { type Attempt, type Failure, notMqtt, refused, unreachable, untrusted } from './failure.ts';

/** Something that the session itself found out. */
export class SessionError extends Error {
  readonly kind: SessionTrouble;
  /** Reason code of CONNACK or DISCONNECT. */
  readonly reasonCode: number | undefined;

  constructor(kind: SessionTrouble, reasonCode?: number, options?: ErrorOptions) {
    super(kind, options);
    this.kind = kind;
    this.reasonCode = reasonCode;
  }
}

export type SessionTrouble =
  | 'dial-timeout'
  | 'handshake'
  | 'closed-early'
  | 'connack-timeout'
  | 'connack'
  | 'not-mqtt'
  | 'too-large'
  | 'no-qos1'
  | 'subscribe-timeout'
  | 'disconnect'
  | 'closed'
  | 'silent'
  | 'ack-timeout';

/** Before this the gateway cannot be running: its clock has not been set. */
const earliestPlausible = Date.UTC(2026, 0, 1);

/** One sentence on what is wrong and one on what to do, for any failure of a connection. */
export function explain(error: unknown, attempt: Attempt): Failure {
  if (error instanceof SessionError) return explainSession(error, attempt);
  if (error instanceof GatewayError) {
    return {
      code: error.code,
      condition: error.code.startsWith('SECRET') ? 'secret-unresolved' : 'upstream-tls',
      message: error.message,
      remedy: error.remedy,
    };
  }
  const code = errorCode(error);
  return explainTls(code, attempt) ?? explainSocket(code, error, attempt);
}

function explainSocket(code: string, error: unknown, attempt: Attempt): Failure {
  const { host, port } = attempt;
  const where = `${host}:${port}`;
  switch (code) {
    case 'ECONNREFUSED':
      return unreachable(
        `Nothing listens on ${where}: the connection was refused`,
        'Check that the broker is running, then host and port of uplink.url.',
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
    case 'EAI_FAIL':
      return unreachable(
        `The name ${host} cannot be resolved to an address`,
        'Check the host name in uplink.url, and network and DNS server of this gateway.',
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
      return unreachable(
        `There is no route to ${where}`,
        'Check network cable, address and default route of this gateway.',
      );
    case 'ETIMEDOUT':
      return noAnswer(attempt);
    case 'ECONNRESET':
    case 'EPIPE':
      return unreachable(
        `The connection to ${where} was broken off`,
        'Nothing, if it passes; else look at the log of the broker and at firewalls on the way.',
      );
    default:
      return unreachable(
        `The connection to ${where} failed: ${error instanceof Error ? error.message : String(error)}`,
        'Check network, host name and port of uplink.url.',
      );
  }
}

function noAnswer({ host, port }: Attempt): Failure {
  return unreachable(
    `${host}:${port} does not answer`,
    'Check cable, router and firewall between this gateway and the broker.',
  );
}

function explainTls(code: string, attempt: Attempt): Failure | undefined {
  const { host, peer, clock } = attempt;
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return untrusted(
        `The certificate of ${host} expired${on(peer?.validTo)}${doubt(clock)}`,
        suspicious(clock)
          ? 'Set the clock of this gateway; if it is right, renew the certificate of the broker.'
          : 'Renew the certificate of the broker.',
      );
    case 'CERT_NOT_YET_VALID':
      return untrusted(
        `The certificate of ${host} is valid only from ${day(peer?.validFrom)}, and this gateway believes it is ${today(clock)}: its clock is probably not set`,
        'Set the clock of this gateway (time server); the connection then comes by itself.',
      );
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return untrusted(
        `The certificate of ${host} is for ${names(peer)}, not for ${host}`,
        'Use one of these names in uplink.url, or set uplink.tls.serverName to it.',
      );
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_UNTRUSTED':
    case 'INVALID_CA':
      return untrusted(
        `The certificate of ${host} was issued by ${issuer(peer)}, which this gateway does not trust`,
        'Put the certificate of that authority into the file that uplink.tls.ca names.',
      );
    case 'CERT_SIGNATURE_FAILURE':
    case 'CERT_REVOKED':
    case 'CERT_REJECTED':
    case 'INVALID_PURPOSE':
    case 'PATH_LENGTH_EXCEEDED':
      return untrusted(
        `The certificate of ${host} is not acceptable (${code})`,
        'Have the operator of the broker look at its certificate.',
      );
    default:
  }
  if (!code.startsWith('ERR_SSL_')) return undefined;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH|HTTP_REQUEST|UNKNOWN_PROTOCOL/.test(code)) {
    return untrusted(
      `What listens on ${host}:${attempt.port} does not speak TLS`,
      'Check the port of uplink.url (8883 is usual), or write mqtt:// if the broker has no TLS.',
    );
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|INAPPROPRIATE_FALLBACK/.test(code)) {
    return untrusted(
      `${host} offers only TLS versions older than 1.2`,
      'Have the operator of the broker enable TLS 1.2 or 1.3.',
    );
  }
  if (/ALERT.*(CERTIFICATE|UNKNOWN_CA)|ALERT_ACCESS_DENIED/.test(code)) {
    return clientCertificate(attempt, `: ${code.replace(/^ERR_SSL_(\w*?)_?ALERT_/, '')}`);
  }
  return untrusted(
    `The TLS handshake with ${host} failed (${code})`,
    'Compare uplink.tls with the settings of the broker.',
  );
}

function clientCertificate(attempt: Attempt, detail: string): Failure {
  return attempt.clientCertificate
    ? refused(
        `${attempt.host} refuses the client certificate of this gateway${detail.toLowerCase().replaceAll('_', ' ')}`,
        'Check that uplink.tls.certificate is valid and that the broker knows its authority.',
      )
    : refused(
        `${attempt.host} asks for a client certificate, and none is configured`,
        'Set uplink.tls.certificate and uplink.tls.key to the files made for this gateway.',
      );
}

function explainSession(error: SessionError, attempt: Attempt): Failure {
  const where = `${attempt.host}:${attempt.port}`;
  switch (error.kind) {
    case 'dial-timeout':
      return noAnswer(attempt);
    case 'handshake':
      return untrusted(
        `${where} broke the TLS handshake off`,
        'Check the port of uplink.url (8883 is usual), or write mqtt:// if the broker has no TLS.',
      );
    case 'closed-early':
      if (attempt.secure) {
        // In TLS 1.3 the broker judges the client's certificate after the handshake, and says no by closing.
        return {
          ...refused(
            `${where} closed the connection before it answered: it probably ${attempt.clientCertificate ? 'refuses the client certificate' : 'asks for a client certificate, and none is configured'}`,
            'Check uplink.tls.certificate and uplink.tls.key, then the log of the broker.',
          ),
          tryOlder: true,
        };
      }
      return {
        ...notMqtt(
          `${where} closed the connection before it answered`,
          'Check that uplink.url names an MQTT port, and mqtts:// if that port wants TLS.',
        ),
        tryOlder: true,
      };
    case 'connack-timeout':
      return notMqtt(
        `${where} takes the connection but does not answer as an MQTT broker`,
        'Check that uplink.url names an MQTT port, and mqtts:// if that port wants TLS.',
      );
    case 'not-mqtt':
      return {
        ...notMqtt(
          `${where} answers with something that is not MQTT`,
          'Check host and port of uplink.url: this is probably another service.',
        ),
        tryOlder: true,
      };
    case 'too-large':
      return notMqtt(
        `${where} sent a packet larger than this gateway takes`,
        'Look for a program that publishes large payloads to the command topics of this gateway.',
      );
    case 'connack':
      return explainConnack(error.reasonCode ?? 0, attempt);
    case 'no-qos1':
      return refused(
        `${where} does not allow QoS 1, without which nothing can be delivered for certain`,
        'Allow QoS 1 on the broker.',
      );
    case 'subscribe-timeout':
      return unreachable(
        `${where} accepted the connection but did not answer the subscription`,
        'Look at the log of the broker.',
      );
    case 'disconnect':
      return explainDisconnect(error.reasonCode ?? 0, attempt);
    case 'closed':
      return unreachable(
        `${where} closed the connection`,
        'Nothing, if it passes; else look at the log of the broker, and for a second gateway with this id.',
      );
    case 'silent':
      return unreachable(
        `${where} stopped answering; the connection is dead`,
        'Nothing, if it passes; else check the network between this gateway and the broker.',
      );
    case 'ack-timeout':
      return unreachable(
        `${where} does not confirm what is published`,
        'Nothing, if it passes; else look at load and log of the broker.',
      );
  }
}

/** The `code` of a system or TLS error; an error of many attempts gives that of the last. */
function errorCode(error: unknown): string {
  if (error instanceof AggregateError) return errorCode(error.errors.at(-1));
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function suspicious(clock: Attempt['clock']): boolean {
  return !clock.synced() || clock.wall() < earliestPlausible;
}

function doubt(clock: Attempt['clock']): string {
  return suspicious(clock)
    ? `; but the clock of this gateway is not synchronised and shows ${today(clock)}`
    : '';
}

function today(clock: Attempt['clock']): string {
  return new Date(clock.wall()).toISOString().slice(0, 10);
}

function day(text: string | undefined): string {
  const time = Date.parse(text ?? '');
  return Number.isNaN(time) ? 'a later day' : new Date(time).toISOString().slice(0, 10);
}

function on(text: string | undefined): string {
  return text === undefined ? '' : ` on ${day(text)}`;
}

function issuer(peer: X509Certificate | undefined): string {
  if (peer === undefined) return 'an authority';
  const name = /(?:^|\n)(?:CN|O)=([^\n]*)/.exec(peer.issuer)?.[1] ?? peer.issuer;
  return JSON.stringify(name.slice(0, 80));
}

function names(peer: X509Certificate | undefined): string {
  const text = peer?.subjectAltName ?? /CN=([^\n]*)/.exec(peer?.subject ?? '')?.[1];
  return text === undefined
    ? 'another name'
    : text.replaceAll(/\b(DNS|IP Address):/g, '').slice(0, 120);
}
