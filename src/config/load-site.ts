import { hostname as hostnameOfMachine } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '../model/errors.ts';
import { type TenantId, tenantId } from '../model/ids.ts';
import type { CheckLink, InstalledDriver } from '../model/installed-driver.ts';
import type { Finding, Settings, Site } from '../model/site.ts';
import type { Tenant } from '../model/tenant.ts';
import { DeviceAssembly } from './assemble-devices.ts';
import { askDrivers, assembleLinks } from './check-links.ts';
import { DriverSchemas } from './driver-schemas.ts';
import { FindingList } from './finding-list.ts';
import { loadProfiles } from './load-profiles.ts';
import {
  type Given,
  type LoadedSettings,
  loadSettings,
  type SettingsDocument,
} from './load-settings.ts';
import { type Entries, readDocuments } from './read-documents.ts';
import { readPointsCsv } from './read-points-csv.ts';
import { type Ending, readFolder, readSource } from './read-sources.ts';
import { devicesSchema, linksSchema, tenantsSchema } from './schemas/documents.ts';
import { resolveSecret, type SecretSources } from './secrets.ts';
import { isSecretRef } from './setting-spec.ts';
import { settingSpecs } from './settings-schema.ts';
import { siteRevision } from './site-revision.ts';
import { didYouMean } from './suggest.ts';
import { readYaml } from './yaml-document.ts';

/** What a site is loaded from. */
export interface LoadSiteOptions {
  /** Folder of the configuration: /etc/riser. One that is missing means defaults. */
  readonly dir: string;
  /** Folder with the profiles of the release. */
  readonly shippedProfiles?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Settings of the command line by their dotted name: `uplink.url`. */
  readonly flags?: Readonly<Record<string, Given | undefined>>;
  readonly drivers: readonly InstalledDriver[];
  /** Without it, the rules that only a protocol knows are not checked. */
  readonly checkLink?: CheckLink | undefined;
  /** $CREDENTIALS_DIRECTORY unless given. */
  readonly credentialsDirectory?: string | undefined;
  /** Name of the machine unless given; the id of the gateway comes from it. */
  readonly hostname?: string;
}

export interface LoadedSite {
  /**
   * Undefined when something must be corrected first. A secret that cannot be read is an error,
   * too, but no reason to stop polling: then the site is there.
   */
  readonly site: Site | undefined;
  /** The settings, also when the rest is wrong: for the log, the page and the paths. */
  readonly settings: Settings;
  readonly findings: readonly Finding[];
  /** Where each setting comes from: "default", "riser.yaml:3", "env RISER_…", "flag --…". */
  readonly origins: Map<string, string>;
}

/** Reads a whole configuration, checks it and puts it together. Everything wrong is told at once; bad input never throws. */
export async function loadSite(options: LoadSiteOptions): Promise<LoadedSite> {
  const { dir, env } = options;
  const findings = new FindingList();
  const folder = (label: string, ending: Ending = '.yaml') =>
    readFolder({ path: join(dir, label), label }, ending, findings);

  const { said, settings, tenants, tenantIds } = await readScalars(options, findings);
  const drivers = new DriverSchemas(options.drivers, findings);
  const [linkFiles, deviceFiles] = [await folder('links.d'), await folder('devices.d')];
  const links = await readDocuments(linkFiles, linksSchema, 'links', 'link', findings);
  const devices = await readDocuments(deviceFiles, devicesSchema, 'devices', 'device', findings);
  const shipped = await shippedProfiles(options.shippedProfiles, findings);
  const profiles = await loadProfiles(await folder('profiles.d'), shipped, findings);
  const tables = await folder('points.d', '.csv');
  const csv = await readPointsCsv(tables, drivers.allPointKeys(), findings);

  const tenantsComplete = tenants.complete;
  const placedLinks = assembleLinks(links, drivers, findings);
  const placedDevices = new DeviceAssembly(
    { devices, links, tenants: tenantIds, tenantsComplete, profiles, csv, drivers },
    findings,
  ).assemble();
  if (options.checkLink !== undefined) {
    await askDrivers(placedLinks, placedDevices, options.checkLink, findings);
  }

  // From here on, what is wrong is no reason to go on with yesterday's configuration.
  const blocking = findings.errors > 0;
  const credentialsDirectory = options.credentialsDirectory ?? env.CREDENTIALS_DIRECTORY;
  await checkSecrets(settings, said, { credentialsDirectory, env }, findings);
  const parts = {
    settings,
    tenants: [...tenantIds]
      .filter((id) => tenants.byId.get(id)?.valid !== false)
      .map((id) => tenantOf(id, tenants)),
    links: placedLinks.map(({ link }) => link),
    devices: placedDevices.filter(({ enabled }) => enabled).map(({ device }) => device),
  };
  return {
    site: blocking ? undefined : { ...parts, revision: siteRevision(parts) },
    settings,
    findings: findings.list(),
    origins: new Map(
      [...settingSpecs.keys()].map((name) => [name, said.get(name)?.text ?? 'default']),
    ),
  };
}

