import { hash } from 'node:crypto';
import type { LatestValue } from '../model/field.ts';
import type { DeviceId, TenantId } from '../model/ids.ts';

/** Devices told at once; the others follow with the next turn. */
const devicesPerTurn = 200;
const payloadLimitBytes = 64 * 1024;

/** One point in the retained last values of its device. */
export interface LastValue {
  readonly v: LatestValue['value'];
  /** Milliseconds since 1970. */
  readonly t: number;
  readonly q: LatestValue['quality'];
  readonly reason?: string;
  readonly unit?: string;
}

/** Last values of the devices of one tenant that have changed since they were last told. */
export class LastValues {
  readonly #tenant: TenantId;
  /** Digest of what was told of each device. */
  readonly #told = new Map<DeviceId, string>();

  constructor(tenant: TenantId) {
    this.#tenant = tenant;
  }

  /** After a new connection the broker may know nothing any more. */
  forget(): void {
    this.#told.clear();
  }

  /** Tells what has changed, device by device. */
  tell(latest: Iterable<LatestValue>, publish: (device: DeviceId, payload: string) => void): void {
    const byDevice = new Map<DeviceId, LatestValue[]>();
    for (const value of latest) {
      if (value.tenant !== this.#tenant) continue;
      const values = byDevice.get(value.device);
      if (values === undefined) byDevice.set(value.device, [value]);
      else values.push(value);
    }
    for (const device of this.#told.keys()) if (!byDevice.has(device)) this.#told.delete(device);
    let told = 0;
    for (const [device, values] of byDevice) {
      if (told >= devicesPerTurn) break;
      const digest = digestOf(values);
      if (this.#told.get(device) === digest) continue;
      const payload = payloadOf(device, values);
      this.#told.set(device, digest);
      told += 1;
      publish(device, payload);
    }
  }
}

/** Of values and qualities only: a new time of the same value is no change. */
function digestOf(values: readonly LatestValue[]): string {
  return hash(
    'sha1',
    JSON.stringify(values.map(({ point, value, reason }) => [point, value, reason])),
    'base64',
  );
}

function payloadOf(device: DeviceId, values: readonly LatestValue[]): string {
  const points: Record<string, LastValue> = {};
  let bytes = 0;
  let left = 0;
  for (const { point, value, time, quality, reason, unit } of values) {
    const told: LastValue = {
      v: value,
      t: time,
      q: quality,
      ...(reason === undefined ? {} : { reason }),
      ...(unit === undefined ? {} : { unit }),
    };
    bytes += Buffer.byteLength(JSON.stringify(told)) + Buffer.byteLength(point) + 4;
    if (bytes > payloadLimitBytes) left += 1;
    else points[point.slice(device.length + 1)] = told;
  }
  return JSON.stringify({ device, points, ...(left === 0 ? {} : { left }) });
}
