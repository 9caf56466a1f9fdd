import type { ConfigIssue, DeviceConfig, Json } from '#driver';
import { holdsBits, PointError } from './address.ts';
import { isByte, isPart, type ModbusPoint, parsePoint } from './point.ts';
import { type DeviceSettings, deviceSettings } from './settings.ts';
import { parseWriteRule } from './write-rule.ts';

const linkDefaults = { timeoutMs: 1000, interRequestMs: 0 };

/** What is wrong with a device and its points, without looking at the link. */
export function validateDevice(device: DeviceConfig): ReadonlyArray<ConfigIssue> {
  const issues: ConfigIssue[] = [];
  let settings: DeviceSettings;
  try {
    settings = deviceSettings(device, linkDefaults);
  } catch (error) {
    return [{ path: '/address/unit', message: (error as Error).message, code: 'BAD_UNIT' }];
  }
  const points: ModbusPoint[] = [];
  for (const { pointId, address } of device.options.points) {
    try {
      const point = parsePoint(pointId, address);
      points.push(point);
      parseWriteRule(point, (address as { readonly write?: Json }).write);
    } catch (error) {
      if (!(error instanceof PointError)) throw error;
      issues.push(issue(pointId, error.key, error.message, 'BAD_POINT'));
    }
  }
  return [
    ...issues,
    ...tooLong(points, settings),
    ...groupsTooLong(points, settings),
    ...scaleIssues(points, device),
    ...overlaps(points),
  ];
}

/** The points of a device that can be read at all; the others are told by validateDevice. */
export function usablePoints(
  device: DeviceConfig,
): ReadonlyArray<{ readonly point: ModbusPoint; readonly everyMs: number }> {
  return device.options.points.flatMap(({ pointId, address, everyMs }) => {
    try {
      return [{ point: parsePoint(pointId, address), everyMs }];
    } catch {
      return [];
    }
  });
}

function tooLong(points: readonly ModbusPoint[], settings: DeviceSettings): ConfigIssue[] {
  return points
    .filter((point) => !holdsBits(point.table) && point.count > settings.maxRegisters)
    .map((point) =>
      issue(
        point.id,
        'len',
        `the point has ${point.count} registers, but the device gives ${settings.maxRegisters} in one request (limits.maxRegisters), and a point is never split`,
        'POINT_TOO_LONG',
      ),
    );
}

function groupsTooLong(points: readonly ModbusPoint[], settings: DeviceSettings): ConfigIssue[] {
  const groups = new Map<string, ModbusPoint[]>();
  for (const point of points) {
    if (point.readGroup === undefined) continue;
    const key = `${point.table} ${point.readGroup}`;
    groups.set(key, [...(groups.get(key) ?? []), point]);
  }
  return [...groups.values()].flatMap((members) => {
    const [first] = members as [ModbusPoint];
    const from = Math.min(...members.map((point) => point.address));
    const to = Math.max(...members.map((point) => point.address + point.count));
    const most = holdsBits(first.table) ? settings.maxBits : settings.maxRegisters;
    if (to - from <= most) return [];
    const message = `the points of readGroup ${first.readGroup} lie ${to - from} apart, but one request reads ${most}`;
    return [issue(first.id, 'readGroup', message, 'READ_GROUP_TOO_LONG')];
  });
}

function scaleIssues(points: readonly ModbusPoint[], device: DeviceConfig): ConfigIssue[] {
  const declared = new Set(device.options.points.map(({ pointId }) => pointId));
  const known = new Map(points.map((point) => [point.id, point]));
  return points.flatMap((point) => {
    const from = point.scaleFrom;
    if (from === undefined) return [];
    if (!declared.has(from) || from === point.id) {
      const message = `the scale factor "${from}" is not another point of the device; name one of its points, such as { point: ac.power.sf }`;
      return [issue(point.id, 'scale', message, 'SCALE_POINT_UNKNOWN')];
    }
    const factor = known.get(from);
    if (factor === undefined || factor.type.includes('int')) return [];
    const message = `the scale factor "${from}" is a ${factor.type}; a power of ten needs an integer type such as int16`;
    return [issue(point.id, 'scale', message, 'SCALE_POINT_TYPE')];
  });
}

function overlaps(points: readonly ModbusPoint[]): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const sorted = points
    .filter(({ table }) => !holdsBits(table))
    .sort((a, b) => a.table.localeCompare(b.table) || a.address - b.address);
  for (const [index, point] of sorted.entries()) {
    for (let next = index + 1; next < sorted.length; next++) {
      const other = sorted[next] as ModbusPoint;
      if (other.table !== point.table || other.address >= point.address + point.count) break;
      const found = overlap(point, other);
      if (found !== undefined) issues.push(found);
    }
  }
  return issues;
}

function overlap(point: ModbusPoint, other: ModbusPoint): ConfigIssue | undefined {
  const same = point.address === other.address && point.count === other.count;
  const where = `${point.table} ${other.address}`;
  // Two parts of one register, or a part and the whole, are what bit, mask and flags are for.
  if (same && (point.type === 'bool' || other.type === 'bool')) return undefined;
  if (same && (isPart(point) || isPart(other))) return sameByte(point, other, where);
  if (same && point.type === other.type && point.order === other.order) {
    const message = `${other.id} and ${point.id} are the same registers (${where})`;
    return { ...issue(other.id, 'addr', message, 'POINTS_OVERLAP'), severity: 'warning' };
  }
  const message = `${other.id} (${other.type}) and ${point.id} (${point.type}, ${point.count} from ${point.address} on) share ${where}; one of them has a wrong address or type`;
  return issue(other.id, 'addr', message, 'POINTS_OVERLAP');
}

/** The high and the low byte of a register may both be points, but not one of them twice. */
function sameByte(point: ModbusPoint, other: ModbusPoint, where: string): ConfigIssue | undefined {
  if (!isByte(point.type) || point.type !== other.type) return undefined;
  const message = `${other.id} and ${point.id} are the same byte of ${where}`;
  return { ...issue(other.id, 'addr', message, 'POINTS_OVERLAP'), severity: 'warning' };
}

function issue(pointId: string, key: string, message: string, code: string): ConfigIssue {
  return { path: `/points/${pointId}/${key}`, message, code };
}
