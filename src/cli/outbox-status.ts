import { printable } from '../http/printable.ts';
import { hanging } from '../http/text-block.ts';
import { ageText, bytesText, countText, percentText } from '../http/words.ts';
import type { DeadLetter, OutboxStats, Stream } from '../model/outbox.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { table } from './table.ts';

/** Dead letters that are listed; --json has up to 100. */
const maxListed = 10;

/** `riser outbox status`: what waits, what was lost and what the cloud refused. */
export async function outboxStatus(context: Context): Promise<ExitCode> {
  const { out } = context;
  const client = await context.client(10_000);
  const [{ outbox }, { streams }, { deadLetters }] = await Promise.all([
    client.get<GatewayStatus>('/status'),
    client.get<{ streams: readonly Stream[] }>('/outbox/streams'),
    client.get<{ deadLetters: readonly DeadLetter[] }>('/outbox/dead-letters?limit=100'),
  ]);
  if (context.json) {
    await out.json('riser.outbox-status/1', { outbox, streams, deadLetters });
  } else {
    const lines = [...totals(outbox), ...streamLines(streams), ...letterLines(outbox, deadLetters)];
    await out.write(`${lines.join('\n')}\n`);
  }
  return exitCodes.ok;
}

function totals(stats: OutboxStats): readonly string[] {
  const size = stats.fileBytes + stats.walBytes;
  const oldest =
    stats.oldestAgeMs === undefined ? '' : `, the oldest for ${ageText(stats.oldestAgeMs)}`;
  return [
    `Waiting      ${countText(stats.pending)} events${oldest}`,
    `Lost         ${countText(stats.lost)} events, each declared to the cloud by a gap event`,
    `Disk         ${bytesText(size)}, ${percentText(size, stats.maxBytes)} of ${bytesText(stats.maxBytes)}`,
    `Commits      half within ${tenths(stats.commitP50Ms)} ms, 99 % within ${tenths(stats.commitP99Ms)} ms`,
    ...(stats.checksumErrors > 0
      ? [`Damaged      ${countText(stats.checksumErrors)} batches failed their checksum`]
      : []),
  ];
}

/** 28.056192999999894 → 28.1 */
function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

function streamLines(streams: readonly Stream[]): readonly string[] {
  return [
    `Streams (${streams.length})`,
    ...table(
      [
        { title: ' TENANT', max: 24 },
        { title: 'LANE' },
        { title: 'EPOCH', max: 14 },
        { title: 'OLDEST', align: 'right' },
        { title: 'NEXT', align: 'right' },
        { title: 'HELD', align: 'right' },
      ],
      streams.map(({ tenant, lane, epoch, oldest, next, bytes, closed }) => [
        ` ${printable(tenant)}`,
        lane,
        `${printable(epoch, 12)}${closed ? ' old' : ''}`,
        String(oldest),
        String(next),
        bytesText(bytes),
      ]),
    ),
  ];
}

function letterLines(stats: OutboxStats, letters: readonly DeadLetter[]): readonly string[] {
  const lines = [`Dead letters (${countText(stats.deadLetters)})`];
  for (const letter of letters.slice(0, maxListed)) {
    const { tenant, lane, sequence, n, at, reason } = letter;
    const what = `${tenant}/${lane} ${sequence}, ${countText(n)} events, ${new Date(at).toISOString()}`;
    lines.push(
      ...hanging(' ! ', printable(what), 80),
      ...hanging('   ', printable(reason, 300), 80),
    );
  }
  if (stats.deadLetters > maxListed) lines.push('   … all: riser outbox status --json');
  return lines;
}