/**
 * The settings alone, before anybody knows which drivers are installed. What is wrong in them is
 * left at its default here and told by loadSite.
 */
export async function loadSettingsOf(
  options: Pick<LoadSiteOptions, 'dir' | 'env' | 'flags' | 'hostname'>,
): Promise<Settings> {
  const { settings } = await readScalars(options, new FindingList());
  return settings;
}

interface Scalars {
  readonly said: LoadedSettings['said'];
  readonly settings: Settings;
  readonly tenants: Entries;
  readonly tenantIds: ReadonlySet<string>;
}

/** Settings and tenants: the tenant of the gateway is one of them. */
async function readScalars(
  options: Pick<LoadSiteOptions, 'dir' | 'env' | 'flags' | 'hostname'>,
  findings: FindingList,
): Promise<Scalars> {
  const { loaded, complete } = await readSettings(options, findings);
  const folder = { path: join(options.dir, 'tenants.d'), label: 'tenants.d' };
  const files = await readFolder(folder, '.yaml', findings);
  const tenants = await readDocuments(files, tenantsSchema, 'tenants', 'tenant', findings);
  const tenantIds = new Set(tenants.byId.size > 0 ? tenants.byId.keys() : ['default']);
  const tenant = checkGatewayTenant(
    loaded,
    { ids: tenantIds, complete: tenants.complete, settingsComplete: complete },
    findings,
  );
  const { gateway } = loaded.settings;
  const settings: Settings = {
    ...loaded.settings,
    gateway: { ...gateway, tenant: tenant as TenantId },
  };
  return { said: loaded.said, settings, tenants, tenantIds };
}

async function readSettings(
  options: Pick<LoadSiteOptions, 'dir' | 'env' | 'flags' | 'hostname'>,
  findings: FindingList,
): Promise<{ readonly loaded: LoadedSettings; readonly complete: boolean }> {
  const { dir, env } = options;
  const main = await readSource(join(dir, 'riser.yaml'), 'riser.yaml', findings);
  const more = await readFolder({ path: join(dir, 'conf.d'), label: 'conf.d' }, '.yaml', findings);
  const documents: SettingsDocument[] = [];
  let complete = more.complete && main !== undefined;
  for (const file of [main, ...more.files]) {
    if (file === undefined || file === 'missing') continue;
    const data = await readYaml(file, findings);
    if (data === undefined) complete = false;
    else documents.push({ file, data });
  }
  const hostname = options.hostname ?? hostnameOfMachine();
  const loaded = loadSettings({ documents, env, flags: options.flags ?? {}, hostname }, findings);
  return { loaded, complete };
}

async function shippedProfiles(path: string | undefined, findings: FindingList) {
  return path === undefined
    ? { files: [], complete: true }
    : await readFolder({ path, label: path }, '.yaml', findings);
}

/** The tenant of the gateway's own events: what was said, or the only one that there is. */
function checkGatewayTenant(
  loaded: LoadedSettings,
  known: {
    readonly ids: ReadonlySet<string>;
    readonly complete: boolean;
    readonly settingsComplete: boolean;
  },
  findings: FindingList,
): string {
  const { ids } = known;
  const said = loaded.said.get('gateway.tenant');
  const tenant = loaded.settings.gateway.tenant;
  if (said === undefined) {
    const [only = tenant] = ids;
    if (ids.size > 1 && !ids.has(tenant) && known.settingsComplete) {
      findings.add({
        code: 'E1308',
        at: 'riser.yaml',
        message:
          'with several tenants, gateway.tenant must say which one the gateway itself belongs to',
        hint: `write "gateway: { tenant: ${only} }"`,
      });
    }
    return ids.size === 1 ? only : tenant;
  }
  if (!ids.has(tenant) && known.complete) {
    findings.add({
      code: 'E1301',
      at: said.at,
      pointer: said.pointer,
      message: `there is no tenant "${tenant}"`,
      ...didYouMean(tenant, ids),
    });
  }
  return tenant;
}

function tenantOf(id: string, tenants: Entries): Tenant {
  const title = tenants.byId.get(id)?.data.title;
  return { id: tenantId(id), ...(typeof title === 'string' ? { title } : {}) };
}

async function checkSecrets(
  { uplink }: Settings,
  said: LoadedSettings['said'],
  sources: SecretSources,
  findings: FindingList,
): Promise<void> {
  for (const [name, ref] of [
    ['uplink.password', uplink.password],
    ['uplink.tls.key', uplink.tls.key],
  ] as const) {
    const origin = said.get(name);
    if (origin === undefined || !isSecretRef(ref)) continue;
    try {
      await resolveSecret(ref, sources);
    } catch (error) {
      const problem = GatewayError.from(
        error,
        'SECRET_UNRESOLVED',
        `the secret ${name} cannot be read`,
      );
      findings.add({
        code: problem.code === 'SECRET_EXPOSED' ? 'E1603' : 'E1602',
        at: origin.at,
        pointer: origin.pointer,
        message: `${name}: ${problem.message}`,
        hint: problem.remedy,
      });
    }
  }
}
