import { hanging } from '../http/text-block.ts';
import { ageText } from '../http/words.ts';
import type { LatestValue } from '../model/field.ts';
import { reasons } from '../model/reason.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { table } from './table.ts';
import { byReason, nameOf, qualityText, unitText, valueText } from './value-words.ts';

/** Names of points in one sentence before they are counted. */
const maxNames = 4;

/** `riser read DEVICE [POINT…]`: asks the device now, or with --last takes what was read last. */
export async function read(
  context: Context,
  device: string,
  points: readonly string[],
  options: { readonly last?: boolean; readonly register?: string; readonly yes?: boolean },
): Promise<ExitCode> {
  if (options.register !== undefined) {
    const { runAction } = await import('./run-action.ts');
    const args = { register: options.register };
    return await runAction(context, { action: 'read', device, args }, options);
  }
  const { out } = context;
  const client = await context.client(35_000);
  const values =
    options.last === true
      ? await lastValues(client, device, points)
      : (await client.post<{ values: readonly LatestValue[] }>('/read', { device, points })).values;

  if (context.json) await out.json('riser.read/1', { device, values });
  else await out.write(`${describe(values, Math.min(out.width, 120)).join('\n')}\n`);
  return verdict(values);
}

/** All good: 0; some bad: 5; all bad: 1; no point at all: 9. Uncertain values are values. */
function verdict(values: readonly LatestValue[]): ExitCode {
  const bad = values.filter(({ quality }) => quality === 'bad').length;
  if (values.length === 0) return exitCodes.nothingFound;
  if (bad === 0) return exitCodes.ok;
  return bad < values.length ? exitCodes.partlyFailed : exitCodes.failed;
}

async function lastValues(
  client: { get<Body>(path: string): Promise<Body> },
  device: string,
  points: readonly string[],
): Promise<readonly LatestValue[]> {
  const { allValues } = await import('./all-values.ts');
  const values = await allValues(client, device);
  const wanted = new Set(points);
  const found = values.filter(
    (value) => wanted.size === 0 || wanted.has(nameOf(value)) || wanted.has(value.point),
  );
  const names = new Set(found.flatMap((value) => [nameOf(value), value.point as string]));
  const unknown = points.find((point) => !names.has(point));
  if (unknown === undefined) return found;
  const { CommandError } = await import('./command-error.ts');
  const { remedies } = await import('../model/errors.ts');
  throw new CommandError(
    'POINT_UNKNOWN',
    `device ${device} has no value of a point ${JSON.stringify(unknown)}`,
    remedies.POINT_UNKNOWN,
  );
}

function describe(values: readonly LatestValue[], width: number): readonly string[] {
  const lines = [
    ...table(
      [
        { title: 'POINT', max: 36 },
        { title: 'VALUE', align: 'right', max: 22 },
        { title: 'UNIT', max: 8 },
        { title: 'QUALITY', max: 26 },
        { title: 'AGE', align: 'right' },
      ],
      values.map((value) => [
        nameOf(value),
        valueText(value),
        unitText(value.unit),
        qualityText(value),
        ageText(value.ageMs),
      ]),
    ),
  ];
  for (const [reason, affected] of byReason(values)) {
    const names = affected.slice(0, maxNames).map(nameOf).join(', ');
    const more = affected.length - maxNames;
    const { text, remedy } = reasons[reason];
    lines.push(
      ...hanging(' ! ', `${names}${more > 0 ? ` and ${more} more` : ''}: ${text}`, width),
      ...hanging('   → ', remedy, width),
    );
  }
  return lines;
}
