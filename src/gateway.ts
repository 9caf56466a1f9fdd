import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { loadSettingsOf } from './config/load-site.ts';
import { resolveSecret } from './config/secrets.ts';
import { loadCatalog } from './field/catalog.ts';
import { Field } from './field/field.ts';
import { ActionDesk } from './gateway/action-desk.ts';
import { Configuration } from './gateway/configuration.ts';
import { GatewayControl } from './gateway/gateway-control.ts';
import { releaseVersion, shippedPlugins, shippedProfiles } from './gateway/release.ts';
import { WatchStorage } from './gateway/watch-storage.ts';
import { ControlServer } from './http/control-server.ts';
import { ProbeServer } from './http/probe-server.ts';
import { ConditionBook } from './kernel/conditions.ts';
import { EventBus } from './kernel/event-bus.ts';
import { HealthLoop } from './kernel/health-loop.ts';
import { Jobs } from './kernel/jobs.ts';
import { ModuleHost } from './kernel/module-host.ts';
import type { Part } from './kernel/part.ts';
import { Supervisor } from './kernel/supervisor.ts';
import { readBootId, SystemClock } from './kernel/system-clock.ts';
import { TenantContexts } from './kernel/tenant-context.ts';
import type { Clock } from './model/clock.ts';
import type { ConditionCode } from './model/condition.ts';
import type { SecretRef, Settings, Site, SiteDiff } from './model/site.ts';
import type { ApplyResult, Control, GatewayStatus } from './model/status.ts';
import { SummaryModule } from './modules/summary-module.ts';
import { DurableOutbox } from './outbox/durable-outbox.ts';
import { GatewayEvents } from './record/gateway-events.ts';
import { Recorder } from './record/recorder.ts';
import type { SystemdEnvironment } from './systemd/environment.ts';
import { Notifier } from './systemd/notifier.ts';
import { Watchdog } from './systemd/watchdog.ts';
import { createTelemetry, type Telemetry } from './telemetry/create-telemetry.ts';
import { EmbeddedBroker } from './uplink/embedded-broker.ts';
import { Uplink } from './uplink/uplink.ts';

export interface GatewayOptions {
  /** Folder of the configuration. */
  readonly config: string;
  readonly env: NodeJS.ProcessEnv;
  /** Settings from the command line by dotted name. */
  readonly flags: Readonly<Record<string, string>>;
  readonly systemd?: SystemdEnvironment;
  /** Where the control API listens, instead of control.sock in paths.runtime. */
  readonly socket?: string;
  /** Where the log goes, a line a call; standard output without it. */
  readonly log?: { write(line: string): void };
  /** Called when the broker inside runs, before anything is published; the start waits for it. */
  readonly onBroker?: (broker: EmbeddedBroker) => Promise<void>;
}

