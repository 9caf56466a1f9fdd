import type { ConfigIssue, DeviceConfig, Json } from '#driver';
import { planRules } from './modbus-device.ts';
import { plan } from './planner.ts';
import { roundTripMs } from './request-cost.ts';
import { type DeviceSettings, deviceSettings, type TcpSettings, tcpSettings } from './settings.ts';
import { usablePoints } from './validate-device.ts';

const full = 1;
const high = 0.7;

/** What is wrong with the devices of a link together: a unit twice, or more polls than time. */
export function validateLink(
  link: Json,
  devices: ReadonlyArray<DeviceConfig>,
): ReadonlyArray<ConfigIssue> {
  let settings: TcpSettings;
  try {
    settings = tcpSettings(link);
  } catch (error) {
    return [{ path: '/link/host', message: (error as Error).message, code: 'BAD_LINK' }];
  }
  const able = devices.flatMap((device) => {
    try {
      return [{ device, settings: deviceSettings(device, settings) }];
    } catch {
      // validateDevice tells it.
      return [];
    }
  });
  return [...duplicateUnits(able), ...loadIssues(settings, able)];
}

interface AbleDevice {
  readonly device: DeviceConfig;
  readonly settings: DeviceSettings;
}

function duplicateUnits(devices: readonly AbleDevice[]): ConfigIssue[] {
  const owners = new Map<number, string>();
  return devices.flatMap(({ device, settings: { unit } }) => {
    const owner = owners.get(unit);
    if (owner === undefined) {
      owners.set(unit, device.id);
      return [];
    }
    return [
      {
        path: `/devices/${device.id}/address/unit`,
        message: `unit ${unit} is taken by device ${owner} on this link; give each device its own`,
        code: 'DUPLICATE_UNIT',
      },
    ];
  });
}

function loadIssues(settings: TcpSettings, devices: readonly AbleDevice[]): ConfigIssue[] {
  const costs = costByInterval(devices);
  const load = [...costs].reduce((sum, [everyMs, ms]) => sum + ms / everyMs, 0) / settings.window;
  if (load <= high) return [];
  const percent = Math.round(load * 100);
  const assumed = `polling needs about ${percent} % of the link's time (${roundTripMs} ms a request and its pauses)`;
  if (load <= full) {
    const message = `${assumed}; a slow device or a retry will delay polls. Poll some points less often`;
    return [{ path: '/link', message, severity: 'warning', code: 'LINK_LOAD_HIGH' }];
  }
  const message = `${assumed}; ${remedy(costs, settings.window, load)}`;
  return [{ path: '/link', message, severity: 'error', code: 'LINK_OVERLOADED' }];
}

function costByInterval(devices: readonly AbleDevice[]): ReadonlyMap<number, number> {
  const costs = new Map<number, number>();
  for (const { device, settings } of devices) {
    const rules = planRules(settings, undefined, 0);
    const byInterval = Map.groupBy(usablePoints(device), ({ everyMs }) => everyMs);
    for (const [everyMs, members] of byInterval) {
      if (everyMs <= 0) continue;
      const blocks = plan(
        members.map(({ point }) => point),
        rules,
      );
      const ms = blocks.reduce((sum, { table, count }) => sum + rules.cost(table, count), 0);
      costs.set(everyMs, (costs.get(everyMs) ?? 0) + ms);
    }
  }
  return costs;
}

/** The shortest interval of the fastest points that fits, or how much everything has to slow down. */
function remedy(costs: ReadonlyMap<number, number>, window: number, load: number): string {
  const fastest = Math.min(...costs.keys());
  const cost = (costs.get(fastest) ?? 0) / window;
  const rest = load - cost / fastest;
  if (rest >= full) return `make all intervals at least ${ceilTo(load, 0.1)} times as long`;
  const shortest = ceilTo(cost / (full - rest) / 1000, 0.1);
  return `the shortest interval possible is ${shortest} s for the points that are polled every ${fastest / 1000} s`;
}

function ceilTo(value: number, step: number): number {
  return Number((Math.ceil(value / step - 1e-9) * step).toFixed(1));
}
