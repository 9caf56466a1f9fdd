import { isDeepStrictEqual } from 'node:util';
import type {
  ConfigIssue,
  DeviceConfig,
  DiscoveredDevice,
  DiscoverOptions,
  Driver,
  DriverError,
  DriverHealth,
  DriverHost,
  Json,
  PointRequest,
  PointResult,
} from '#driver';
import { linkConfig, linkIssues } from './link-config.ts';
import type { Counters } from './server/listener.ts';
import { EndpointError, SimulatedSite } from './site.ts';

const counterNames = ['requests', 'connections', 'faultsInjected', 'cutOff'] as const;

/** Opens simulated devices on TCP, and is itself a device whose points are their counters. */
export class SimulatorDriver implements Driver {
  readonly #host: DriverHost;
  readonly #devices = new Map<string, { readonly listener?: number }>();
  #site: SimulatedSite | undefined;
  /** Of the link that is open, or was last. */
  #config: Json = null;
  #opening: Promise<unknown> | undefined;
  /** Ended by close(), so that a connect() under way does not leave anything open. */
  #life = new AbortController();
  #failure: string | undefined;

  constructor(host: DriverHost) {
    this.#host = host;
  }

  async connect(config: Json, signal: AbortSignal): Promise<void> {
    const closed = this.close();
    const life = this.#life.signal;
    await closed;
    const [issue] = linkIssues(config);
    if (issue !== undefined) {
      throw driverError('bad-address', `${issue.path.replace('/link', '')}: ${issue.message}`);
    }
    this.#config = config;
    const site = new SimulatedSite(linkConfig(config), this.#host);
    const opened = site.open(signal);
    this.#opening = opened.catch(() => undefined);
    try {
      await opened;
      life.throwIfAborted();
    } catch (error) {
      await site.close();
      this.#failure = error instanceof Error ? error.message : String(error);
      throw driverError(error instanceof EndpointError ? 'link-down' : 'closed', this.#failure);
    }
    this.#failure = undefined;
    this.#opening = undefined;
    this.#site = site;
    this.#host.log.info(
      { listeners: site.size, devices: site.endpoints().length },
      'simulated devices are listening',
    );
  }

  async close(): Promise<void> {
    this.#life.abort(new Error('the link was closed while it was being opened'));
    this.#life = new AbortController();
    const opening = this.#opening;
    this.#opening = undefined;
    await opening;
    const site = this.#site;
    this.#site = undefined;
    await site?.close();
  }

  validateDevice(device: DeviceConfig): ReadonlyArray<ConfigIssue> {
    const issues: ConfigIssue[] = [];
    if (!isObject(device.address)) {
      issues.push({ path: '/address', message: 'address must be {} or {listener: 0}' });
    }
    for (const { pointId, address } of device.options.points) {
      if (counterOf(address) !== undefined) continue;
      issues.push({
        path: `/points/${pointId}/counter`,
        message: `counter must be one of ${counterNames.join(', ')}`,
      });
    }
    return issues;
  }

  validateLink(link: Json, devices: ReadonlyArray<DeviceConfig>): ReadonlyArray<ConfigIssue> {
    const issues = linkIssues(link);
    if (issues.length > 0) return issues;
    const listeners = linkConfig(link).listeners.length;
    return devices
      .filter(({ address }) => (listenerOf(address) ?? 0) >= listeners)
      .map(({ id, address }) => ({
        path: `/devices/${id}/address/listener`,
        message: `there is no listener ${listenerOf(address)}; the link has ${listeners}, counted from 0`,
      }));
  }

  addDevice(device: DeviceConfig): Promise<void> {
    const listener = listenerOf(device.address);
    this.#devices.set(device.id, listener === undefined ? {} : { listener });
    return Promise.resolve();
  }

  removeDevice(deviceId: string): Promise<void> {
    this.#devices.delete(deviceId);
    return Promise.resolve();
  }

  async reconfigure(change: {
    readonly link?: Json;
    readonly device?: DeviceConfig;
  }): Promise<'applied' | 'reopen'> {
    if (change.device !== undefined) await this.addDevice(change.device);
    const isSame = change.link === undefined || isDeepStrictEqual(change.link, this.#config);
    return isSame ? 'applied' : 'reopen';
  }

  read(
    deviceId: string,
    points: ReadonlyArray<PointRequest>,
    signal: AbortSignal,
  ): Promise<ReadonlyArray<PointResult>> {
    const site = this.#site;
    const device = this.#devices.get(deviceId);
    if (site === undefined || signal.aborted) {
      return failed(driverError('closed', 'the simulator is not open'));
    }
    if (device === undefined) {
      return failed(driverError('bad-address', `device ${deviceId} was not added to this link`));
    }
    const time = this.#host.now();
    return Promise.resolve(points.map((point) => readCounter(site, device.listener, point, time)));
  }

  async *discover(options: DiscoverOptions, signal: AbortSignal): AsyncIterable<DiscoveredDevice> {
    const endpoints = this.#site?.endpoints() ?? [];
    for (const { host, port, unit, model } of endpoints.slice(0, options.limits.maxDevices)) {
      if (signal.aborted) return;
      yield {
        key: `${host}:${port}/${unit}`,
        name: `Simulated ${model}, unit ${unit} at ${host}:${port}`,
        address: { host, port, unit, model },
        vendor: 'Riser',
        model,
      };
    }
  }

  health(): DriverHealth {
    if (this.#site !== undefined) {
      return { status: 'ok', detail: `${this.#site.endpoints().length} simulated devices` };
    }
    return { status: 'down', detail: this.#failure ?? 'the simulator is not open' };
  }
}

function readCounter(
  site: SimulatedSite,
  deviceListener: number | undefined,
  { pointId, address }: PointRequest,
  time: number,
): PointResult {
  const counter = counterOf(address);
  const listener = listenerOf(address) ?? deviceListener;
  const counters = site.counters(listener);
  if (counter === undefined || counters === undefined) {
    const message =
      counter === undefined
        ? `counter must be one of ${counterNames.join(', ')}`
        : `there is no listener ${listener}`;
    return { pointId, time, quality: 'bad', error: driverError('bad-address', message) };
  }
  return { pointId, time, quality: 'good', value: counters[counter] };
}

function counterOf(address: Json): keyof Counters | undefined {
  if (!isObject(address)) return undefined;
  return counterNames.find((name) => name === address.counter);
}

function listenerOf(address: Json): number | undefined {
  if (!isObject(address)) return undefined;
  const { listener } = address;
  return typeof listener === 'number' ? listener : undefined;
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function driverError(kind: DriverError['kind'], message: string): DriverError {
  return { kind, message };
}

/** A DriverError is plain data that crosses processes, and not an Error. */
function failed(error: DriverError): Promise<never> {
  return Promise.reject(error);
}
