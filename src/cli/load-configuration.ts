import { type LoadedSite, loadSettingsOf, loadSite } from '../config/load-site.ts';
import { loadCatalog, type PluginProblem } from '../field/catalog.ts';
import { shippedPlugins, shippedProfiles } from '../gateway/release.ts';

/** Where the configuration is unless told otherwise. */
export const defaultConfigFolder = '/etc/riser';

export interface LoadedConfiguration extends LoadedSite {
  readonly dir: string;
  /** Plugins that were left out. */
  readonly problems: readonly PluginProblem[];
}

/**
 * Loads a configuration as the daemon would, with the plugins of the release and those of
 * paths.plugins. `thorough` also starts the drivers, for the rules that only they know.
 */
export async function loadConfiguration(
  dir: string | undefined,
  env: NodeJS.ProcessEnv,
  thorough: boolean,
): Promise<LoadedConfiguration> {
  const folder = dir ?? env.RISER_CONFIG ?? defaultConfigFolder;
  // Only the settings say where further plugins are, and only these know the drivers of some links.
  const { paths } = await loadSettingsOf({ dir: folder, env });
  const catalog = loadCatalog(shippedPlugins, ...(paths.plugins === '' ? [] : [paths.plugins]));
  const { drivers, problems } = catalog;
  const options = { dir: folder, shippedProfiles, env, drivers };
  if (!thorough) return { ...(await loadSite(options)), dir: folder, problems };
  const { LinkCheck } = await import('./link-check.ts');
  await using check = new LinkCheck(catalog);
  return { ...(await loadSite({ ...options, checkLink: check.checkLink })), dir: folder, problems };
}

/** Rejects with a message when a folder was named that is not there: a typing error would look like an empty site. */
export async function checkFolder(dir: string | undefined): Promise<void> {
  if (dir === undefined) return;
  const { stat } = await import('node:fs/promises');
  const found = await stat(dir).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  const { CommandError } = await import('./command-error.ts');
  throw new CommandError(
    'CONFIG_UNREADABLE',
    `there is no folder ${dir}`,
    'Name the folder that holds riser.yaml.',
  );
}
