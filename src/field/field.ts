import type { ActionOutput, DiscoveredDevice, Json } from '#driver';
import type { Part } from '../kernel/part.ts';
import type { Bus } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { Device, Link } from '../model/device.ts';
import { GatewayError } from '../model/errors.ts';
import type {
  DeviceStatus,
  DriverProcessStatus,
  LinkStatus,
  RawResult,
  RecordSink,
} from '../model/field.ts';
import type { DeviceId, LinkId } from '../model/ids.ts';
import type { CheckLink } from '../model/installed-driver.ts';
import type { Notes } from '../model/notes.ts';
import { checkedOutputs, findAction } from './action-call.ts';
import type { Catalog, Plugin } from './catalog.ts';
import { deviceConfig } from './device-config.ts';
import { type SupervisionLimits, supervisionLimits } from './driver-process.ts';
import { FieldHealth } from './field-health.ts';
import { type LinkLimits, linkLimits } from './host/limits.ts';
import { inlineLaunch, type Launch, processLaunch } from './launch.ts';
import { LinkChecker } from './link-checker.ts';
import { PluginSession, type WantedLink } from './plugin-session.ts';

export interface FieldOptions {
  readonly catalog: Catalog;
  readonly sink: RecordSink;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly conditions: ConditionReporter;
  readonly bus: Bus;
  readonly settings: {
    /** Heap limit of a driver process in MB. */
    readonly heapMb: number;
    readonly isolation: 'process' | 'inline';
    /** Folder for compiled code of the plugins; none: it is compiled at each start. */
    readonly cacheDir?: string;
  };
  /** Tests shorten them. Those of links are used by inline isolation only. */
  readonly limits?: Partial<SupervisionLimits>;
  readonly linkLimits?: Partial<LinkLimits>;
}

/** Deadline of a read on demand and of a check, milliseconds. */
const readMs = 10_000;
const checkMs = 10_000;
/** Memory of a driver process outside of its heap that is not held against it. */
const rssMarginMb = 160;

/** The south side of the gateway: driver processes, their links and devices. */
export class Field implements Part {
  readonly name = 'field';
  readonly #options: FieldOptions;
  readonly #health: FieldHealth;
  readonly #launch: Launch;
  readonly #sessions = new Map<string, PluginSession>();
  readonly #checkers = new Map<string, LinkChecker>();
  /** Sessions that are being closed, because no link needs their plugin any more. */
  readonly #leaving = new Map<string, Promise<void>>();
  #links: ReadonlyMap<LinkId, Link> = new Map();
  #devices: ReadonlyMap<DeviceId, Device> = new Map();
  #revision = 0;
  #closed = false;

