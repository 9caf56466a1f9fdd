import type { Command } from 'commander';
import { remedies } from '../model/errors.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes, exitCodeTexts } from './exit-codes.ts';

/** `riser help [COMMAND…]`, and `riser help exit-codes`. */
export async function help(
  { out, json }: Context,
  program: Command,
  topic: readonly string[],
): Promise<ExitCode> {
  if (topic[0] === 'exit-codes') {
    const rows = Object.entries(exitCodeTexts).map(([code, text]) => ({
      code: Number(code),
      text,
    }));
    if (json) await out.json('riser.exit-codes/1', { exitCodes: rows });
    else
      await out.write(
        rows.map(({ code, text }) => `${String(code).padStart(3)}  ${text}\n`).join(''),
      );
    return exitCodes.ok;
  }
  let command = program;
  for (const word of topic) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) {
      throw new CommandError(
        'USAGE',
        `there is no command ${JSON.stringify(topic.join(' '))}`,
        remedies.USAGE,
      );
    }
    command = next;
  }
  await out.write(command.helpInformation());
  return exitCodes.ok;
}
