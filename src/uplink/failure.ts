import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../model/clock.ts';
import type { ConditionCode } from '../model/condition.ts';
import type { ErrorCode } from '../model/errors.ts';

/** Why there is no connection, in words for the person who has to mend it. */
export interface Failure {
  readonly code: ErrorCode;
  readonly condition: ConditionCode;
  readonly message: string;
  readonly remedy: string;
  /** The broker may speak only the older protocol: worth trying at once. */
  readonly tryOlder?: boolean;
}

/** How far the connection had come, and to whom. */
export interface Attempt {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly clientCertificate: boolean;
  /** Certificate that the broker showed, if it came so far. */
  readonly peer?: X509Certificate | undefined;
  readonly clock: Pick<Clock, 'wall' | 'synced'>;
}

/** There is no way to the broker, or none at present. */
export const unreachable = (message: string, remedy: string): Failure => ({
  code: 'UPSTREAM_UNREACHABLE',
  condition: 'upstream-unreachable',
  message,
  remedy,
});
/** The broker cannot prove who it is. */
export const untrusted = (message: string, remedy: string): Failure => ({
  code: 'UPSTREAM_TLS',
  condition: 'upstream-tls',
  message,
  remedy,
});
/** The broker is there and says no. */
export const refused = (message: string, remedy: string): Failure => ({
  code: 'UPSTREAM_REFUSED',
  condition: 'upstream-refused',
  message,
  remedy,
});
/** Something is there that is no broker, or speaks another version. */
export const notMqtt = (message: string, remedy: string): Failure => ({
  code: 'UPSTREAM_PROTOCOL',
  condition: 'upstream-unreachable',
  message,
  remedy,
});
