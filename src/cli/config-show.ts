import { describeSettings } from '../config/describe-settings.ts';
import { printable } from '../http/printable.ts';
import { pad } from '../http/text-block.ts';
import { withDeadline } from '../kernel/wait.ts';
import type { Context } from './context.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { checkFolder, loadConfiguration } from './load-configuration.ts';

/** `riser config show [DIR]`: every setting in force, secrets masked. */
export async function configShow(
  context: Context,
  dir: string | undefined,
  options: { readonly origin?: boolean },
): Promise<ExitCode> {
  const { out } = context;
  await checkFolder(dir);
  const loaded = await withDeadline(
    'loading the configuration',
    context.timeoutMs(120_000),
    loadConfiguration(dir, context.env, false),
  );
  const settings = describeSettings(loaded.settings, loaded.origins);
  const errors = loaded.findings.filter(({ severity }) => severity === 'error').length;
  if (context.json) {
    await out.json('riser.config-show/1', { dir: loaded.dir, errors, settings });
  } else {
    const width = Math.max(...settings.map(({ name }) => name.length));
    for (const { name, value, origin } of settings) {
      const from = options.origin === true ? `  # ${printable(origin, 200)}` : '';
      await out.line(`${pad(name, width)}  ${printable(value, 4_096)}${from}`);
    }
  }
  if (errors > 0) {
    out.tell(`${errors} errors in ${printable(loaded.dir, 200)}; see "riser config validate"`);
  }
  return errors > 0 ? exitCodes.configInvalid : exitCodes.ok;
}
