import { type LoadedSite, loadSite } from '../config/load-site.ts';
import { loadCatalog, type PluginProblem } from '../field/catalog.ts';
import { shippedPlugins, shippedProfiles } from '../gateway/release.ts';
import type { CheckLink } from '../model/installed-driver.ts';

/** Where the configuration is unless told otherwise. */
export const defaultConfigFolder = '/etc/riser';

export interface LoadedConfiguration extends LoadedSite {
  readonly dir: string;
  /** Plugins that were left out. */
  readonly problems: readonly PluginProblem[];
}

/** Loads a configuration as the daemon would, with the plugins of the release and those of paths.plugins. */
export async function loadConfiguration(
  dir: string | undefined,
  env: NodeJS.ProcessEnv,
  checkLink?: CheckLink,
): Promise<LoadedConfiguration> {
  const folder = dir ?? env.RISER_CONFIG ?? defaultConfigFolder;
  const shipped = loadCatalog(shippedPlugins);
  const load = (drivers: typeof shipped.drivers) =>
    loadSite({ dir: folder, shippedProfiles, env, drivers, checkLink });

  const loaded = await load(shipped.drivers);
  const more = loaded.settings.paths.plugins;
  if (more === '') return { ...loaded, dir: folder, problems: shipped.problems };
  // Only the settings say where further plugins are, and only these know the drivers of some links.
  const further = loadCatalog(more);
  return {
    ...(await load([...shipped.drivers, ...further.drivers])),
    dir: folder,
    problems: [...shipped.problems, ...further.problems],
  };
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
