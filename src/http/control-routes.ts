import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { withDeadline } from '../kernel/wait.ts';
import { GatewayError } from '../model/errors.ts';
import type { Control } from '../model/status.ts';
import { exportLines, lastSequenceOf, streamsToExport } from './outbox-export.ts';
import { faultProblem, type Problem, RequestFault } from './problem.ts';
import { idSchema, type JsonSchema, laneSchema, pointNameSchema, record, ref } from './schemas.ts';
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

const readDeadlineMs = 30_000;
const applyDeadlineMs = 120_000;
const metricsDeadlineMs = 5_000;

const maxValues = 5_000;
const maxPeek = 100;
const maxDeadLetters = 500;
const maxReadPoints = 500;
const maxWatchedDevices = 64;

const limit = (max: number, usual: number): JsonSchema => ({
  type: 'integer',
  minimum: 1,
  maximum: max,
  default: usual,
});
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const json = (description: string, schema: JsonSchema) =>
  ({ type: 'application/json', description, schema }) as const;
const optionalText = (value: unknown) => (typeof value === 'string' ? value : undefined);

/** All routes of the control API. docs/reference/openapi.json is generated from them. */
export const controlRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/status',
    operation: 'getStatus',
    summary: 'One look at the whole gateway',
    answer: json('State of every part, and what needs attention.', ref('GatewayStatus')),
    handle: ({ control }) => control.status(),
  },
  {
    method: 'GET',
    path: '/devices',
    operation: 'listDevices',
    summary: 'State of every device',
    answer: json(
      'In the order of the configuration.',
      record({ devices: list(ref('DeviceStatus')) }),
    ),
    handle: ({ control }) => ({ devices: control.status().devices }),
  },
  {
    method: 'GET',
    path: '/links',
    operation: 'listLinks',
    summary: 'State of every link and of the driver processes',
    answer: json(
      'Links in the order of the configuration.',
      record({ links: list(ref('LinkStatus')), drivers: list(ref('DriverProcessStatus')) }),
    ),
    handle: ({ control }) => {
      const { links, drivers } = control.status();
      return { links, drivers };
    },
  },
  {
    method: 'GET',
    path: '/values',
    operation: 'listValues',
    summary: 'Latest value of every point, of one device or all',
    query: record({
      'device?': idSchema,
      'after?': { ...pointNameSchema, description: '`next` of the page before.' },
      'limit?': limit(maxValues, 1_000),
    }),
    answer: json(
      'One page in the order of the configuration; `next` is there when more follow.',
      record({ values: list(ref('LatestValue')), 'next?': { type: 'string' } }),
    ),
    handle: listValues,
  },
  {
    method: 'POST',
    path: '/read',
    operation: 'readPoints',
    summary: 'Reads points of a device now, past the poll plan',
    body: record({
      device: idSchema,
      'points?': {
        type: 'array',
        items: pointNameSchema,
        maxItems: maxReadPoints,
        description: 'Names within the device, such as ac.l1.voltage. Empty or missing: all.',
      },
    }),
    answer: json(
      'One value for each point; a point that could not be read has quality bad and a reason.',
      record({ values: list(ref('LatestValue')) }),
    ),
    handle: readPoints,
  },
  {
    method: 'GET',
    path: '/watch',
    operation: 'watchValues',
    summary: 'Values as they are committed, as server-sent events',
    query: record({
      'device?': { type: 'array', items: idSchema, maxItems: maxWatchedDevices },
    }),
    answer: {
      type: 'text/event-stream',
      schema: { type: 'string' },
      description:
        'Events named `values` with data {"values": [LatestValue]}, a comment every 15 s. A client that does not read is cut.',
    },
    handle: watchValues,
  },
  {
    method: 'GET',
    path: '/outbox/streams',
    operation: 'listStreams',
    summary: 'Streams of the outbox',
    answer: json('Older epochs before newer ones.', record({ streams: list(ref('Stream')) })),
    handle: ({ control }) => ({ streams: control.streams() }),
  },
  {
    method: 'GET',
    path: '/outbox/peek',
    operation: 'peekOutbox',
    summary: 'Envelopes that the outbox holds; nothing is removed by it',
    query: record({
      tenant: idSchema,
      lane: laneSchema,
      'after?': { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, default: 0 },
      'limit?': limit(maxPeek, 20),
    }),
    answer: json(
      'Envelopes after a sequence, in order; `next` is the `after` of the following page.',
      record({ events: list(ref('Envelope')), 'next?': { type: 'integer' } }),
    ),
    handle: peekOutbox,
  },
  {
    method: 'GET',
    path: '/outbox/dead-letters',
    operation: 'listDeadLetters',
    summary: 'Events that the cloud refused for good',
    query: record({ 'limit?': limit(maxDeadLetters, 100) }),
    answer: json('Newest first.', record({ deadLetters: list(ref('DeadLetter')) })),
    handle: async ({ control, query }) => ({
      deadLetters: await control.deadLetters((query.limit as number | undefined) ?? 100),
    }),
  },
  {
    method: 'GET',
    path: '/outbox/export',
    operation: 'exportOutbox',
    summary: 'All held envelopes, one a line',
    query: record({ 'tenant?': idSchema, 'lane?': laneSchema }),
    answer: {
      type: 'application/x-ndjson',
      schema: ref('Envelope'),
      description:
        'Ends at what was stored when it began. An answer that ends without its last chunk is not complete.',
    },
    handle: exportOutbox,
  },
  {
    method: 'POST',
    path: '/config/apply',
    operation: 'applyConfig',
    summary: 'Loads the files of the configuration again and applies what changed',
    body: record({}),
    answer: json('What was changed.', ref('ApplyResult')),
    also: { 422: 'The files have errors; `findings` lists them, and nothing was changed.' },
    handle: applyConfig,
  },
  {
    method: 'GET',
    path: '/ready',
    operation: 'getReady',
    summary: 'Whether the gateway collects and stores; the state of the upstream does not count',
    answer: json('It does.', record({ ready: { const: true }, mode: { type: 'string' } })),
    also: { 503: 'It does not, with the same members.' },
    handle: ({ control, reply }) => {
      const ready = control.ready();
      if (!ready) reply.code(503);
      return { ready, mode: control.status().mode };
    },
  },
  {
    method: 'GET',
    path: '/version',
    operation: 'getVersion',
    summary: 'Version of the daemon and of this API',
    answer: json(
      'Versions.',
      record({
        version: { type: 'string' },
        node: { type: 'string' },
        api: { const: 'v1' },
        bootId: { type: 'string' },
      }),
    ),
    handle: ({ control, version }) => ({
      version,
      node: process.version,
      api: 'v1',
      bootId: control.status().bootId,
    }),
  },
  {
    method: 'GET',
    path: '/metrics',
    operation: 'getMetrics',
    summary: 'Metrics in the text format of Prometheus',
    answer: { type: 'text/plain', schema: { type: 'string' }, description: 'Version 0.0.4.' },
    handle: async ({ metrics, reply }) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return await withDeadline('gathering the metrics', metricsDeadlineMs, metrics());
    },
  },
];

