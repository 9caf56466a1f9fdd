import type { DeviceConfig } from '#driver';
import type { Device } from '../model/device.ts';
import type { ToDriver } from './host/messages.ts';

/** A plan frame without its type, by group. */
export type GroupPlan = Extract<ToDriver, { readonly t: 'plan' }>;

/** A device as its driver sees it. A point without a group is read on demand only: every 0 ms. */
export function deviceConfig(device: Device): DeviceConfig {
  const everyMs = new Map(device.groups.map((group) => [group.name, group.intervalMs]));
  return {
    id: device.id,
    address: device.address,
    options: {
      profile: device.profileOptions,
      points: device.points.map(({ name, address, group }) => ({
        pointId: name,
        address,
        everyMs: group === undefined ? 0 : (everyMs.get(group) ?? 0),
      })),
    },
  };
}

/** What is polled of a device, group by group; groups without points are left out. */
export function groupPlans(device: Device): ReadonlyMap<string, GroupPlan> {
  const plans = new Map<string, GroupPlan>();
  const pointsOf = Map.groupBy(device.points, ({ group }) => group);
  for (const { name, intervalMs, offsetMs } of device.groups) {
    const points = pointsOf.get(name);
    if (points === undefined) continue;
    plans.set(name, {
      t: 'plan',
      link: device.link,
      device: device.id,
      group: name,
      everyMs: intervalMs,
      ...(offsetMs !== undefined && { offsetMs }),
      mode: 'poll',
      points: points.map((point) => ({
        pointId: point.name,
        address: point.address,
        ...(point.lane !== 'live' && { lane: point.lane }),
      })),
    });
  }
  return plans;
}
