import { diffSites } from '../config/diff-sites.ts';
import { loadLastGood, saveLastGood } from '../config/last-good.ts';
import { loadSite } from '../config/load-site.ts';
import type { Bus } from '../model/bus-events.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { CheckLink, InstalledDriver } from '../model/installed-driver.ts';
import type { Notes } from '../model/notes.ts';
import type { Finding, Settings, Site, SiteDiff } from '../model/site.ts';
import type { ApplyResult } from '../model/status.ts';

/** Settings that take effect at once; any other needs a restart. */
const hotSettings: readonly RegExp[] = [/^uplink\./, /^log\./, /^gateway\.title$/];

export interface ConfigurationOptions {
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly flags: Readonly<Record<string, string>>;
  readonly shippedProfiles: string;
  readonly credentialsDirectory: string | undefined;
  readonly drivers: readonly InstalledDriver[];
  readonly checkLink: CheckLink;
  readonly statePath: string;
  readonly notes: Pick<Notes, 'configApplied' | 'configRejected' | 'partFailed'>;
  readonly conditions: ConditionReporter;
  readonly bus: Pick<Bus, 'emit'>;
  /** Puts a site to work, object by object; `diff` says what is different from the one before. */
  readonly put: (site: Site, diff: SiteDiff) => Promise<void>;
}

/** The configuration in force, and how it becomes another one. */
export class Configuration {
  readonly #options: ConfigurationOptions;
  #site: Site;
  /** What the parts were made with: settings that are not hot stay as they were then. */
  #siteAtStart: Site;
  /** Applying is one at a time: SIGHUP and the command may come together. */
  #applying: Promise<unknown> = Promise.resolve();

  constructor(options: ConfigurationOptions, settings: Settings) {
    this.#options = options;
    this.#site = bareSite(settings);
    this.#siteAtStart = this.#site;
  }

  get site(): Site {
    return this.#site;
  }

  /** At the start: the files, else the last good configuration, else nothing but the settings. */
  async start(): Promise<void> {
    const { statePath, checkLink } = this.#options;
    const { site: lastGood } = await loadLastGood(statePath);
    let loaded = await this.#load(undefined);
    // The drivers have looked at this very configuration before: asking them again would cost a
    // restart the time of a process for each plugin.
    if (loaded.site?.revision !== lastGood?.revision) loaded = await this.#load(checkLink);
    this.#report(loaded.findings);
    // The files of the settings may be the ones that are wrong, so the old ones go with the old site.
    const site = loaded.site ?? lastGood;
    await this.#use(site ?? bareSite(loaded.settings), site !== undefined && site !== lastGood);
  }

  /** Loads the files again and applies what changed. Nothing changes when they have errors. */
  async apply(): Promise<ApplyResult> {
    const applied = this.#applying.then(() => this.#apply());
    this.#applying = applied.catch(() => {});
    return await applied;
  }

  async #apply(): Promise<ApplyResult> {
    const { site, findings } = await this.#load(this.#options.checkLink);
    this.#report(findings);
    const nothing = { added: [], changed: [], removed: [] };
    if (site === undefined) {
      return {
        applied: false,
        revision: this.#site.revision,
        findings,
        ...nothing,
        restartNeeded: [],
      };
    }
    const diff = diffSites(this.#site, site);
    const restartNeeded = diffSites(this.#siteAtStart, site).settings.filter(
      (name) => !hotSettings.some((hot) => hot.test(name)),
    );
    this.#tellRestart(restartNeeded);
    if (diff.empty) {
      return { applied: true, revision: site.revision, findings, ...nothing, restartNeeded };
    }
    await this.#use(site, true);
    const names = (kind: 'added' | 'changed' | 'removed') =>
      [diff.links, diff.devices, diff.tenants].flatMap((objects) =>
        objects[kind].map(({ id }) => id as string),
      );
    return {
      applied: true,
      revision: site.revision,
      findings,
      added: names('added'),
      changed: names('changed'),
      removed: names('removed'),
      restartNeeded,
    };
  }

  async #load(checkLink: CheckLink | undefined) {
    const { dir, env, flags, shippedProfiles, drivers, credentialsDirectory } = this.#options;
    return await loadSite({
      dir,
      env,
      flags,
      shippedProfiles,
      drivers,
      checkLink,
      credentialsDirectory,
    });
  }

  async #use(site: Site, keep: boolean): Promise<void> {
    const { put, notes, bus, statePath } = this.#options;
    const diff = diffSites(this.#site, site);
    await put(site, diff);
    this.#site = site;
    const count = (kind: 'added' | 'changed' | 'removed') =>
      diff.links[kind].length + diff.devices[kind].length + diff.tenants[kind].length;
    notes.configApplied({
      revision: site.revision,
      added: count('added'),
      changed: count('changed'),
      removed: count('removed'),
    });
    bus.emit('config-applied', site.revision);
    if (!keep) return;
    // Not being able to keep a copy is no reason not to run.
    await saveLastGood(statePath, site).catch((error: unknown) => {
      notes.partFailed({ part: 'last-good', error });
    });
  }

  #report(findings: readonly Finding[]): void {
    const { conditions, notes } = this.#options;
    const errors = findings.filter(({ severity }) => severity === 'error');
    const [secrets, others] = [
      errors.filter(isSecret),
      errors.filter((finding) => !isSecret(finding)),
    ];
    const [first] = others;
    if (first === undefined) conditions.clear('config-invalid', '');
    else {
      notes.configRejected({ errors: others.length, first: sentence(first) });
      conditions.raise(
        'config-invalid',
        '',
        `${others.length} ${others.length === 1 ? 'error' : 'errors'}, the first: ${sentence(first)}`,
      );
    }
    const [secret] = secrets;
    if (secret === undefined) this.#options.conditions.clear('secret-unresolved', '');
    else conditions.raise('secret-unresolved', '', sentence(secret));
  }

  #tellRestart(settings: readonly string[]): void {
    const { conditions } = this.#options;
    if (settings.length === 0) conditions.clear('config-not-applied', '');
    else conditions.raise('config-not-applied', '', `Changed: ${settings.join(', ')}`);
  }
}

/** E16xx: a secret that leads nowhere keeps a gateway from its cloud, not from its devices. */
function isSecret({ code }: Finding): boolean {
  return code === 'E1602' || code === 'E1603';
}

function sentence({ file, line, column, message }: Finding): string {
  return line > 0 ? `${file}:${line}:${column} ${message}` : `${file} ${message}`;
}

/** A site with settings and nothing to poll: what is left when no configuration can be used. */
function bareSite(settings: Settings): Site {
  return {
    settings,
    tenants: [{ id: settings.gateway.tenant }],
    links: [],
    devices: [],
    revision: 'none',
  };
}
