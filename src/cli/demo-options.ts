import { remedies } from '../model/errors.ts';
import { CommandError } from './command-error.ts';

/** What demo() takes. */
export interface DemoOptions {
  readonly forMs?: number;
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly upstream?: string;
}

/** Turns the options of the command line into those of demo(). Throws USAGE. */
export function demoOptions(options: {
  readonly for?: string;
  readonly json?: boolean;
  readonly keep?: boolean;
  readonly upstream?: string;
}): DemoOptions {
  const { json, keep, upstream } = options;
  const forMs = options.for === undefined ? undefined : milliseconds(options.for);
  return {
    ...(forMs === undefined ? {} : { forMs }),
    ...(json === undefined ? {} : { json }),
    ...(keep === undefined ? {} : { keep }),
    ...(upstream === undefined ? {} : { upstream }),
  };
}

const factors: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const longestMs = 24 * 3_600_000;

/** `20s`, `500ms`, `2m`, or plain seconds. Throws USAGE. */
function milliseconds(text: string): number {
  const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const ms = Math.ceil(Number(number) * (factors[unit] ?? Number.NaN));
  if (!(ms > 0 && ms <= longestMs)) {
    throw new CommandError(
      'USAGE',
      '--for takes a time such as 20s or 2m, at most 24h',
      remedies.USAGE,
    );
  }
  return ms;
}
