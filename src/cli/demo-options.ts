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
  const seconds = options.for === undefined ? undefined : Number(options.for);
  if (seconds !== undefined && !(seconds > 0 && seconds <= 86_400)) {
    throw new CommandError(
      'USAGE',
      '--for takes seconds, more than 0 and at most 86400',
      remedies.USAGE,
    );
  }
  return {
    ...(seconds === undefined ? {} : { forMs: Math.ceil(seconds * 1000) }),
    ...(json === undefined ? {} : { json }),
    ...(keep === undefined ? {} : { keep }),
    ...(upstream === undefined ? {} : { upstream }),
  };
}
