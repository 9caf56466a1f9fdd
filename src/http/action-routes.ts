import { Readable } from 'node:stream';
import type { ActionLine, ActionRequest, RunningAction } from '../model/action.ts';
import { GatewayError } from '../model/errors.ts';
import type { Opaque } from '../model/point.ts';
import { type Call, jsonAnswer, listOf, type Route } from './route.ts';
import { idSchema, record, ref } from './schemas.ts';

/** An empty line now and then tells both ends that the other one is there. */
const heartbeatMs = 10_000;
const name = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' };

/** What plugins offer to technicians: scans, identification, raw reads. */
export const actionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/actions',
    operation: 'listActions',
    summary: 'Actions that the plugins offer, with the JSON Schema of their arguments',
    answer: jsonAnswer('By plugin.', record({ actions: listOf(ref('Action')) })),
    handle: ({ control }) => ({
      actions: control
        .actions()
        .map(({ plugin, name, help, effect, link, columns, argumentsSchema }) => ({
          plugin,
          name,
          help,
          effect,
          link,
          columns,
          argumentsSchema,
        })),
    }),
  },
  {
    method: 'POST',
    path: '/actions',
    operation: 'runAction',
    summary: 'Runs an action; it ends when it is done or the client leaves',
    body: record({
      'plugin?': name,
      action: name,
      'args?': { type: 'object' },
      'link?': { ...idSchema, description: 'Configured link to run it on.' },
      'device?': { ...idSchema, description: 'Configured device to run it on.' },
      'planOnly?': { type: 'boolean', description: 'Only say what would be done.' },
    }),
    answer: {
      type: 'application/x-ndjson',
      schema: ref('ActionLine'),
      description:
        'One object a line: `begin` first, then `plan`, `progress`, `row` and `note`, `end` or `failed` last. An empty line every 10 s keeps the connection.',
    },
    handle: runAction,
  },
];

function runAction({ control, body, reply, signal }: Call): unknown {
  const stop = new AbortController();
  const { args = {}, ...rest } = body as Partial<ActionRequest>;
  const request = { ...rest, args: args as { readonly [key: string]: Opaque } } as ActionRequest;
  const running = control.runAction(request, AbortSignal.any([signal, stop.signal]));
  const lines = Readable.from(linesOf(running), { objectMode: false });
  const heartbeat = setInterval(() => {
    // A client that reads slowly is waited for; one that is gone has ended the signal.
    if (!reply.raw.writableNeedDrain) reply.raw.write('\n');
  }, heartbeatMs);
  reply.raw.once('close', () => {
    clearInterval(heartbeat);
    stop.abort(new Error('the client left'));
    lines.destroy();
  });
  lines.once('end', () => clearInterval(heartbeat));
  reply.type('application/x-ndjson; charset=utf-8');
  return reply.send(lines);
}

async function* linesOf(running: RunningAction): AsyncGenerator<string> {
  const line = (content: ActionLine) => `${JSON.stringify(content)}\n`;
  const { plugin, link, pauses, columns, outputs } = running;
  yield line({
    kind: 'begin',
    plugin,
    action: running.name,
    ...(link !== undefined && { link }),
    pauses,
    columns,
  });
  try {
    for await (const output of outputs) yield line(output);
    yield line({ kind: 'end' });
  } catch (error) {
    const { code, message, remedy } = GatewayError.from(error, 'ACTION_FAILED', String(error));
    yield line({ kind: 'failed', code, message, remedy });
  }
}
