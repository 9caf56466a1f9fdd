import { withDeadline } from '../kernel/wait.ts';
import { GatewayError } from '../model/errors.ts';
import type { Control } from '../model/status.ts';
import {
  type Call,
  jsonAnswer,
  limitOf,
  listOf,
  numberOr,
  optionalText,
  type Route,
} from './route.ts';
import { idSchema, pointNameSchema, record, ref } from './schemas.ts';

const readDeadlineMs = 30_000;
const maxValues = 5_000;
const maxReadPoints = 500;
const maxWatchedDevices = 64;

/** Values of points: the latest, read now, and as they are committed. */
export const valueRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/values',
    operation: 'listValues',
    summary: 'Latest value of every point, of one device or all',
    query: record({
      'device?': idSchema,
      'after?': { ...pointNameSchema, description: '`next` of the page before.' },
      'limit?': limitOf(maxValues, 1_000),
    }),
    answer: jsonAnswer(
      'One page in the order of the configuration; `next` is there when more follow.',
      record({ values: listOf(ref('LatestValue')), 'next?': { type: 'string' } }),
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
    answer: jsonAnswer(
      'One value for each point; a point that could not be read has quality bad and a reason.',
      record({ values: listOf(ref('LatestValue')) }),
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
  const size = numberOr(query.limit, 1_000);
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