/** Builds each part in order, starts it, and closes in reverse. Whatever one part does not manage, the others go on. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #supervisor: Supervisor;
  readonly #notifier: Notifier;
  readonly #watchdog: Watchdog;
  readonly #health: HealthLoop;
  readonly #conditions: ConditionBook;
  readonly #outbox: DurableOutbox;
  readonly #recorder: Recorder;
  readonly #events: GatewayEvents;
  readonly #broker: EmbeddedBroker | undefined;
  readonly #uplink: Uplink;
  readonly #field: Field;
  readonly #configuration: Configuration;
  readonly #modules: ModuleHost;
  readonly #jobs: Jobs;
  readonly #tenants = new TenantContexts([]);
  readonly #probes: ProbeServer;
  readonly control: Control;
  #mode: GatewayStatus['mode'] = 'starting';

  /** Reads the settings and builds the parts; start() makes them work. */
  static async create(options: GatewayOptions): Promise<Gateway> {
    const { config, env, flags } = options;
    return new Gateway(options, await loadSettingsOf({ dir: config, env, flags }));
  }

  private constructor(options: GatewayOptions, settings: Settings) {
    const { paths, gateway, outbox, uplink } = settings;
    const version = releaseVersion();
    const clock = new SystemClock(readBootId());
    const telemetry = createTelemetry({
      level: settings.log.level,
      version,
      gateway: gateway.id,
      clock,
      ...(options.log === undefined ? {} : { destination: options.log }),
    });
    const { notes } = telemetry;
    const bus = new EventBus(notes);
    const conditions = new ConditionBook({ clock, bus, notes });
    const catalog = loadCatalog(shippedPlugins, ...(paths.plugins === '' ? [] : [paths.plugins]));
    const shared = { clock, notes, conditions };

    this.#options = options;
    this.#settings = settings;
    this.#clock = clock;
    this.#telemetry = telemetry;
    this.#conditions = conditions;
    this.#supervisor = new Supervisor(shared);
    this.#health = new HealthLoop(clock);
    this.#notifier = new Notifier({ socket: options.systemd?.notifySocket, notes });
    this.#watchdog = new Watchdog({
      clock,
      notifier: this.#notifier,
      watchdogMs: options.systemd?.watchdogMs,
      live: () => this.#health.live(),
    });
    this.#outbox = new DurableOutbox({
      ...shared,
      path: path.join(paths.state, 'outbox.db'),
      gateway: gateway.id,
      limits: outbox,
      consumers: ['uplink'],
    });
    this.#recorder = new Recorder({
      ...shared,
      bus,
      outbox: this.#outbox,
      gatewayTenant: gateway.tenant,
      lingerMs: { alarm: 0, live: outbox.lingerLiveMs, bulk: outbox.lingerBulkMs },
    });
    this.#events = new GatewayEvents({ ...shared, bus, recorder: this.#recorder });
    this.#broker =
      settings.broker.enabled || uplink.url === 'embedded'
        ? new EmbeddedBroker({ gateway: gateway.id, port: settings.broker.port })
        : undefined;
    this.#uplink = new Uplink({
      ...shared,
      bus,
      gateway: gateway.id,
      version,
      tenants: [],
      settings: uplink,
      outbox: this.#outbox,
      resolveSecret: (ref) => this.#secret(ref),
      latest: () => this.#recorder.values(),
      brokerUrl: () => this.#brokerUrl(),
    });
    this.#field = new Field({
      ...shared,
      bus,
      catalog,
      sink: this.#recorder,
      settings: { ...settings.driver, ...driverCache(options.env) },
    });
    this.#configuration = new Configuration(
      {
        ...shared,
        bus,
        dir: options.config,
        env: options.env,
        flags: options.flags,
        shippedProfiles,
        credentialsDirectory: options.systemd?.credentials,
        drivers: catalog.drivers,
        checkLink: this.#field.checkLink,
        statePath: paths.state,
        put: (site, diff) => this.#put(site, diff),
      },
      settings,
    );
    this.#jobs = new Jobs(shared);
    this.#modules = new ModuleHost([new SummaryModule()], {
      ...shared,
      bus,
      jobs: this.#jobs,
      tenants: this.#tenants,
    });
    this.control = new GatewayControl({
      version,
      clock,
      bus,
      outbox: this.#outbox,
      field: this.#field,
      recorder: this.#recorder,
      uplink: this.#uplink,
      conditions,
      modules: this.#modules,
      site: () => this.#configuration.site,
      mode: () => this.#currentMode(),
      live: () => this.#health.live(),
      apply: () => this.apply(),
      actions: new ActionDesk({
        catalog,
        field: this.#field,
        site: () => this.#configuration.site,
      }),
    });
    this.#probes = new ProbeServer({
      port: settings.http.port,
      control: this.control,
      metrics: telemetry.metrics,
      notes,
    });
    telemetry.observe(() => this.control.status());
  }

  /**
   * Starts everything. Rejects only when another daemon is running on the same socket or the
   * socket cannot be made: what else goes wrong is a condition, and the gateway runs.
   */
  async start(): Promise<void> {
    const begun = this.#clock.monotonic();
    const { notes, metrics } = this.#telemetry;
    const { config } = this.#options;
    notes.gatewayStarting({
      version: releaseVersion(),
      gateway: this.#settings.gateway.id,
      config,
    });
    this.#health.start();
    this.#watchdog.start();
    await this.#makeFolders();
    await this.#supervisor.start(
      new ControlServer({
        socketPath: this.socket,
        control: this.control,
        metrics,
        notes,
        version: releaseVersion(),
      }),
    );
    for (const part of [this.#probes, this.#outbox, this.#recorder, this.#events, this.#jobs])
      await this.#begin(part);
    if (this.#broker !== undefined) {
      await this.#begin(this.#broker);
      await this.#options.onBroker?.(this.#broker);
    }
    await this.#begin(this.#field);
    await this.#begin(this.#uplink);
    await this.#configuration.start();
    await this.#begin(this.#modules);
    await this.#begin(
      new WatchStorage({
        statePath: this.#settings.paths.state,
        outbox: this.#outbox,
        uplinks: () => this.#uplink.status(),
        clock: this.#clock,
        conditions: this.#conditions,
      }),
    );
    this.#mode = 'running';
    notes.gatewayReady({ startMs: Math.round(this.#clock.monotonic() - begun) });
    await this.#notifier.ready('running');
  }

  /** Loads the configuration again and applies what changed. */
  async apply(): Promise<ApplyResult> {
    await this.#notifier.reloading();
    try {
      return await this.#configuration.apply();
    } finally {
      await this.#notifier.ready('running');
    }
  }

  /** Closes everything in reverse. Never rejects; may come twice. */
  async close(cause: string): Promise<void> {
    if (this.#mode === 'stopping') return;
    this.#mode = 'stopping';
    const begun = this.#clock.monotonic();
    const { notes } = this.#telemetry;
    notes.gatewayStopping({ signal: cause });
    const told = this.#notifier.stopping('stopping');
    await this.#supervisor.close();
    this.#watchdog.close();
    this.#health.close();
    notes.gatewayStopped({ stopMs: Math.round(this.#clock.monotonic() - begun) });
    await told;
    await this.#notifier.close();
    await this.#telemetry.close();
  }

  /** Something that nobody waits for went wrong. */
  failed(part: string, error: unknown): void {
    this.#telemetry.notes.partFailed({ part, error });
  }

  /** Where the control API listens. */
  get socket(): string {
    return this.#options.socket ?? path.join(this.#settings.paths.runtime, 'control.sock');
  }

  /** Of the broker inside, with the gateway's own credentials; undefined while it does not run. */
  #brokerUrl(): string | undefined {
    return this.#broker === undefined || this.#broker.url === ''
      ? undefined
      : this.#broker.urlFor('gateway');
  }

  /** systemd makes them; by hand nobody has. What cannot be made is told by the part that needs it. */
  async #makeFolders(): Promise<void> {
    const { state, runtime } = this.#settings.paths;
    await mkdir(state, { recursive: true, mode: 0o700 }).catch(() => {});
    await mkdir(runtime, { recursive: true, mode: 0o711 }).catch(() => {});
  }

  /** A part that does not start is noted, and the gateway goes on without it. */
  async #begin(part: Part): Promise<void> {
    try {
      await this.#supervisor.start(part);
    } catch (error) {
      this.#telemetry.notes.partFailed({ part: part.name, error });
    }
  }

  /** Puts a configuration to work; the outbox is never touched by one. */
  async #put(site: Site, diff: SiteDiff): Promise<void> {
    this.#telemetry.setLevel(site.settings.log.level);
    this.#recorder.configure(site.devices);
    this.#tenants.replace(site.tenants);
    await this.#field.apply(site.links, site.devices);
    if (
      diff.tenants.added.length > 0 ||
      diff.tenants.removed.length > 0 ||
      diff.settings.some(isUplink) ||
      this.#mode === 'starting'
    ) {
      await this.#uplink.reconfigure(site.settings.uplink, site.tenants);
    }
  }

  async #secret(ref: SecretRef): Promise<string> {
    const { env, systemd } = this.#options;
    const secret = await resolveSecret(ref, { env, credentialsDirectory: systemd?.credentials });
    this.#telemetry.registerSecret(secret);
    return secret;
  }

  #currentMode(): GatewayStatus['mode'] {
    if (this.#mode !== 'running') return this.#mode;
    const degraded = this.#conditions.list().some(({ code }) => degradingConditions.has(code));
    return degraded ? 'degraded' : 'running';
  }
}

/** While one of these is active, the gateway does not do all that it was told to. */
const degradingConditions: ReadonlySet<ConditionCode> = new Set<ConditionCode>([
  'config-invalid',
  'plugin-invalid',
  'driver-failed',
  'outbox-unavailable',
  'secret-unresolved',
]);

/** Compiled code of plugins is kept beside that of the gateway: it halves the start of a driver process. */
function driverCache({ CACHE_DIRECTORY, NODE_COMPILE_CACHE }: NodeJS.ProcessEnv): {
  readonly cacheDir?: string;
} {
  const folder = CACHE_DIRECTORY ?? NODE_COMPILE_CACHE;
  return folder === undefined ? {} : { cacheDir: path.resolve(folder, 'drivers') };
}

function isUplink(setting: string): boolean {
  return setting.startsWith('uplink.');
}
