import { CommanderError } from 'commander';
import type { ErrorCode } from '../model/errors.ts';
import { CommandError } from './command-error.ts';

/** What a script learns from a command without reading its text. Codes are public and never change their meaning. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  configInvalid: 4,
  partlyFailed: 5,
  notAllowed: 6,
  timedOut: 7,
  needsYes: 8,
  nothingFound: 9,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The same table for a person. */
export const exitCodeTexts: Readonly<Record<ExitCode, string>> = {
  0: 'ok (warnings may have been printed)',
  1: 'failed: the reason is printed',
  2: 'wrong usage: the command line was not understood',
  3: 'the daemon cannot be reached',
  4: 'the configuration has errors',
  5: 'partly failed: some points are bad',
  6: 'not allowed: the socket belongs to group riser',
  7: 'timed out',
  8: 'refused: it would overwrite something and needs --yes',
  9: 'nothing found: no such device, point or stream, or nothing in it',
  130: 'interrupted with Ctrl-C',
};

/** Codes of errors and problems that are not plainly "failed". */
const codeOfError: Partial<Record<ErrorCode, ExitCode>> & Readonly<Record<string, ExitCode>> = {
  USAGE: exitCodes.usage,
  REQUEST_INVALID: exitCodes.usage,
  ACTION_UNKNOWN: exitCodes.usage,
  CONTROL_UNREACHABLE: exitCodes.unreachable,
  CONFIG_INVALID: exitCodes.configInvalid,
  CONFIG_UNREADABLE: exitCodes.configInvalid,
  ID_INVALID: exitCodes.configInvalid,
  DRIVER_UNKNOWN: exitCodes.configInvalid,
  SECRET_UNRESOLVED: exitCodes.configInvalid,
  SECRET_EXPOSED: exitCodes.configInvalid,
  CONTROL_FORBIDDEN: exitCodes.notAllowed,
  DEADLINE: exitCodes.timedOut,
  NEEDS_YES: exitCodes.needsYes,
  DEVICE_UNKNOWN: exitCodes.nothingFound,
  POINT_UNKNOWN: exitCodes.nothingFound,
  STREAM_UNKNOWN: exitCodes.nothingFound,
  NOTHING_FOUND: exitCodes.nothingFound,
  INTERRUPTED: exitCodes.interrupted,
};

/** The exit code for anything that a command has thrown. */
export function exitCodeOf(thrown: unknown): ExitCode {
  if (thrown instanceof CommanderError) return exitCodes.usage;
  const { code } = (thrown ?? {}) as { readonly code?: unknown };
  if (thrown instanceof CommandError || thrown instanceof Error) {
    return codeOfError[String(code)] ?? exitCodes.failed;
  }
  return exitCodes.failed;
}
