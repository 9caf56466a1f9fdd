import { isDeepStrictEqual } from 'node:util';
import type { Device } from '../model/device.ts';
import type { DeviceId, TenantId } from '../model/ids.ts';
import { PointRecord } from './point-record.ts';

interface DeviceEntry {
  readonly tenant: TenantId;
  readonly records: ReadonlyMap<string, PointRecord>;
}

/** The points of the configuration, found by device and name. */
export class PointTable {
  #devices: ReadonlyMap<string, DeviceEntry> = new Map();

  /** Takes over a configuration. A point whose rules did not change keeps what is known of it. */
  configure(devices: readonly Device[]): void {
    const before = this.#devices;
    this.#devices = new Map(
      devices.map((device) => [
        device.id,
        { tenant: device.tenant, records: this.#recordsOf(device, before.get(device.id)) },
      ]),
    );
  }

  find(device: DeviceId, name: string): PointRecord | undefined {
    return this.#devices.get(device)?.records.get(name);
  }

  tenantOf(device: DeviceId): TenantId | undefined {
    return this.#devices.get(device)?.tenant;
  }

  /** Of one device or all, in the order of the configuration. */
  records(device?: string): PointRecord[] {
    const entries =
      device === undefined ? [...this.#devices.values()] : [this.#devices.get(device)];
    return entries.flatMap((entry) => (entry === undefined ? [] : [...entry.records.values()]));
  }

  #recordsOf(device: Device, before: DeviceEntry | undefined): ReadonlyMap<string, PointRecord> {
    const intervals = new Map(device.groups.map(({ name, intervalMs }) => [name, intervalMs]));
    return new Map(
      device.points.map((point) => {
        const intervalMs = point.group === undefined ? undefined : intervals.get(point.group);
        const known = before?.records.get(point.name);
        const same =
          known !== undefined &&
          known.intervalMs === intervalMs &&
          isDeepStrictEqual(known.point, point);
        return [point.name, same ? known : new PointRecord(point, intervalMs)];
      }),
    );
  }
}
