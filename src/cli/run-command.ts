import { CommanderError } from 'commander';
import { remedies } from '../model/errors.ts';
import { type ExitCode, exitCodeOf, exitCodes } from './exit-codes.ts';
import { Output, type Streams } from './output.ts';
import { buildProgram, isHelp, mayNeedActions, tame } from './program.ts';

/** Runs one command line to its end; resolves with the exit code when everything is printed. Never rejects. */
export async function runCommand(
  args: readonly string[],
  streams: Streams,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  if (args.includes('--no-color')) env.NO_COLOR = '1';
  const out = new Output(streams, env);
  const code = await execute(args, out, env);
  await out.flush();
  return code;
}

async function execute(
  args: readonly string[],
  out: Output,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const { command, exitCode, addActions } = buildProgram(out, env);
  if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
    return await execute(['version'], out, env);
  }
  try {
    if (mayNeedActions(command, args)) await addActions();
    tame(command, out);
    await command.parseAsync(args, { from: 'user' });
    return outputFailed(out) ?? exitCode();
  } catch (error) {
    if (isHelp(error)) return exitCodes.ok;
    return outputFailed(out) ?? (await report(error, args, out));
  }
}

/** Nobody reads on: the ordinary end of `riser watch | head`. Anything else that stops stdout is a failure. */
function outputFailed(out: Output): ExitCode | undefined {
  if (!out.closed.aborted) return undefined;
  const { code, message } = out.closed.reason as { readonly code?: string; message?: string };
  if (code === 'EPIPE') return exitCodes.ok;
  out.failure(`the output cannot be written: ${message ?? 'unknown'}`, 'Check the disk behind it.');
  return exitCodes.failed;
}

async function report(error: unknown, args: readonly string[], out: Output): Promise<ExitCode> {
  const exit = exitCodeOf(error);
  // Called without a command: its help has been printed.
  if (error instanceof CommanderError && error.code === 'commander.help') return exit;
  const { code, message, remedy, details } = described(error);
  if (exit !== exitCodes.interrupted) out.failure(message, remedy, details);
  if (args.includes('--json') && exit !== exitCodes.usage) {
    await out.json('riser.error/1', { exit, code, message, remedy, details });
  }
  return exit;
}

interface Described {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly details: readonly string[];
}

function described(error: unknown): Described {
  if (error instanceof CommanderError) {
    return {
      code: 'USAGE',
      message: error.message.replace(/^error: /, ''),
      remedy: 'See "riser help" or "riser help COMMAND".',
      details: [],
    };
  }
  const { code, message, remedy, details } = error as Partial<Described> & { code?: unknown };
  return {
    code: typeof code === 'string' && code in remedies ? code : String(code ?? 'INTERNAL'),
    message: message ?? String(error),
    remedy: remedy ?? systemRemedies[String(code)] ?? remedies.INTERNAL,
    details: details ?? [],
  };
}

/** Errors of the file system that a command meets. */
const systemRemedies: Readonly<Record<string, string>> = {
  EACCES: 'Check the permissions of that file.',
  ENOENT: 'Check that path.',
  ENOSPC: 'Free space on that disk.',
  EISDIR: 'Name a file, not a folder.',
};
