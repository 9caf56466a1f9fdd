import { type ErrorCode, GatewayError, remedies } from '../model/errors.ts';
import { JsonRefused } from './strict-json.ts';

/** What can be wrong with a request itself. Codes are public, like those of model/errors.ts, and differ from them. */
export const requestFaults = {
  REQUEST_INVALID: {
    status: 400,
    title: 'The request is not valid',
    remedy: 'Correct what "errors" lists; docs/reference/openapi.json describes every request.',
  },
  REQUEST_TOO_LARGE: {
    status: 413,
    title: 'The request is too large',
    remedy: 'Send less at once.',
  },
  REQUEST_TOO_SLOW: {
    status: 408,
    title: 'The request did not arrive in time',
    remedy: 'Send headers within 5 and the whole request within 10 seconds.',
  },
  HEADER_TOO_LARGE: {
    status: 431,
    title: 'The headers are too large',
    remedy: 'Send fewer or shorter headers.',
  },
  MEDIA_TYPE_UNSUPPORTED: {
    status: 415,
    title: 'The body is not JSON',
    remedy: 'Send a body of type application/json.',
  },
  ROUTE_UNKNOWN: {
    status: 404,
    title: 'There is no such route',
    remedy: 'docs/reference/openapi.json lists all routes.',
  },
  STREAM_UNKNOWN: {
    status: 404,
    title: 'There is no such stream',
    remedy: 'Use a tenant and a lane that "riser outbox status" lists.',
  },
  TOO_MANY_CLIENTS: {
    status: 503,
    title: 'Too many clients are watching',
    remedy: 'End another "riser watch" first.',
  },
} as const;

export type RequestFaultCode = keyof typeof requestFaults;

/** One thing that is wrong in a request. */
export interface ProblemDetail {
  /** JSON pointer into the body, or the name of a query parameter after `?`. */
  readonly pointer: string;
  readonly detail: string;
}

/** application/problem+json (RFC 9457), with what a person needs next. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly remedy: string;
  readonly errors?: readonly ProblemDetail[];
}

/** Thrown by routes for what is wrong with a request. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';
  readonly code: RequestFaultCode;
  readonly errors: readonly ProblemDetail[];

  constructor(code: RequestFaultCode, message: string, errors: readonly ProblemDetail[] = []) {
    super(message);
    this.code = code;
    this.errors = errors;
  }
}

/** Errors of the gateway that are not its own defect; all others are 500. */
const statusOf: Partial<Record<ErrorCode, number>> = {
  ID_INVALID: 400,
  USAGE: 400,
  CONTROL_FORBIDDEN: 403,
  DEVICE_UNKNOWN: 404,
  POINT_UNKNOWN: 404,
  CONFIG_INVALID: 422,
  CONFIG_UNREADABLE: 422,
  SECRET_UNRESOLVED: 422,
  SECRET_EXPOSED: 422,
  DRIVER_UNKNOWN: 422,
  ACTION_UNKNOWN: 404,
  ACTION_REFUSED: 409,
  ACTION_FAILED: 502,
  READ_FAILED: 502,
  DRIVER_FAILED: 503,
  DRIVER_UNRESPONSIVE: 503,
  OUTBOX_FULL: 503,
  OUTBOX_UNAVAILABLE: 503,
  DEADLINE: 504,
};

/** What fastify throws for a request that it does not like. */
const faultOfFastify: Readonly<Record<string, RequestFaultCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'REQUEST_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
};

interface ValidationIssue {
  readonly instancePath: string;
  readonly keyword: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** Turns anything that a route threw into a problem. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof GatewayError) return gatewayProblem(thrown);
  if (thrown instanceof RequestFault)
    return faultProblem(thrown.code, thrown.message, thrown.errors);
  if (thrown instanceof JsonRefused) {
    return faultProblem('REQUEST_INVALID', `The body is refused: ${thrown.message}.`);
  }
  const error = (thrown ?? {}) as {
    code?: string;
    statusCode?: number;
    message?: string;
    validation?: readonly ValidationIssue[];
    validationContext?: string;
  };
  if (error.validation !== undefined) {
    const errors = error.validation.map((issue) => detailOf(issue, error.validationContext));
    return faultProblem(
      'REQUEST_INVALID',
      errors[0]?.detail ?? 'The request is not valid.',
      errors,
    );
  }
  const code = faultOfFastify[error.code ?? ''];
  if (code !== undefined) return faultProblem(code, requestFaults[code].title);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return faultProblem('REQUEST_INVALID', error.message ?? 'The request is not valid.');
  }
  // The text of an unknown error may hold anything, a secret included: it goes to the log only.
  return gatewayProblem(
    new GatewayError('INTERNAL', 'The gateway failed to answer; its log says why.'),
  );
}

function gatewayProblem({ code, message, remedy }: GatewayError): Problem {
  return {
    type: `urn:riser:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titleOf(code),
    status: statusOf[code] ?? 500,
    detail: message,
    code,
    remedy,
  };
}

/** A problem of the request itself. */
export function faultProblem(
  code: RequestFaultCode,
  detail: string,
  errors: readonly ProblemDetail[] = [],
): Problem {
  const { status, title, remedy } = requestFaults[code];
  return {
    type: `urn:riser:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail,
    code,
    remedy,
    ...(errors.length > 0 ? { errors } : {}),
  };
}

/** `DEVICE_UNKNOWN` → `Device unknown`. */
function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** All codes that a problem can carry, for the reference. */
export const problemCodes: readonly string[] = [
  ...Object.keys(remedies),
  ...Object.keys(requestFaults),
].toSorted();

function detailOf(issue: ValidationIssue, context: string | undefined): ProblemDetail {
  const inQuery = context === 'querystring';
  const path = inQuery
    ? `?${issue.instancePath.slice(1).split('/')[0] ?? ''}`
    : `#${issue.instancePath}`;
  const { additionalProperty, missingProperty, allowedValues } = issue.params;
  if (issue.keyword === 'additionalProperties' && typeof additionalProperty === 'string') {
    const name = additionalProperty.slice(0, 80);
    return inQuery
      ? { pointer: `?${name}`, detail: `There is no parameter ${JSON.stringify(name)} here.` }
      : { pointer: `${path}/${pointerPart(name)}`, detail: `Unknown key ${JSON.stringify(name)}.` };
  }
  if (issue.keyword === 'required' && typeof missingProperty === 'string') {
    return inQuery
      ? { pointer: `?${missingProperty}`, detail: `Parameter "${missingProperty}" is missing.` }
      : {
          pointer: `${path}/${pointerPart(missingProperty)}`,
          detail: `Key "${missingProperty}" is missing.`,
        };
  }
  const rule = issue.keyword === 'enum' ? `must be one of ${String(allowedValues)}` : issue.message;
  return { pointer: path, detail: `${path} ${rule ?? 'is not valid'}.` };
}

function pointerPart(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
