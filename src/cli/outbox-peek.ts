import type { Stream } from '../model/outbox.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { envelopeText } from './envelope-text.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

export interface PeekOptions {
  readonly tenant?: string;
  readonly lane?: string;
  readonly after?: string;
  readonly limit?: string;
}

/** `riser outbox peek`: what the outbox holds, from the oldest on; nothing is removed by it. */
export async function outboxPeek(context: Context, options: PeekOptions): Promise<ExitCode> {
  const { out } = context;
  const client = await context.client(10_000);
  const { streams } = await client.get<{ streams: readonly Stream[] }>('/outbox/streams');
  const lane = options.lane ?? 'live';
  const tenant = options.tenant ?? onlyTenant(streams);
  const query = new URLSearchParams({
    tenant,
    lane,
    after: options.after ?? '0',
    limit: options.limit ?? '5',
  });
  const { events, next } = await client.get<{
    events: readonly Readonly<Record<string, unknown>>[];
    next?: number;
  }>(`/outbox/peek?${query}`);

  if (context.json) {
    await out.json('riser.outbox-peek/1', {
      tenant,
      lane,
      events,
      ...(next === undefined ? {} : { next }),
    });
  } else {
    for (const event of events) await out.line(envelopeText(event).join('\n'));
    if (events.length === 0) out.tell(`nothing is held in ${tenant}/${lane} after that sequence`);
    else out.tell(`next: riser outbox peek --tenant ${tenant} --lane ${lane} --after ${next}`);
  }
  return events.length === 0 ? exitCodes.nothingFound : exitCodes.ok;
}

function onlyTenant(streams: readonly Stream[]): string {
  const tenants = [...new Set(streams.map(({ tenant }) => tenant))];
  const [first] = tenants;
  if (first === undefined) {
    throw new CommandError(
      'NOTHING_FOUND',
      'the outbox holds nothing yet',
      'See "riser status": is a device answering?',
    );
  }
  if (tenants.length === 1) return first;
  throw new CommandError(
    'USAGE',
    `this gateway serves several tenants: ${tenants.slice(0, 10).join(', ')}`,
    'Name one with --tenant.',
  );
}
