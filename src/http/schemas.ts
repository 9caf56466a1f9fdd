import { conditionKinds } from '../model/condition.ts';
import { idPattern, pointNameMaxLength } from '../model/ids.ts';
import { lanes } from '../model/lane.ts';
import { reasons } from '../model/reason.ts';
import { problemCodes } from './problem.ts';

/** A JSON Schema (2020-12) as plain data. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

const string = { type: 'string' } as const;
const boolean = { type: 'boolean' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const ms = { type: 'number', description: 'Milliseconds.' } as const;
const time = { type: 'number', description: 'Milliseconds since 1970.' } as const;
const anyValue = { type: ['number', 'boolean', 'string', 'null'] } as const;
const oneOf = (...names: readonly string[]): JsonSchema => ({ type: 'string', enum: names });
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

/** Points to one of the components. */
export const ref = (name: keyof typeof components): JsonSchema => ({
  $ref: `#/components/schemas/${name}`,
});

/** An object with exactly these keys; a name that ends in `?` may be missing. */
export function record(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  const entries = Object.entries(properties);
  return {
    type: 'object',
    additionalProperties: false,
    required: entries.map(([name]) => name).filter((name) => !name.endsWith('?')),
    properties: Object.fromEntries(
      entries.map(([name, schema]) => [name.replace(/\?$/, ''), schema]),
    ),
  };
}

/** Id of a gateway, tenant, link or device in a request. */
export const idSchema: JsonSchema = { type: 'string', pattern: idPattern.source };
export const laneSchema: JsonSchema = oneOf(...lanes);
/** Name of a point in a request; its grammar belongs to the configuration, here only its length matters. */
export const pointNameSchema: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: pointNameMaxLength + 64,
};

const reference = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

/** What the control API answers with. Additions are compatible; anything else is a new version of the API. */
export const components = {
  Action: record({
    plugin: string,
    name: string,
    help: string,
    effect: oneOf('read-only', 'writing'),
    link: oneOf('shared', 'exclusive', 'none'),
    columns: list(record({ key: string, title: string, 'unit?': string })),
    argumentsSchema: { type: 'object', description: 'JSON Schema 2020-12.' },
  }),
  ActionLine: {
    type: 'object',
    required: ['kind'],
    properties: {
      kind: oneOf('begin', 'plan', 'progress', 'row', 'note', 'end', 'failed'),
      plugin: string,
      action: string,
      link: string,
      pauses: { ...count, description: 'Devices whose polling pauses meanwhile.' },
      columns: list(record({ key: string, title: string, 'unit?': string })),
      text: string,
      level: oneOf('info', 'warning'),
      seconds: { type: 'number' },
      done: { type: 'number' },
      total: { type: 'number' },
      row: { type: 'object' },
      code: string,
      message: string,
      remedy: string,
    },
  },
  LatestValue: record({
    point: string,
    device: string,
    tenant: string,
    lane: laneSchema,
    time,
    value: { ...anyValue, description: 'Null when the quality is bad.' },
    quality: oneOf('good', 'uncertain', 'bad'),
    'reason?': oneOf(...Object.keys(reasons)),
    'unit?': string,
    ageMs: ms,
    stale: { ...boolean, description: 'Older than three intervals of its group.' },
  }),
  DeviceStatus: record({
    device: string,
    link: string,
    driver: string,
    state: oneOf('unknown', 'online', 'degraded', 'offline'),
    'detail?': string,
    'reason?': oneOf(...Object.keys(reasons)),
    points: count,
    'lastGoodAgeMs?': ms,
  }),
  LinkStatus: record({
    link: string,
    driver: string,
    state: oneOf('opening', 'open', 'waiting', 'closed', 'driver-down'),
    'detail?': string,
    load: { type: 'number', minimum: 0, description: 'Share of time at work, 0 to 1.' },
    skippedTicks: count,
    latenessMs: ms,
  }),
  DriverProcessStatus: record({
    plugin: string,
    state: oneOf('stopped', 'starting', 'running', 'backoff', 'failed', 'stopping'),
    'pid?': count,
    restarts: count,
    'rssBytes?': count,
    'detail?': string,
  }),
  OutboxStats: record({
    pending: count,
    'oldestAgeMs?': ms,
    fileBytes: count,
    walBytes: count,
    maxBytes: count,
    deadLetters: count,
    lost: count,
    commits: count,
    committedEvents: count,
    bytesWritten: count,
    queued: count,
    commitP50Ms: ms,
    commitP99Ms: ms,
    checksumErrors: count,
  }),
  UplinkStatus: record({
    tenant: string,
    state: oneOf('off', 'connecting', 'connected', 'waiting'),
    'url?': string,
    'protocol?': oneOf('mqtt5', 'mqtt3.1.1'),
    'ackLevel?': oneOf('broker', 'cloud'),
    'detail?': string,
    'code?': string,
    forMs: ms,
    'lastAckAgeMs?': ms,
    inflight: count,
    reconnects: count,
    published: count,
    acked: count,
  }),
  Condition: record({
    code: oneOf(...Object.keys(conditionKinds)),
    subject: string,
    severity: oneOf('info', 'warning', 'error'),
    title: string,
    text: string,
    remedy: string,
    runbook: string,
    since: time,
  }),
  GatewayStatus: record({
    gateway: string,
    title: string,
    version: string,
    bootId: string,
    upMs: ms,
    revision: string,
    mode: oneOf('starting', 'running', 'degraded', 'stopping'),
    ready: boolean,
    points: record({ total: count, fresh: count, good: count }),
    devices: list(reference('DeviceStatus')),
    links: list(reference('LinkStatus')),
    drivers: list(reference('DriverProcessStatus')),
    outbox: reference('OutboxStats'),
    uplinks: list(reference('UplinkStatus')),
    conditions: list(reference('Condition')),
    modules: list(record({ name: string, state: string, 'detail?': string })),
    clockSynced: boolean,
  }),
  Stream: record({
    sid: count,
    tenant: string,
    lane: laneSchema,
    epoch: string,
    next: count,
    oldest: count,
    bytes: count,
    closed: boolean,
  }),
  DeadLetter: record({
    id: count,
    consumer: string,
    tenant: string,
    lane: laneSchema,
    epoch: string,
    sequence: count,
    n: count,
    reason: string,
    at: time,
    bytes: count,
  }),
  Finding: record({
    severity: oneOf('error', 'warning'),
    code: string,
    file: string,
    line: { ...count, description: 'From 1; 0 when the whole file is meant.' },
    column: count,
    pointer: string,
    message: string,
    'hint?': string,
    'excerpt?': string,
  }),
  ApplyResult: record({
    applied: boolean,
    revision: string,
    findings: list(reference('Finding')),
    added: list(string),
    changed: list(string),
    removed: list(string),
    restartNeeded: list(string),
  }),
  Envelope: {
    type: 'object',
    description: 'A CloudEvent of wire contract riser/1, exactly as it travels.',
    required: ['specversion', 'id', 'source', 'type'],
    additionalProperties: true,
    properties: { specversion: string, id: string, source: string, type: string },
  },
  Problem: {
    type: 'object',
    description: 'RFC 9457. `code` is stable, `remedy` says what to do.',
    required: ['type', 'title', 'status', 'detail', 'code', 'remedy'],
    additionalProperties: false,
    properties: {
      type: string,
      title: string,
      status: { type: 'integer' },
      detail: string,
      code: oneOf(...problemCodes),
      remedy: string,
      errors: list(record({ pointer: string, detail: string })),
      findings: list(reference('Finding')),
    },
  },
} as const satisfies Record<string, JsonSchema>;
