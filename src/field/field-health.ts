import type { DriverError } from '#driver';
import type { BusEvents } from '../model/bus-events.ts';
import type { Clock } from '../model/clock.ts';
import type { ConditionReporter } from '../model/condition.ts';
import type { Device, Link } from '../model/device.ts';
import type { DeviceState, DeviceStatus, LinkStatus, RawGroup } from '../model/field.ts';
import type { DeviceId, LinkId } from '../model/ids.ts';
import type { Notes } from '../model/notes.ts';
import { type Reason, reasons } from '../model/reason.ts';
import type { LinkReport } from './host/messages.ts';

export interface FieldHealthOptions {
  readonly clock: Clock;
  readonly notes: Notes;
  readonly conditions: ConditionReporter;
  readonly emit: (...args: BusEvents['device-state']) => void;
}

interface LinkHealth {
  readonly link: Link;
  readonly plugin: string;
  state: LinkStatus['state'];
  error: DriverError | undefined;
  load: number;
  skippedTicks: number;
  latenessMs: number;
  /** When ticks were last skipped. */
  overloadedAt: number | undefined;
}

interface DeviceHealth {
  device: Device;
  readonly plugin: string;
  state: DeviceState;
  reason: Reason | undefined;
  detail: string | undefined;
  /** Of the breaker, while it is not closed. */
  silence: DriverError | undefined;
  /** Points whose last reading was bad, and why. */
  readonly bad: Map<string, Reason>;
  refused: number;
  lastGoodAt: number | undefined;
  offlineAt: number | undefined;
}

/** Without a skipped tick for so long a link is not overloaded any more; less than its condition takes to be shown. */
const overloadMs = 30_000;

/** What is known of links and devices: from reports and readings to statuses and conditions. */
export class FieldHealth {
  readonly #options: FieldHealthOptions;
  readonly #links = new Map<string, LinkHealth>();
  readonly #devices = new Map<string, DeviceHealth>();

  constructor(options: FieldHealthOptions) {
    this.#options = options;
  }

