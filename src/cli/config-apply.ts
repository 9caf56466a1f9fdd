import { printable } from '../http/printable.ts';
import { remedies } from '../model/errors.ts';
import type { Finding } from '../model/site.ts';
import type { ApplyResult } from '../model/status.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { findingsText } from './findings-text.ts';

/** `riser config apply`: the daemon loads its files again and changes only what differs. */
export async function configApply(context: Context): Promise<ExitCode> {
  const { out } = context;
  const client = await context.client(120_000);
  const { status, body } = await client.answer('POST', '/config/apply', {});
  if (status === 200) {
    const result = body as ApplyResult;
    if (context.json) await out.json('riser.config-apply/1', result);
    else await out.write(`${describe(result).join('\n')}\n`);
    return exitCodes.ok;
  }
  const problem = body as {
    readonly code?: string;
    readonly detail?: string;
    readonly remedy?: string;
    readonly findings?: readonly Finding[];
  };
  if (problem.findings === undefined) {
    throw new CommandError(
      problem.code ?? 'INTERNAL',
      problem.detail ?? `the daemon answered with status ${status}`,
      problem.remedy ?? remedies.INTERNAL,
    );
  }
  if (context.json) {
    await out.json('riser.config-apply/1', { applied: false, findings: problem.findings });
  } else {
    await out.write(`${findingsText(problem.findings)}The running configuration is unchanged.\n`);
  }
  return exitCodes.configInvalid;
}

function describe(result: ApplyResult): readonly string[] {
  const list = (word: string, names: readonly string[]) =>
    names.length === 0
      ? []
      : [`${word.padEnd(12)} ${names.map((name) => printable(name)).join(', ')}`];
  const changes = [
    ...list('added', result.added),
    ...list('changed', result.changed),
    ...list('removed', result.removed),
    ...list('restart for', result.restartNeeded),
  ];
  const revision = `Configuration ${printable(result.revision.slice(0, 12))} is running.`;
  const warnings = result.findings.map(
    ({ file, line, message }) => `warning      ${printable(`${file}:${line} ${message}`)}`,
  );
  if (changes.length === 0) return [...warnings, `Nothing changed. ${revision}`];
  return [...warnings, ...changes, revision];
}