  constructor(options: FieldOptions) {
    this.#options = options;
    const { clock, notes, conditions, bus, settings } = options;
    this.#health = new FieldHealth({
      clock,
      notes,
      conditions,
      emit: (device, state) => bus.emit('device-state', device, state),
    });
    this.#launch =
      settings.isolation === 'inline'
        ? inlineLaunch(clock, options.linkLimits)
        : processLaunch({
            bootId: clock.bootId,
            heapMb: settings.heapMb,
            ...(settings.cacheDir !== undefined && { cacheDir: settings.cacheDir }),
          });
  }

  /** Says which plugins cannot be used; apply() starts the others. */
  async start(): Promise<void> {
    for (const { plugin, message } of this.#options.catalog.problems) {
      this.#options.conditions.raise('plugin-invalid', plugin, message);
    }
  }

  /**
   * Makes these links and devices the ones that are read. Resolves when everything that changed
   * has been sent; links open and devices answer in their own time. What did not change goes on
   * as if nothing had happened.
   */
  async apply(links: readonly Link[], devices: readonly Device[]): Promise<void> {
    if (this.#closed) return;
    this.#revision += 1;
    const revision = this.#revision;
    const wanted = this.#sort(links, devices);
    this.#forget(links, devices);
    for (const [plugin, session] of this.#sessions) {
      if (!wanted.has(plugin)) this.#leave(plugin, session);
    }
    for (const [name, plugin] of wanted) {
      // The same medium must not be opened by two processes.
      await this.#leaving.get(name);
      // Overtaken by another configuration meanwhile: that one counts.
      if (this.#closed || this.#revision !== revision) return;
      this.#session(plugin.plugin).want(plugin.links);
    }
  }

  /** Reads points of a device now. Rejects DEVICE_UNKNOWN, POINT_UNKNOWN, READ_FAILED, DRIVER_FAILED. */
  async read(
    device: string,
    pointNames: readonly string[],
    signal: AbortSignal,
  ): Promise<RawResult[]> {
    const known = this.#devices.get(device as DeviceId);
    if (known === undefined) {
      throw new GatewayError('DEVICE_UNKNOWN', `there is no device ${device}`);
    }
    const byName = new Map(known.points.map((point) => [point.name, point]));
    const points = pointNames.map((name) => {
      const point = byName.get(name);
      if (point === undefined) {
        throw new GatewayError('POINT_UNKNOWN', `device ${device} has no point ${name}`);
      }
      return { pointId: name, address: point.address };
    });
    const { requests } = this.#runningSession(known.link);
    return requests.read(
      { t: 'read', link: known.link, device: known.id, points, deadlineMs: readMs },
      signal,
    );
  }

  /** Asks a driver to look at a link and its devices. Rejects DRIVER_UNKNOWN, DRIVER_FAILED, DEADLINE. */
  readonly checkLink: CheckLink = async (driver, link, devices) => {
    const plugin = this.#pluginOf(driver);
    if (plugin === undefined) throw unknownDriver(driver);
    const configs = devices.map(deviceConfig);
    const session = this.#sessions.get(plugin.name);
    const issues =
      session?.isUp === true
        ? await session.requests.validate(
            { t: 'validate', driver, link, devices: configs },
            checkMs,
          )
        : await this.#checker(plugin).check(driver, link, configs);
    return issues.map(({ path, message, severity, code }) => ({
      path,
      message,
      severity: severity ?? 'error',
      ...(code !== undefined && { code }),
    }));
  };

  /** Devices that a driver finds on one of its links. */
  discover(link: LinkId, options: Json, signal: AbortSignal): AsyncIterable<DiscoveredDevice> {
    return this.#runningSession(link).requests.discover(link, options, signal);
  }

  /**
   * Runs an action of a plugin, on one of its links or without one; without a link also when the
   * plugin is not in use. Throws ACTION_UNKNOWN, ACTION_REFUSED, USAGE or DRIVER_FAILED; the
   * iteration rejects ACTION_FAILED, DRIVER_FAILED, DEADLINE or the signal's reason.
   */
  runAction(
    plugin: string,
    name: string,
    args: Json,
    signal: AbortSignal,
    options: { readonly link?: LinkId; readonly planOnly?: boolean } = {},
  ): AsyncIterable<ActionOutput> {
    findAction(this.#options.catalog, plugin, name, args);
    const { link, planOnly } = options;
    const call = {
      t: 'action',
      name,
      args,
      ...(link !== undefined && { link }),
      ...(planOnly === true && { planOnly }),
    } as const;
    const session = this.#sessions.get(plugin);
    if (session?.isUp === true) return checkedOutputs(session.requests.action(call, signal));
    const installed = this.#options.catalog.plugins.find((each) => each.name === plugin);
    if (link !== undefined || installed === undefined) throw notRunning(plugin);
    return checkedOutputs(this.#checker(installed).action(call, signal));
  }

  devices(): DeviceStatus[] {
    return this.#health.deviceStatuses();
  }

  links(): LinkStatus[] {
    return this.#health.linkStatuses();
  }

  drivers(): DriverProcessStatus[] {
    return [...this.#sessions.values()].map((session) => session.status);
  }

  /** Ends all driver processes; resolves when they are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([
      ...[...this.#sessions.values()].map((session) => session.close()),
      ...[...this.#checkers.values()].map((checker) => checker.close()),
      ...this.#leaving.values(),
    ]);
  }

  /** Links with their devices, by plugin. A link whose driver is not installed is reported. */
  #sort(links: readonly Link[], devices: readonly Device[]) {
    const wanted = new Map<string, { plugin: Plugin; links: Map<LinkId, WantedLink> }>();
    const devicesOf = Map.groupBy(devices, ({ link }) => link);
    for (const link of links) {
      const plugin = this.#pluginOf(link.driver);
      const own = devicesOf.get(link.id) ?? [];
      this.#health.setLink(link, plugin?.name ?? '');
      for (const device of own) this.#health.setDevice(device, plugin?.name ?? '');
      if (plugin === undefined) {
        const message = unknownDriver(link.driver).message;
        this.#health.linkFailed(link.id, { kind: 'not-supported', message });
        continue;
      }
      let of = wanted.get(plugin.name);
      if (of === undefined) {
        of = { plugin, links: new Map() };
        wanted.set(plugin.name, of);
      }
      of.links.set(link.id, { link, devices: new Map(own.map((device) => [device.id, device])) });
    }
    return wanted;
  }

  #forget(links: readonly Link[], devices: readonly Device[]): void {
    const newLinks = new Map(links.map((link) => [link.id, link]));
    const newDevices = new Map(devices.map((device) => [device.id, device]));
    for (const id of this.#links.keys()) if (!newLinks.has(id)) this.#health.dropLink(id);
    for (const id of this.#devices.keys()) if (!newDevices.has(id)) this.#health.dropDevice(id);
    this.#links = newLinks;
    this.#devices = newDevices;
  }

  #session(plugin: Plugin): PluginSession {
    let session = this.#sessions.get(plugin.name);
    if (session === undefined) {
      const { clock, notes, conditions, sink, limits, settings } = this.#options;
      const maxRssBytes =
        settings.isolation === 'inline'
          ? Number.POSITIVE_INFINITY
          : Math.max(supervisionLimits.maxRssBytes, (settings.heapMb + rssMarginMb) * 1_048_576);
      session = new PluginSession({
        plugin,
        launch: () => this.#launch(plugin),
        clock,
        notes,
        conditions,
        sink,
        health: this.#health,
        limits: { ...supervisionLimits, maxRssBytes, ...limits },
        openMs: linkLimits.openMs,
      });
      this.#sessions.set(plugin.name, session);
    }
    return session;
  }

  #leave(plugin: string, session: PluginSession): void {
    this.#sessions.delete(plugin);
    const left = session.close().finally(() => this.#leaving.delete(plugin));
    this.#leaving.set(plugin, left);
  }

  #checker(plugin: Plugin): LinkChecker {
    let checker = this.#checkers.get(plugin.name);
    if (checker === undefined) {
      const fresh = new LinkChecker({
        plugin,
        launch: () => this.#launch(plugin),
        clock: this.#options.clock,
        deadlineMs: checkMs,
        ended: () => {
          if (this.#checkers.get(plugin.name) === fresh) this.#checkers.delete(plugin.name);
        },
      });
      this.#checkers.set(plugin.name, fresh);
      fresh.start();
      checker = fresh;
    }
    return checker;
  }

  #runningSession(link: LinkId): PluginSession {
    const driver = this.#links.get(link)?.driver ?? '';
    const plugin = this.#pluginOf(driver);
    const session = plugin === undefined ? undefined : this.#sessions.get(plugin.name);
    if (session?.isUp !== true) throw notRunning(plugin?.name ?? driver);
    return session;
  }

  #pluginOf(driver: string): Plugin | undefined {
    const { drivers, plugins } = this.#options.catalog;
    const installed = drivers.find(({ id }) => id === driver);
    return plugins.find(({ name }) => name === installed?.plugin);
  }
}

const unknownDriver = (driver: string) =>
  new GatewayError('DRIVER_UNKNOWN', `no installed plugin has a driver ${driver}`);

const notRunning = (plugin: string) =>
  new GatewayError('DRIVER_FAILED', `the driver process of ${plugin} is not running`, {
    retryable: true,
  });
