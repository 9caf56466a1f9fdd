import type {
  ActionOutput,
  ConfigIssue,
  DeviceConfig,
  Driver,
  DriverHealth,
  DriverHost,
  Json,
  PointRequest,
  PointResult,
  PointWrite,
  WriteResult,
} from '#driver';
import type { ActionScene } from './actions/conversation.ts';
import { runAction } from './actions/run-action.ts';
import { BlockReader, type Outcome } from './block-reader.ts';
import { FrameTrace, tracedLink } from './frame-trace.ts';
import type { Link } from './link.ts';
import { LinkTally } from './link-tally.ts';
import { ModbusDevice, type ReadPlan, sameJson } from './modbus-device.ts';
import { abortError, ModbusError } from './modbus-error.ts';
import { resultOf } from './point-result.ts';
import { ProxyServer } from './proxy-server.ts';
import { proxySettings } from './proxy-settings.ts';
import { ProxyTurns } from './proxy-turns.ts';
import { deviceSettings, type LinkSettings } from './settings.ts';
import type { Transport } from './transports.ts';
import { validateDevice } from './validate-device.ts';
import { validateLink } from './validate-link.ts';
import { writePoint } from './write-point.ts';

/**
 * The Modbus driver of one link. The link heals itself: after connect() the host is not told of a
 * lost connection, the next read opens it again (docs/adr/0012).
 */
export class ModbusDriver implements Driver {
  readonly #host: DriverHost;
  readonly #transport: Transport;
  readonly #tally: LinkTally;
  readonly #devices = new Map<string, ModbusDevice>();
  /** Devices that came before the link was connected. */
  readonly #waiting = new Map<string, DeviceConfig>();
  /** Of all connections of this link, newest last. */
  readonly #trace = new FrameTrace();
  #config: Json = null;
  #settings: LinkSettings | undefined;
  #link: Link | undefined;
  readonly #turns = new ProxyTurns();
  #proxy: ProxyServer | undefined;

  constructor(host: DriverHost, transport: Transport) {
    this.#host = host;
    this.#transport = transport;
    this.#tally = new LinkTally(host);
  }

