import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Folder of the release: it holds src, plugins, config and package.json. */
export const releaseFolder = fileURLToPath(new URL('../../', import.meta.url));

/** Plugins that come with the release. */
export const shippedPlugins = fileURLToPath(new URL('../../plugins/', import.meta.url));

/** Device profiles that come with the release. */
export const shippedProfiles = fileURLToPath(new URL('../../config/profiles/', import.meta.url));

/** Version of the release, from its package.json. */
export function releaseVersion(): string {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as { version: string };
  return version;
}