function checkDevice(control: Control, device: string): void {
  if (!control.status().devices.some((status) => status.device === device)) {
    throw new GatewayError('DEVICE_UNKNOWN', `there is no device ${JSON.stringify(device)}`);
  }
}

function listValues({ control, query }: Call): unknown {
  const device = optionalText(query.device);
  if (device !== undefined) checkDevice(control, device);
  const values = control.values(device);
  const after = optionalText(query.after);
  const size = (query.limit as number | undefined) ?? 1_000;
  const previous = after === undefined ? -1 : values.findIndex(({ point }) => point === after);
  if (after !== undefined && previous === -1) {
    // The configuration changed between two pages; beginning anew is better than skipping points.
    throw new GatewayError(
      'POINT_UNKNOWN',
      `there is no point ${JSON.stringify(after)} (any more)`,
      {
        remedy: 'Begin with the first page again.',
      },
    );
  }
  const page = values.slice(previous + 1, previous + 1 + size);
  const more = previous + 1 + page.length < values.length;
  return { values: page, ...(more ? { next: page.at(-1)?.point } : {}) };
}

async function readPoints({ control, body, signal }: Call): Promise<unknown> {
  const device = body.device as string;
  const prefix = `${device}/`;
  const points = ((body.points ?? []) as readonly string[]).map((point) =>
    point.startsWith(prefix) ? point.slice(prefix.length) : point,
  );
  const stop = AbortSignal.any([signal, AbortSignal.timeout(readDeadlineMs)]);
  const values = await withDeadline(
    `reading ${device}`,
    readDeadlineMs,
    control.read(device, points, stop),
  );
  return { values };
}

function watchValues({ control, hub, query, reply }: Call): unknown {
  const devices = (query.device ?? []) as readonly string[];
  for (const device of devices) checkDevice(control, device);
  hub.add(reply.raw, devices);
  return reply.hijack();
}

function checkStream(control: Control, tenant: string | undefined, lane: string | undefined): void {
  const found = streamsToExport(control.streams(), tenant, lane).length > 0;
  if (!found && (tenant !== undefined || lane !== undefined)) {
    throw new RequestFault(
      'STREAM_UNKNOWN',
      `the outbox has no stream ${tenant ?? 'of any tenant'}/${lane ?? 'any lane'}`,
    );
  }
}

async function peekOutbox({ control, query, reply }: Call): Promise<unknown> {
  const tenant = query.tenant as string;
  const lane = query.lane as string;
  checkStream(control, tenant, lane);
  const envelopes = await control.peek(
    tenant,
    lane,
    (query.after as number | undefined) ?? 0,
    (query.limit as number | undefined) ?? 20,
  );
  const last = envelopes.at(-1);
  const next = last === undefined ? undefined : lastSequenceOf(last);
  reply.type('application/json; charset=utf-8');
  // The envelopes are JSON already, and are shown exactly as they travel.
  return `{"events":[${envelopes.join(',')}]${next === undefined ? '' : `,"next":${next}`}}`;
}

function exportOutbox({ control, query, reply }: Call): unknown {
  const tenant = optionalText(query.tenant);
  const lane = optionalText(query.lane);
  checkStream(control, tenant, lane);
  const streams = streamsToExport(control.streams(), tenant, lane);
  reply.type('application/x-ndjson');
  return reply.send(Readable.from(exportLines(control, streams), { highWaterMark: 1 }));
}

async function applyConfig({ control, reply }: Call): Promise<unknown> {
  const result = await withDeadline(
    'applying the configuration',
    applyDeadlineMs,
    control.applyConfig(),
  );
  if (result.applied) return result;
  const errors = result.findings.filter(({ severity }) => severity === 'error').length;
  const problem: Problem = {
    ...faultProblem('REQUEST_INVALID', `The configuration has ${errors} errors; nothing changed.`),
    type: 'urn:riser:problem:config-invalid',
    title: 'Config invalid',
    status: 422,
    code: 'CONFIG_INVALID',
    remedy: 'Run "riser config validate" and correct what it lists.',
  };
  reply.code(422).type('application/problem+json; charset=utf-8');
  return JSON.stringify({ ...problem, findings: result.findings });
}
