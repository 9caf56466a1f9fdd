import type { DriverError, Reason } from '#driver';

/** Why a request or a read failed; crosses to the host as a plain DriverError. */
export class ModbusError extends Error implements DriverError {
  readonly kind: Reason;
  readonly code?: string;
  readonly retryAfterMs?: number;
  /** The connection was an older one, so that the same request may succeed on a new one. */
  readonly stale: boolean;
  /** The request never left the gateway. */
  readonly unsent: boolean;

  constructor(
    kind: Reason,
    message: string,
    more: {
      code?: string;
      retryAfterMs?: number;
      stale?: boolean;
      unsent?: boolean;
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'ModbusError';
    this.kind = kind;
    if (more.code !== undefined) this.code = more.code;
    if (more.retryAfterMs !== undefined) this.retryAfterMs = more.retryAfterMs;
    this.stale = more.stale ?? false;
    this.unsent = more.unsent ?? false;
  }

  toJSON(): DriverError {
    return plainError(this);
  }
}

/** The part of an error that may cross processes. */
export function plainError(error: DriverError): DriverError {
  return {
    kind: error.kind,
    message: error.message,
    ...(error.code !== undefined && { code: error.code }),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
  };
}

/** The error of a caller that gave up. */
export function abortError(signal: AbortSignal): ModbusError {
  const late = (signal.reason as { name?: unknown } | undefined)?.name === 'TimeoutError';
  return late
    ? new ModbusError('timeout', 'the time for this read was over before the device had answered')
    : new ModbusError('closed', 'the read was called off');
}

/** The same error, of a request that never left the gateway. */
export function unsent({ kind, message, code, retryAfterMs }: ModbusError): ModbusError {
  return new ModbusError(kind, message, {
    ...(code !== undefined && { code }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    unsent: true,
  });
}

/** The error of whatever waits on a link that is closed. */
export function closedError(): ModbusError {
  return new ModbusError('closed', 'the link was closed');
}
