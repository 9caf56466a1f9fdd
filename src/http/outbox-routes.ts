import { Readable } from 'node:stream';
import type { Control } from '../model/status.ts';
import { exportLines, lastSequenceOf, streamsToExport } from './outbox-export.ts';
import { RequestFault } from './problem.ts';
import {
  type Call,
  jsonAnswer,
  limitOf,
  listOf,
  numberOr,
  optionalText,
  type Route,
} from './route.ts';
import { idSchema, laneSchema, record, ref } from './schemas.ts';

const maxPeek = 100;
const maxDeadLetters = 500;

/** What the outbox holds; nothing here removes anything from it. */
export const outboxRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/outbox/streams',
    operation: 'listStreams',
    summary: 'Streams of the outbox',
    answer: jsonAnswer(
      'Older epochs before newer ones.',
      record({ streams: listOf(ref('Stream')) }),
    ),
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
      'limit?': limitOf(maxPeek, 20),
    }),
    answer: jsonAnswer(
      'Envelopes after a sequence, in order; `next` is the `after` of the following page.',
      record({ events: listOf(ref('Envelope')), 'next?': { type: 'integer' } }),
    ),
    handle: peekOutbox,
  },
  {
    method: 'GET',
    path: '/outbox/dead-letters',
    operation: 'listDeadLetters',
    summary: 'Events that the cloud refused for good',
    query: record({ 'limit?': limitOf(maxDeadLetters, 100) }),
    answer: jsonAnswer('Newest first.', record({ deadLetters: listOf(ref('DeadLetter')) })),
    handle: async ({ control, query }) => ({
      deadLetters: await control.deadLetters(numberOr(query.limit, 100)),
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
];

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
    numberOr(query.after, 0),
    numberOr(query.limit, 20),
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
