import { GatewayError } from '../model/errors.ts';
import type { ErrorFacts } from './worker-messages.ts';

/** Failures that waiting does not heal. */
export function isFinal(error: unknown): boolean {
  return (
    error instanceof GatewayError &&
    (error.code === 'OUTBOX_NEWER' ||
      error.code === 'STORAGE_NOT_DURABLE' ||
      error.facts.locked === true)
  );
}

/** Callers are promised OUTBOX_FULL or OUTBOX_UNAVAILABLE. */
export function unavailable(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) {
    if (thrown.code === 'OUTBOX_FULL' || thrown.code === 'OUTBOX_UNAVAILABLE') return thrown;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new GatewayError('OUTBOX_UNAVAILABLE', message, { cause: thrown, retryable: true });
}

/** The error that a worker has sent. */
export function fromFacts({ code, message, retryable, remedy, facts }: ErrorFacts): GatewayError {
  return new GatewayError(code, message, { retryable, remedy, facts });
}
