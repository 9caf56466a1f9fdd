import { type Catalog, loadCatalog } from '../field/catalog.ts';
import { shippedPlugins } from '../gateway/release.ts';

/** The plugins of the release and those in paths.plugins of the configuration. */
export async function installedCatalog(env: NodeJS.ProcessEnv): Promise<Catalog> {
  return loadCatalog(shippedPlugins, ...(await ownPlugins(env)));
}

async function ownPlugins(env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const { loadSettingsOf } = await import('../config/load-site.ts');
  const { defaultConfigFolder } = await import('./load-configuration.ts');
  try {
    const { paths } = await loadSettingsOf({ dir: env.RISER_CONFIG ?? defaultConfigFolder, env });
    return paths.plugins === '' ? [] : [paths.plugins];
  } catch {
    // Without a configuration that can be read there are the plugins of the release.
    return [];
  }
}
