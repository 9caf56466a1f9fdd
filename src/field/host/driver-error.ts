import type { DriverError, Reason } from '#driver';
import { reasons } from '../../model/reason.ts';

const maxMessageLength = 300;
const maxCodeLength = 60;

/** Whether a text is one of the reasons of the catalogue. */
export function isReason(text: unknown): text is Reason {
  return typeof text === 'string' && Object.hasOwn(reasons, text);
}

/**
 * Turns what a plugin threw, or put into a result, into a DriverError of known kind and bounded
 * length. Anything without a known kind is a defect: `internal`.
 */
export function asDriverError(thrown: unknown, otherwise: Reason = 'internal'): DriverError {
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as {
    readonly [key: string]: unknown;
  };
  const message = typeof error.message === 'string' ? error.message : String(thrown);
  return {
    kind: isReason(error.kind) ? error.kind : otherwise,
    message: message.slice(0, maxMessageLength),
    ...(typeof error.code === 'string' && { code: error.code.slice(0, maxCodeLength) }),
    ...(Number.isFinite(error.retryAfterMs) && { retryAfterMs: error.retryAfterMs as number }),
  };
}

/** Whether a failure means that the device does not answer, and counts for its breaker. */
export function countsForBreaker(kind: Reason): boolean {
  return kind === 'timeout' || kind === 'no-path' || kind === 'bad-response';
}
