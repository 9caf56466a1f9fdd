import type { ConditionCode } from '../model/condition.ts';
import type { DeviceState } from '../model/field.ts';
import type { GatewayStatus } from '../model/status.ts';
import type { MetricName } from './metric-catalogue.ts';
import type { Metrics } from './metrics.ts';

/** Devices that get a series of their own; the sums count all of them. */
const mostDevices = 1_000;
const deviceStates: readonly DeviceState[] = ['unknown', 'online', 'degraded', 'offline'];

const failed = 0;
const degraded = 1;
const well = 2;

/** Gauges of which series come and go with the configuration. */
const perObject: readonly MetricName[] = [
  'riser_component_health',
  'riser_condition_active',
  'riser_device_up',
  'riser_link_load_ratio',
  'riser_link_skipped_ticks',
  'riser_link_lateness_seconds',
  'riser_driver_restarts',
  'riser_driver_resident_memory_bytes',
  'riser_upstream_connected',
];

/** Sets the gauges from one look at the gateway. */
export function setStatusGauges(metrics: Metrics, status: GatewayStatus): void {
  for (const name of perObject) metrics.reset(name);
  metrics.set('riser_ready', Number(status.ready));
  metrics.set('riser_clock_synchronized', Number(status.clockSynced));
  metrics.set('riser_uptime_seconds', status.upMs / 1_000);
  for (const state of ['total', 'fresh', 'good'] as const) {
    metrics.set('riser_points', status.points[state], { state });
  }
  for (const state of deviceStates) {
    const count = status.devices.filter((device) => device.state === state).length;
    metrics.set('riser_devices', count, { state });
  }
  for (const { device, state } of status.devices.slice(0, mostDevices)) {
    metrics.set('riser_device_up', Number(state === 'online' || state === 'degraded'), { device });
  }
  for (const { link, load, skippedTicks, latenessMs } of status.links.slice(0, mostDevices)) {
    metrics.set('riser_link_load_ratio', load, { link });
    metrics.set('riser_link_skipped_ticks', skippedTicks, { link });
    metrics.set('riser_link_lateness_seconds', latenessMs / 1_000, { link });
  }
  for (const { plugin, restarts, rssBytes } of status.drivers) {
    metrics.set('riser_driver_restarts', restarts, { plugin });
    if (rssBytes !== undefined) {
      metrics.set('riser_driver_resident_memory_bytes', rssBytes, { plugin });
    }
  }
  for (const { tenant, state } of status.uplinks) {
    metrics.set('riser_upstream_connected', Number(state === 'connected'), { tenant });
  }
  setOutboxGauges(metrics, status);
  setConditionGauges(metrics, status);
  for (const [component, health] of componentHealth(status)) {
    metrics.set('riser_component_health', health, { component });
  }
}

function setOutboxGauges(metrics: Metrics, { outbox, uplinks }: GatewayStatus): void {
  const inflight = uplinks.reduce((sum, uplink) => sum + uplink.inflight, 0);
  metrics.set('riser_outbox_depth', outbox.pending, { state: 'pending' });
  metrics.set('riser_outbox_depth', inflight, { state: 'inflight' });
  metrics.set('riser_outbox_depth', outbox.deadLetters, { state: 'dead' });
  metrics.set('riser_outbox_oldest_age_seconds', (outbox.oldestAgeMs ?? 0) / 1_000);
  metrics.set('riser_outbox_bytes', outbox.fileBytes);
  metrics.set('riser_outbox_wal_bytes', outbox.walBytes);
  metrics.set('riser_outbox_capacity_bytes', outbox.maxBytes);
}

function setConditionGauges(metrics: Metrics, { conditions }: GatewayStatus): void {
  const counts = new Map<ConditionCode, { severity: string; count: number }>();
  for (const { code, severity } of conditions) {
    counts.set(code, { severity, count: (counts.get(code)?.count ?? 0) + 1 });
  }
  for (const [condition, { severity, count }] of counts) {
    metrics.set('riser_condition_active', count, { condition, severity });
  }
}

/** How each component does: 0 failed, 1 degraded, 2 well. */
export function componentHealth(status: GatewayStatus): ReadonlyMap<string, number> {
  const has = (...codes: readonly ConditionCode[]) =>
    status.conditions.some(({ code }) => codes.includes(code));
  const health = new Map<string, number>();
  health.set('config', has('config-invalid', 'secret-unresolved') ? degraded : well);
  health.set('clock', status.clockSynced ? well : degraded);
  health.set(
    'outbox',
    has('outbox-unavailable')
      ? failed
      : has('outbox-full', 'outbox-growing', 'outbox-quarantined', 'data-lost', 'disk-low')
        ? degraded
        : well,
  );
  // An upstream that is away degrades and never fails: readings are kept.
  health.set(
    'uplink',
    status.uplinks.every(({ state }) => state === 'connected') ? well : degraded,
  );
  for (const { plugin, state } of status.drivers) {
    const value = state === 'running' ? well : state === 'failed' ? failed : degraded;
    health.set(`driver/${plugin}`, value);
  }
  for (const { name, state } of status.modules) {
    const value = state === 'enabled' ? well : state === 'failed' ? failed : degraded;
    health.set(`module/${name}`, value);
  }
  return health;
}
