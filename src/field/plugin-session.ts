import { isDeepStrictEqual } from 'node:util';
import type { DeviceConfig } from '#driver';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { Device, Link } from '../model/device.ts';
import { GatewayError } from '../model/errors.ts';
import type { DriverProcessStatus, RawGroup, RecordSink } from '../model/field.ts';
import type { DeviceId, LinkId } from '../model/ids.ts';
import type { Notes } from '../model/notes.ts';
import type { Plugin } from './catalog.ts';
import { deviceConfig, type GroupPlan, groupPlans } from './device-config.ts';
import { DriverProcess, type SupervisionLimits } from './driver-process.ts';
import type { FieldHealth } from './field-health.ts';
import { FrameError } from './host/frames.ts';
import type { FromDriver, ToDriver } from './host/messages.ts';
import type { Launched } from './launch.ts';
import { PendingRequests } from './pending-requests.ts';
import { ReadingsIntake } from './readings-intake.ts';

export interface PluginSessionOptions {
  readonly plugin: Plugin;
  readonly launch: () => Launched;
  readonly clock: Clock;
  readonly notes: Notes;
  readonly conditions: ConditionReporter;
  readonly sink: RecordSink;
  readonly health: FieldHealth;
  readonly limits: SupervisionLimits;
  /** Time that opening a link may take, milliseconds. */
  readonly openMs: number;
}

/** A link with its devices, as the configuration wants it. */
export interface WantedLink {
  readonly link: Link;
  readonly devices: ReadonlyMap<DeviceId, Device>;
}

interface ToldDevice {
  readonly device: Device;
  readonly config: DeviceConfig;
  readonly plans: ReadonlyMap<string, GroupPlan>;
}

interface ToldLink {
  readonly link: Link;
  readonly devices: Map<DeviceId, ToldDevice>;
}

/** One plugin and its process: tells it what changed and takes what it reads. */
export class PluginSession {
  readonly #options: PluginSessionOptions;
  readonly #process: DriverProcess;
  readonly #intake: ReadingsIntake;
  readonly #requests: PendingRequests;
  #wanted: ReadonlyMap<LinkId, WantedLink> = new Map();
  /** What the process was told in its present life. */
  readonly #told = new Map<LinkId, ToldLink>();
  readonly #owned = new Set<string>();
  #rev = 0;
  /** Whether the points have been told to be bad since the process was last up. */
  #downTold = false;