  async connect(config: Json, signal: AbortSignal): Promise<void> {
    await this.close();
    const settings = this.#transport.settings(config);
    const medium = this.#transport.open(this.#host, config, () => this.#isShared());
    const link = tracedLink(medium, this.#host, this.#trace);
    // Known before it is open, so that close() can call the opening off.
    this.#link = link;
    this.#settings = settings;
    if (!sameJson(config, this.#config)) {
      this.#config = config;
      for (const { id, config } of [...this.#devices.values()]) {
        this.#devices.set(id, new ModbusDevice(config, settings));
      }
    }
    for (const device of this.#waiting.values()) this.#add(device, settings);
    this.#waiting.clear();
    try {
      await link.open(signal);
    } catch (error) {
      await link.close();
      throw error;
    }
    await this.#openProxy(link, config);
  }

  async close(): Promise<void> {
    const link = this.#link;
    if (link === undefined) return;
    await Promise.all([link.close(), this.#proxy?.close()]);
    this.#proxy = undefined;
    this.#tally.tell(link, true);
  }

  validateDevice(device: DeviceConfig): ReadonlyArray<ConfigIssue> {
    return validateDevice(device);
  }

  validateLink(link: Json, devices: ReadonlyArray<DeviceConfig>): ReadonlyArray<ConfigIssue> {
    return validateLink(this.#transport, link, devices);
  }

  async addDevice(device: DeviceConfig, _signal: AbortSignal): Promise<void> {
    if (this.#settings !== undefined) {
      this.#add(device, this.#settings);
      return;
    }
    deviceSettings(device, { timeoutMs: 0, interRequestMs: 0 });
    this.#waiting.set(device.id, device);
  }

  async removeDevice(deviceId: string): Promise<void> {
    this.#waiting.delete(deviceId);
    this.#devices.delete(deviceId);
  }

  async reconfigure(
    change: { readonly link?: Json; readonly device?: DeviceConfig },
    signal: AbortSignal,
  ): Promise<'applied' | 'reopen'> {
    if (change.device !== undefined) await this.addDevice(change.device, signal);
    return change.link === undefined || sameJson(change.link, this.#config) ? 'applied' : 'reopen';
  }

  async read(
    deviceId: string,
    points: ReadonlyArray<PointRequest>,
    signal: AbortSignal,
  ): Promise<ReadonlyArray<PointResult>> {
    const { device, link, settings } = this.#open(deviceId, signal);
    using _turn = this.#turns.work();
    const plan = device.planFor(points, this.#host.monotonic());
    const reader = new BlockReader(this.#host, link, device, signal, (code) =>
      this.#tally.exception(code),
    );
    try {
      const outcomes = await reader.read(plan.blocks, settings.window);
      device.lastGood = this.#host.now();
      device.consecutiveFailures = 0;
      return this.#results(plan, outcomes);
    } catch (error) {
      device.consecutiveFailures += 1;
      throw error;
    } finally {
      this.#tally.tell(link);
      if (settings.closeAfterPoll) link.rest?.();
    }
  }

  async write(deviceId: string, write: PointWrite, signal: AbortSignal): Promise<WriteResult> {
    const { device, link } = this.#open(deviceId, signal);
    using _turn = this.#turns.work();
    try {
      return await writePoint({ host: this.#host, link, device, signal }, write);
    } finally {
      this.#tally.tell(link);
    }
  }

  action(name: string, args: Json, signal: AbortSignal): AsyncIterable<ActionOutput> {
    const link = this.#link;
    const scene: ActionScene = {
      host: this.#host,
      ...(link !== undefined && { link, trace: this.#trace }),
      device: (id) => this.#devices.get(id)?.settings,
    };
    return runAction(scene, name, args, signal);
  }

  health(): DriverHealth {
    const state = this.#link?.state ?? 'closed';
    const devices = Object.fromEntries(
      [...this.#devices.values()].map(({ id, lastGood, consecutiveFailures }) => [
        id,
        { consecutiveFailures, ...(lastGood !== undefined && { lastGood }) },
      ]),
    );
    if (state === 'closed') return { status: 'down', detail: 'the link is closed', devices };
    if (state !== 'open') {
      return { status: 'down', detail: `no connection to ${this.#settings?.where}`, devices };
    }
    const failing = Object.values(devices).filter((device) => device.consecutiveFailures > 0);
    return failing.length === 0
      ? { status: 'ok', devices }
      : {
          status: 'degraded',
          detail: `${failing.length} of ${this.#devices.size} devices do not answer`,
          devices,
        };
  }

  /** A port that cannot be offered is no reason to read nothing. */
  async #openProxy(link: Link, config: Json): Promise<void> {
    const settings = proxySettings(config);
    if (settings === undefined || this.#link !== link || link.state === 'closed') return;
    const settingsOf = (unit: number) =>
      [...this.#devices.values()].find((device) => device.settings.unit === unit)?.settings;
    const scene = { host: this.#host, link, turns: this.#turns, settingsOf };
    const proxy = new ProxyServer(scene, settings);
    this.#proxy = proxy;
    const why = await proxy.open();
    if (why === undefined) return;
    this.#host.log.warn(
      { host: settings.host, port: settings.port },
      `the proxy port is not offered: ${why}`,
    );
  }

  #open(deviceId: string, signal: AbortSignal) {
    const device = this.#devices.get(deviceId);
    const link = this.#link;
    const settings = this.#settings;
    if (signal.aborted) throw abortError(signal);
    if (link === undefined || settings === undefined || link.state === 'closed') {
      throw new ModbusError('closed', 'the link is not open');
    }
    if (device === undefined) {
      throw new ModbusError('internal', `device ${deviceId} was never added to this link`);
    }
    return { device, link, settings };
  }

  #add(config: DeviceConfig, settings: LinkSettings): void {
    const known = this.#devices.get(config.id);
    // What a device refused is worth keeping when nothing about it has changed.
    if (known !== undefined && sameJson(known.config, config)) return;
    this.#devices.set(config.id, new ModbusDevice(config, settings));
  }

  #isShared(): boolean {
    const units = new Set<number>();
    for (const { settings } of this.#devices.values()) units.add(settings.unit);
    return units.size > 1;
  }

  #results(plan: ReadPlan, outcomes: ReadonlyMap<string, Outcome>): ReadonlyArray<PointResult> {
    const now = this.#host.now();
    return plan.asked.map(({ pointId, point }) => resultOf(pointId, point, plan, outcomes, now));
  }
}
