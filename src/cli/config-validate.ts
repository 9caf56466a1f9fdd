import { type FindingFormat, formatFindings } from '../config/format-findings.ts';
import { printable } from '../http/printable.ts';
import { withDeadline } from '../kernel/wait.ts';
import { remedies } from '../model/errors.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { findingsText } from './findings-text.ts';
import { checkFolder, loadConfiguration } from './load-configuration.ts';

const formats: readonly FindingFormat[] = ['text', 'json', 'github'];

/** `riser config validate [DIR]`: everything that is wrong, at once, without the daemon. */
export async function configValidate(
  context: Context,
  dir: string | undefined,
  options: { readonly format?: string },
): Promise<ExitCode> {
  const { out } = context;
  const wanted = options.format ?? (context.json ? 'json' : 'text');
  const format = formats.find((each) => each === wanted);
  if (format === undefined) {
    throw new CommandError('USAGE', `--format takes ${formats.join(', ')}`, remedies.USAGE);
  }
  await checkFolder(dir);
  const { findings, problems } = await withDeadline(
    'loading the configuration',
    context.timeoutMs(120_000),
    loadConfiguration(dir, context.env, true),
  );
  for (const { plugin, message } of problems) {
    out.tell(`plugin ${printable(plugin, 63)} is left out: ${printable(message)}`);
  }
  await out.write(format === 'text' ? findingsText(findings) : formatFindings(findings, format));
  return findings.some(({ severity }) => severity === 'error')
    ? exitCodes.configInvalid
    : exitCodes.ok;
}