  setLink(link: Link, plugin: string): void {
    const known = this.#links.get(link.id);
    this.#links.set(link.id, {
      state: 'opening',
      error: undefined,
      load: 0,
      skippedTicks: 0,
      latenessMs: 0,
      overloadedAt: undefined,
      ...(known?.plugin === plugin && known),
      link,
      plugin,
    });
  }

  dropLink(link: LinkId): void {
    this.#links.delete(link);
    this.#options.conditions.clear('link-down', link);
    this.#options.conditions.clear('link-overloaded', link);
  }

  setDevice(device: Device, plugin: string): void {
    const known = this.#devices.get(device.id);
    if (known?.plugin === plugin) {
      known.device = device;
      const names = new Set(device.points.map(({ name }) => name));
      for (const name of known.bad.keys()) if (!names.has(name)) this.#mend(known, name);
      this.#judge(known);
      return;
    }
    this.#devices.set(device.id, {
      device,
      plugin,
      state: 'unknown',
      reason: undefined,
      detail: undefined,
      silence: undefined,
      bad: new Map(),
      refused: 0,
      lastGoodAt: undefined,
      offlineAt: undefined,
    });
  }

  dropDevice(device: DeviceId): void {
    this.#devices.delete(device);
    this.#options.conditions.clear('device-offline', device);
    this.#options.conditions.clear('device-refuses-points', device);
  }

  linkOpened(id: string): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    link.state = 'open';
    link.error = undefined;
    this.#options.notes.linkOpened({ link: link.link.id });
    this.#options.conditions.clear('link-down', id);
  }

  linkFailed(id: string, error: DriverError): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    link.state = 'waiting';
    link.error = error;
    const { kind: reason, message } = error;
    this.#options.notes.linkFailed({ link: link.link.id, reason, message });
    // A link that is opened anew because its configuration changed is not down.
    if (reason !== 'closed') {
      this.#options.conditions.raise('link-down', id, message, { under: [link.plugin] });
    }
    this.#judgeAll(id);
  }

  /** A driver process is gone, or back. */
  driverUp(plugin: string, up: boolean): void {
    for (const [id, link] of this.#links) {
      if (link.plugin !== plugin) continue;
      link.state = up ? 'opening' : 'driver-down';
      link.load = 0;
      link.skippedTicks = 0;
      link.error = undefined;
      this.#judgeAll(id);
    }
  }

  reported(reports: readonly LinkReport[]): void {
    for (const report of reports) {
      const link = this.#links.get(report.link);
      if (link === undefined) continue;
      link.state = report.state;
      link.error = report.error;
      link.load = report.load;
      link.latenessMs = report.latenessMs;
      this.#overload(link, report.skippedTicks);
      for (const { device: id, breaker, error } of report.devices) {
        const device = this.#devices.get(id);
        if (device === undefined) continue;
        device.silence = breaker === 'closed' ? undefined : (error ?? noAnswer);
        this.#judge(device);
      }
    }
  }

  /** Looks at readings on their way to the record. */
  observe(groups: readonly RawGroup[]): void {
    const now = this.#options.clock.monotonic();
    for (const { device: id, results } of groups) {
      const device = this.#devices.get(id);
      if (device === undefined) continue;
      const before = device.bad.size;
      const refused = device.refused;
      let good = false;
      for (const { pointId, quality, error } of results) {
        if (quality === 'bad') this.#spoil(device, pointId, error?.kind ?? 'internal');
        else {
          good = true;
          if (device.bad.size > 0) this.#mend(device, pointId);
        }
      }
      if (good) device.lastGoodAt = now;
      const settled = device.state === 'online' || device.state === 'degraded';
      if (!settled || before !== device.bad.size || refused !== device.refused) this.#judge(device);
    }
  }

  deviceStatuses(): DeviceStatus[] {
    const now = this.#options.clock.monotonic();
    return [...this.#devices.values()].map(
      ({ device, plugin, state, detail, reason, lastGoodAt }) => ({
        device: device.id,
        link: device.link,
        driver: this.#links.get(device.link)?.link.driver ?? plugin,
        state,
        points: device.points.length,
        ...(detail !== undefined && { detail }),
        ...(reason !== undefined && { reason }),
        ...(lastGoodAt !== undefined && { lastGoodAgeMs: now - lastGoodAt }),
      }),
    );
  }

  linkStatuses(): LinkStatus[] {
    return [...this.#links.values()].map(
      ({ link, state, error, load, skippedTicks, latenessMs }) => ({
        link: link.id,
        driver: link.driver,
        state,
        load,
        skippedTicks,
        latenessMs,
        ...(error !== undefined && { detail: error.message }),
      }),
    );
  }

  #overload(link: LinkHealth, skippedTicks: number): void {
    const { clock, conditions } = this.#options;
    const now = clock.monotonic();
    if (skippedTicks > link.skippedTicks) {
      link.overloadedAt = now;
      const percent = Math.round(link.load * 100);
      const text = `${skippedTicks} polls were left out since it was opened; it is at work ${percent} % of the time`;
      conditions.raise('link-overloaded', link.link.id, text, { under: [link.plugin] });
    } else if (link.overloadedAt !== undefined && now - link.overloadedAt >= overloadMs) {
      link.overloadedAt = undefined;
      conditions.clear('link-overloaded', link.link.id);
    }
    link.skippedTicks = skippedTicks;
  }

  #spoil(device: DeviceHealth, pointId: string, reason: Reason): void {
    const before = device.bad.get(pointId);
    if (before === reason) return;
    if (before === undefined && device.bad.size >= device.device.points.length) return;
    device.refused += Number(isRefusal(reason)) - Number(isRefusal(before));
    device.bad.set(pointId, reason);
  }

  #mend(device: DeviceHealth, pointId: string): void {
    const before = device.bad.get(pointId);
    if (before === undefined) return;
    device.refused -= Number(isRefusal(before));
    device.bad.delete(pointId);
  }

  #judgeAll(link: string): void {
    for (const device of this.#devices.values()) {
      if (device.device.link === link) this.#judge(device);
    }
  }

  /** Draws the state of a device from what is known, and tells when it has changed. */
  #judge(device: DeviceHealth): void {
    const { state, reason, detail } = this.#stateOf(device);
    device.reason = reason;
    device.detail = detail;
    this.#refusals(device);
    this.#silence(device);
    if (state === device.state) return;
    const before = device.state;
    device.state = state;
    this.#tell(device, before);
    this.#options.emit(device.device.id, state);
  }

  #stateOf(device: DeviceHealth): {
    readonly state: DeviceState;
    readonly reason?: Reason;
    readonly detail?: string;
  } {
    const link = this.#links.get(device.device.link);
    if (link?.state === 'driver-down') {
      const detail = 'its driver process is not running';
      return { state: 'offline', reason: 'link-down', detail };
    }
    if (link?.state === 'waiting' && link.error?.kind !== 'closed') {
      return {
        state: 'offline',
        reason: 'link-down',
        detail: link.error?.message ?? 'its link is down',
      };
    }
    if (device.silence !== undefined) {
      return { state: 'offline', reason: device.silence.kind, detail: device.silence.message };
    }
    if (device.lastGoodAt === undefined && device.bad.size === 0) return { state: 'unknown' };
    if (device.bad.size === 0) return { state: 'online' };
    const [first] = device.bad;
    if (first === undefined) return { state: 'online' };
    const [point, why] = first;
    const others = device.bad.size === 1 ? '' : ` (and ${device.bad.size - 1} more)`;
    const detail = `${point}${others} ${reasons[why].text}`;
    return { state: 'degraded', reason: why, detail };
  }

  #tell(device: DeviceHealth, before: DeviceState): void {
    const { clock, notes } = this.#options;
    const { id } = device.device;
    const now = clock.monotonic();
    if (device.state === 'offline') {
      device.offlineAt = now;
      const reason = device.reason ?? 'timeout';
      const message = device.detail ?? reasons[reason].text;
      notes.deviceOffline({ device: id, reason, message });
      return;
    }
    if (before === 'offline' || before === 'unknown') {
      const { offlineAt } = device;
      device.offlineAt = undefined;
      notes.deviceOnline({
        device: id,
        ...(offlineAt !== undefined && { offlineMs: Math.round(now - offlineAt) }),
      });
    }
  }

  /** When its link or driver is down, that is the condition; the device itself is not known to be silent. */
  #silence({ device, plugin, silence }: DeviceHealth): void {
    const { conditions } = this.#options;
    if (silence === undefined) conditions.clear('device-offline', device.id);
    else {
      conditions.raise('device-offline', device.id, silence.message, {
        under: [device.link, plugin],
      });
    }
  }

  #refusals(device: DeviceHealth): void {
    const { conditions } = this.#options;
    const { id, link } = device.device;
    if (device.refused === 0) {
      conditions.clear('device-refuses-points', id);
      return;
    }
    const some = [...device.bad].filter(([, reason]) => isRefusal(reason)).map(([point]) => point);
    const more = some.length > 3 ? ` and ${some.length - 3} more` : '';
    conditions.raise('device-refuses-points', id, `${some.slice(0, 3).join(', ')}${more}`, {
      under: [id, link, device.plugin],
    });
  }
}

const noAnswer: DriverError = { kind: 'timeout', message: 'the device does not answer' };

const isRefusal = (reason: Reason | undefined) =>
  reason === 'refused' || reason === 'bad-address' || reason === 'not-supported';
