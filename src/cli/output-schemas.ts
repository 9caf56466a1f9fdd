import { components, type JsonSchema, record, ref } from '../http/schemas.ts';

const string = { type: 'string' } as const;
const integer = { type: 'integer' } as const;
const boolean = { type: 'boolean' } as const;
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

/** A document of --json: its name first, then its members. */
function named(name: string, properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return record({ schema: { const: name }, ...properties });
}

/** A component of the control API with the name of the document added. */
function component(name: string, schema: JsonSchema): JsonSchema {
  return {
    ...schema,
    required: ['schema', ...(schema.required as readonly string[])],
    properties: { schema: { const: name }, ...(schema.properties as object) },
  };
}

export interface OutputSchema {
  readonly command: string;
  readonly schema: JsonSchema;
}

/**
 * Every document that --json prints, by its name. Public: members are added under the same number;
 * anything else gets the next number. `#/components` are those of the control API.
 */
export const outputSchemas: Readonly<Record<string, OutputSchema>> = {
  'riser.status/1': {
    command: 'riser status',
    schema: component('riser.status/1', components.GatewayStatus),
  },
  'riser.read/1': {
    command: 'riser read',
    schema: named('riser.read/1', { device: string, values: list(ref('LatestValue')) }),
  },
  'riser.watch/1': {
    command: 'riser watch (one document a line)',
    schema: component('riser.watch/1', components.LatestValue),
  },
  'riser.action/1': {
    command: 'riser PLUGIN ACTION, riser read --register',
    schema: named('riser.action/1', {
      plugin: string,
      action: string,
      'link?': string,
      columns: list(record({ key: string, title: string, 'unit?': string })),
      rows: list({ type: 'object' }),
      notes: list(record({ level: string, text: string })),
      complete: boolean,
    }),
  },
  'riser.action-row/1': {
    command: 'riser PLUGIN ACTION --jsonl (one document a line)',
    schema: named('riser.action-row/1', { row: { type: 'object' } }),
  },
  'riser.demo/1': {
    command: 'riser demo',
    schema: named('riser.demo/1', {
      ok: boolean,
      seconds: { type: 'number' },
      received: integer,
      stored: integer,
      lost: integer,
      missing: integer,
      duplicates: integer,
      wrong: integer,
      good: integer,
      uncertain: integer,
      bad: integer,
      'firstWrong?': string,
    }),
  },
  'riser.outbox-status/1': {
    command: 'riser outbox status',
    schema: named('riser.outbox-status/1', {
      outbox: ref('OutboxStats'),
      streams: list(ref('Stream')),
      deadLetters: list(ref('DeadLetter')),
    }),
  },
  'riser.outbox-peek/1': {
    command: 'riser outbox peek',
    schema: named('riser.outbox-peek/1', {
      tenant: string,
      lane: string,
      events: list(ref('Envelope')),
      'next?': integer,
    }),
  },
  'riser.outbox-export/1': {
    command: 'riser outbox export FILE',
    schema: named('riser.outbox-export/1', {
      file: string,
      events: integer,
      bytes: integer,
      sha256: string,
    }),
  },
  'riser.ready/1': {
    command: 'riser ready',
    schema: named('riser.ready/1', { ready: boolean, mode: string }),
  },
  'riser.version/1': {
    command: 'riser version',
    schema: named('riser.version/1', {
      version: string,
      node: string,
      platform: string,
      arch: string,
    }),
  },
  'riser.config-show/1': {
    command: 'riser config show',
    schema: named('riser.config-show/1', {
      dir: string,
      errors: integer,
      settings: list(record({ name: string, value: string, origin: string })),
    }),
  },
  'riser.config-validation/1': {
    command: 'riser config validate',
    schema: named('riser.config-validation/1', {
      valid: boolean,
      errors: integer,
      warnings: integer,
      findings: list(ref('Finding')),
    }),
  },
  'riser.config-apply/1': {
    command: 'riser config apply',
    schema: named('riser.config-apply/1', {
      applied: boolean,
      findings: list(ref('Finding')),
      'revision?': string,
      'added?': list(string),
      'changed?': list(string),
      'removed?': list(string),
      'restartNeeded?': list(string),
    }),
  },
  'riser.exit-codes/1': {
    command: 'riser help exit-codes',
    schema: named('riser.exit-codes/1', {
      exitCodes: list(record({ code: integer, text: string })),
    }),
  },
  'riser.error/1': {
    command: 'every command that fails',
    schema: named('riser.error/1', {
      exit: integer,
      code: string,
      message: string,
      remedy: string,
      details: list(string),
    }),
  },
};