  constructor(options: PluginSessionOptions) {
    this.#options = options;
    const { plugin, launch, clock, notes, limits, sink } = options;
    this.#intake = new ReadingsIntake({
      sink,
      clock,
      owns: (device) => this.#owned.has(device),
      ack: (batch) => this.#process.send({ t: 'ack', batch }),
    });
    this.#requests = new PendingRequests(clock, (message) => this.#process.send(message));
    this.#process = new DriverProcess({
      plugin: plugin.name,
      launch,
      clock,
      notes,
      limits,
      listener: {
        up: () => this.#up(),
        message: (message) => this.#take(message),
        down: (cause, next) => this.#down(cause, next),
      },
    });
  }

  get requests(): PendingRequests {
    return this.#requests;
  }

  get isUp(): boolean {
    return this.#process.isUp;
  }

  get status(): DriverProcessStatus {
    return this.#process.status();
  }

  /** Wants these links from now on; sends what that changes, and nothing else. */
  want(links: ReadonlyMap<LinkId, WantedLink>): void {
    const changed = !isDeepStrictEqual(links, this.#wanted);
    this.#wanted = links;
    this.#owned.clear();
    for (const { devices } of links.values()) for (const id of devices.keys()) this.#owned.add(id);
    if (this.#process.isUp) this.#sync();
    else if (changed) this.#process.start();
  }

  /** Ends the process; what it has read is still handed over. */
  async close(): Promise<void> {
    await this.#process.close();
    await this.#intake.close();
    this.#requests.failAll(new GatewayError('DRIVER_FAILED', 'the driver process was ended'));
  }

  #up(): void {
    const { plugin, conditions, health } = this.#options;
    this.#told.clear();
    this.#downTold = false;
    this.#intake.begin();
    conditions.clear('driver-down', plugin.name);
    health.driverUp(plugin.name, true);
    this.#sync();
  }

  #down(cause: string, next: 'restart' | 'failed' | 'closed'): void {
    const { plugin, conditions, health } = this.#options;
    const { name } = plugin;
    this.#told.clear();
    this.#requests.failAll(
      new GatewayError('DRIVER_FAILED', `the driver process of ${name} ended: ${cause}`, {
        retryable: true,
      }),
    );
    if (next === 'closed') {
      conditions.clear('driver-down', name);
      conditions.clear('driver-failed', name);
      return;
    }
    if (next === 'failed') {
      conditions.raise('driver-failed', name, cause);
      conditions.clear('driver-down', name);
    } else conditions.raise('driver-down', name, cause);
    health.driverUp(name, false);
    this.#tellDown(cause);
  }

  /** Nobody may take the last values for present ones while nobody reads. */
  #tellDown(cause: string): void {
    if (this.#downTold) return;
    this.#downTold = true;
    const time = this.#options.clock.wall();
    const error = { kind: 'link-down', message: `its driver process ended: ${cause}` } as const;
    const groups: RawGroup[] = [];
    for (const { devices } of this.#wanted.values()) {
      for (const { id, points } of devices.values()) {
        const results = points
          .filter(({ group }) => group !== undefined)
          .map(({ name }) => ({ pointId: name, time, quality: 'bad', error }) as const);
        if (results.length > 0) groups.push({ device: id, results });
      }
    }
    this.#intake.add(groups);
  }

  #take(message: FromDriver): void {
    const { health, conditions, plugin } = this.#options;
    switch (message.t) {
      case 'readings':
      case 'event':
        health.observe(this.#intake.take(message));
        return;
      case 'pong':
        conditions.clear('driver-failed', plugin.name);
        health.reported(message.links);
        return;
      case 'report':
        health.reported(message.links);
        return;
      case 'opened':
        health.linkOpened(message.link);
        return;
      case 'open-failed':
      case 'lost':
        health.linkFailed(message.link, message.error);
        return;
      case 'reconfigured':
        if (message.error !== undefined) this.#refused(message.link, message.error.message);
        return;
      case 'result':
      case 'issues':
      case 'found':
      case 'output':
        this.#requests.take(message);
        return;
      case 'hello':
      case 'log':
      case 'metric':
    }
  }

  /** Brings the process from what it was told to what is wanted. */
  #sync(): void {
    for (const [id, { link }] of this.#told) {
      const wanted = this.#wanted.get(id);
      if (wanted?.link.driver === link.driver) continue;
      this.#told.delete(id);
      this.#process.send({ t: 'drop', link: id });
    }
    for (const [id, wanted] of this.#wanted) {
      const told = this.#tellLink(id, wanted.link);
      for (const device of told.devices.keys()) {
        if (wanted.devices.has(device)) continue;
        told.devices.delete(device);
        this.#change({ link: id, remove: device });
      }
      for (const device of wanted.devices.values()) this.#tellDevice(told, device);
    }
  }

  #tellLink(id: LinkId, link: Link): ToldLink {
    const told = this.#told.get(id);
    if (told === undefined) {
      const { driver, config } = link;
      const { openMs: deadlineMs } = this.#options;
      // The devices follow one by one: all of them would not fit into one frame.
      this.#process.send({
        t: 'open',
        link: id,
        driver,
        config,
        devices: [],
        deadlineMs,
        hostApi: '1.0',
      });
    } else if (!isDeepStrictEqual(told.link.config, link.config)) {
      this.#change({ link: id, config: link.config });
    }
    const now = { link, devices: told?.devices ?? new Map<DeviceId, ToldDevice>() };
    this.#told.set(id, now);
    return now;
  }

  #tellDevice({ link, devices }: ToldLink, device: Device): void {
    const told = devices.get(device.id);
    if (told?.device === device) return;
    const config = deviceConfig(device);
    const plans = groupPlans(device);
    try {
      if (!isDeepStrictEqual(told?.config, config)) this.#change({ link: link.id, device: config });
      for (const group of told?.plans.keys() ?? []) {
        if (plans.has(group)) continue;
        this.#process.send({ t: 'unplan', link: link.id, device: device.id, group });
      }
      for (const [group, plan] of plans) {
        if (!isDeepStrictEqual(told?.plans.get(group), plan)) this.#process.send(plan);
      }
      devices.set(device.id, { device, config, plans });
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refused(link.id, `device ${device.id} has too many points: ${error.message}`);
    }
  }

  #change(change: Omit<Extract<ToDriver, { readonly t: 'reconfigure' }>, 't' | 'rev'>): void {
    this.#rev += 1;
    this.#process.send({ t: 'reconfigure', rev: this.#rev, ...change });
  }

  /** A change was not taken over: the process goes on with what it had before. */
  #refused(link: string, text: string): void {
    const { notes, plugin } = this.#options;
    notes.driverLog({
      plugin: plugin.name,
      level: 'error',
      message: `a change of link ${link} was not taken over: ${text}`,
      fields: { link },
    });
  }
}
