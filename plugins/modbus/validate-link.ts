import type { ConfigIssue, DeviceConfig, Json } from '#driver';
import { planRules } from './modbus-device.ts';
import { plan } from './planner.ts';
import { roundTripMs, type SerialLine } from './request-cost.ts';
import {
  type DeviceSettings,
  deviceSettings,
  type LinkSettings,
  profileLine,
  type SerialSettings,
  SettingError,
} from './settings.ts';
import type { Transport } from './transports.ts';
import { usablePoints } from './validate-device.ts';

const full = 1;
const high = 0.7;

/** What is wrong with the devices of a link together: a unit twice, or more polls than time. */
export function validateLink(
  transport: Transport,
  link: Json,
  devices: ReadonlyArray<DeviceConfig>,
): ReadonlyArray<ConfigIssue> {
  let settings: LinkSettings;
  try {
    settings = transport.settings(link);
  } catch (error) {
    const path = error instanceof SettingError ? `/link/${error.key}` : '/link';
    return [{ path, message: (error as Error).message, code: 'BAD_LINK' }];
  }
  const able = devices.flatMap((device) => {
    try {
      return [{ device, settings: deviceSettings(device, settings) }];
    } catch {
      // validateDevice tells it.
      return [];
    }
  });
  return [
    ...portIssues(settings),
    ...duplicateUnits(able),
    ...(transport.hasBroadcast ? unitIssues(able) : []),
    ...(settings.line === undefined ? [] : able.flatMap(lineIssues(settings.line))),
    ...loadIssues(settings, able),
  ];
}

/** Names of USB ports go by the order in which they were found. */
function portIssues(settings: LinkSettings): ConfigIssue[] {
  const { path } = settings as Partial<SerialSettings>;
  if (path === undefined || !/^\/dev\/tty(USB|ACM)\d+$/.test(path)) return [];
  const message = `${path} can be another adapter after the next start; use its name in /dev/serial/by-id (ls -l shows it)`;
  return [{ path: '/link/path', message, severity: 'warning', code: 'PORT_NAME_CHANGES' }];
}

/** On a line unit 0 is everybody, and 248 to 255 are reserved (Serial Line V1.02, 2.2). */
function unitIssues(devices: readonly AbleDevice[]): ConfigIssue[] {
  return devices
    .filter(({ settings: { unit } }) => unit === 0 || unit > 247)
    .map(({ device, settings: { unit } }) => ({
      path: `/devices/${device.id}/address/unit`,
      message:
        unit === 0
          ? 'unit 0 is everybody on a line and answers nothing; give the device a unit from 1 to 247'
          : `unit ${unit} is reserved on a line; most devices answer to 1 to 247 only`,
      severity: unit === 0 ? ('error' as const) : ('warning' as const),
      code: 'UNIT_RESERVED',
    }));
}

/** The link decides; a device that comes with other settings has to be set to them. */
function lineIssues(line: SerialLine): (able: AbleDevice) => ConfigIssue[] {
  return ({ device }) => {
    const own = profileLine(device);
    const different = (['baudRate', 'parity', 'dataBits', 'stopBits'] as const).filter(
      (key) => own[key] !== undefined && own[key] !== line[key],
    );
    if (different.length === 0) return [];
    const comes = different.map((key) => `${key} ${own[key]} instead of ${line[key]}`).join(', ');
    const message = `devices of this kind come with ${comes}; see that device ${device.id} is set like the link`;
    return [
      {
        path: `/devices/${device.id}/profile`,
        message,
        severity: 'warning',
        code: 'LINE_SETTINGS_DIFFER',
      },
    ];
  };
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

function loadIssues(settings: LinkSettings, devices: readonly AbleDevice[]): ConfigIssue[] {
  const costs = costByInterval(devices);
  const load = [...costs].reduce((sum, [everyMs, ms]) => sum + ms / everyMs, 0) / settings.window;
  if (load <= high) return [];
  const percent = Math.round(load * 100);
  const assumed = `polling needs about ${percent} % of the link's time (${assumption(settings.line)})`;
  if (load <= full) {
    const message = `${assumed}; a slow device or a retry will delay polls. Poll some points less often`;
    return [{ path: '/link', message, severity: 'warning', code: 'LINK_LOAD_HIGH' }];
  }
  const message = `${assumed}; ${remedy(costs, settings.window, load)}`;
  return [{ path: '/link', message, severity: 'error', code: 'LINK_OVERLOADED' }];
}

function assumption(line: SerialLine | undefined): string {
  if (line === undefined) return `${roundTripMs} ms a request and its pauses`;
  const { baudRate, dataBits, parity, stopBits } = line;
  const shape = `${dataBits}${parity.charAt(0).toUpperCase()}${stopBits}`;
  return `${baudRate} baud ${shape}, and the time that devices take to answer`;
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
