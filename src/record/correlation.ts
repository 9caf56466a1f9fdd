import { randomBytes } from 'node:crypto';

export interface Correlation {
  readonly correlationId: string;
  /** W3C trace context, version 00, not sampled. */
  readonly traceparent: string;
}

const prefix = randomBytes(6).toString('hex');
let count = 0;

/** A name for one batch from poll to publish, for logs and traces on both sides. */
export function newCorrelation(): Correlation {
  count += 1;
  return {
    correlationId: `${prefix}-${count.toString(36)}`,
    traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`,
  };
}
