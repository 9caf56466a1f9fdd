import type { FastifyReply } from 'fastify';
import type { Control } from '../model/status.ts';
import type { JsonSchema } from './schemas.ts';
import type { WatchHub } from './watch-hub.ts';

/** What routes work with. */
export interface RouteServices {
  readonly control: Control;
  readonly hub: WatchHub;
  readonly metrics: () => Promise<string>;
  readonly version: string;
}

export interface Call extends RouteServices {
  /** Checked against the schema of the route. */
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly reply: FastifyReply;
  /** Aborts when the client leaves or the server closes. */
  readonly signal: AbortSignal;
}

/** One operation: its contract as data, and what does it. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** Below /api/v1. */
  readonly path: string;
  readonly operation: string;
  readonly summary: string;
  readonly query?: JsonSchema;
  readonly body?: JsonSchema;
  readonly answer: {
    readonly type: 'application/json' | 'application/x-ndjson' | 'text/event-stream' | 'text/plain';
    readonly schema: JsonSchema;
    readonly description: string;
  };
  /** Answers besides 200 and problems. */
  readonly also?: Readonly<Record<number, string>>;
  handle(call: Call): unknown;
}

/** Schema of a list. */
export const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

/** Schema of a number of items asked for. */
export const limitOf = (max: number, usual: number): JsonSchema => ({
  type: 'integer',
  minimum: 1,
  maximum: max,
  default: usual,
});

/** A JSON answer. */
export const jsonAnswer = (description: string, schema: JsonSchema): Route['answer'] => ({
  type: 'application/json',
  description,
  schema,
});

/** A text of a query that may be missing. */
export const optionalText = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** A number of a query that may be missing. */
export const numberOr = (value: unknown, usual: number): number =>
  typeof value === 'number' ? value : usual;
