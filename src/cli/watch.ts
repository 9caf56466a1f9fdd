import { printable } from '../http/printable.ts';
import { pad } from '../http/text-block.ts';
import type { LatestValue } from '../model/field.ts';
import { allValues } from './all-values.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { serverSentEvents } from './server-sent-events.ts';
import { qualityText, unitText, valueText } from './value-words.ts';

/** Points whose last printed value is remembered; more than any site has. */
const maxRemembered = 100_000;

/** `riser watch [DEVICE…]`: values as they change, until Ctrl-C. */
export async function watch(
  context: Context,
  devices: readonly string[],
  options: { readonly jsonl?: boolean; readonly all?: boolean; readonly count?: string },
): Promise<ExitCode> {
  const { out } = context;
  const limit = countOf(options.count);
  const asJson = context.json || options.jsonl === true;
  const client = await context.client(10_000);
  const query = new URLSearchParams(devices.map((device) => ['device', device]));
  const changes = new ChangeFilter(options.all === true);
  let printed = 0;

  const print = async (values: readonly LatestValue[]) => {
    for (const value of values) {
      if (printed >= limit || !changes.isNews(value)) continue;
      printed += 1;
      if (asJson) await out.json('riser.watch/1', value);
      else await out.line(lineOf(value));
    }
  };

  // Subscribed first, so that nothing falls between what stands and what changes.
  const stream = await client.stream(`/watch?${query}`);
  // A value that does not change may not be sent for an hour: what stands now comes first.
  for (const device of devices) await print(await allValues(client, device));
  if (!asJson && printed < limit) {
    const what =
      devices.length === 0 ? 'all devices' : devices.map((id) => printable(id)).join(', ');
    out.tell(`watching ${what}; Ctrl-C ends`);
  }
  if (printed < limit) {
    for await (const { name, data } of serverSentEvents(stream)) {
      if (name === 'values') {
        await print((JSON.parse(data) as { values: readonly LatestValue[] }).values);
      }
      if (printed >= limit) break;
    }
  }
  if (printed >= limit) return exitCodes.ok;
  throw new CommandError(
    'CONTROL_UNREACHABLE',
    'the daemon ended the watch: it is stopping',
    'Start the command again when the daemon is back ("riser ready" tells).',
  );
}

function countOf(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new CommandError('USAGE', '--count takes a number above 0', 'See "riser watch --help".');
}

/** Lets a value through when it or its quality differs from the last one of its point. */
class ChangeFilter {
  readonly #all: boolean;
  readonly #last = new Map<string, string>();

  constructor(all: boolean) {
    this.#all = all;
  }

  isNews({ point, value, quality, reason }: LatestValue): boolean {
    if (this.#all) return true;
    const now = JSON.stringify([value, quality, reason]);
    if (this.#last.get(point) === now) return false;
    if (this.#last.size < maxRemembered) this.#last.set(point, now);
    return true;
  }
}

function lineOf(value: LatestValue): string {
  const at = new Date(value.time);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
  const unit = unitText(value.unit);
  const text = `${valueText(value)}${unit === '' ? '' : ` ${unit}`}`;
  const quality = value.quality === 'good' && !value.stale ? '' : `  ${qualityText(value)}`;
  return `${time}  ${pad(printable(value.point, 192), 36)}  ${pad(text, 14, 'left')}${quality}`;
}
