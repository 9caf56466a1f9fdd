import type { Action, ActionRequest, RunningAction } from './action.ts';
import type { Condition } from './condition.ts';
import type { DeviceStatus, DriverProcessStatus, LatestValue, LinkStatus } from './field.ts';
import type { DeadLetter, OutboxStats, Stream } from './outbox.ts';
import type { Finding } from './site.ts';
import type { UplinkStatus } from './uplink.ts';

/** One look at the gateway, for CLI, page and probes. */
export interface GatewayStatus {
  readonly gateway: string;
  readonly title: string;
  readonly version: string;
  readonly bootId: string;
  readonly upMs: number;
  readonly revision: string;
  /** Degraded: it runs on the last good configuration, or a part of it does not work. */
  readonly mode: 'starting' | 'running' | 'degraded' | 'stopping';
  readonly ready: boolean;
  readonly points: { readonly total: number; readonly fresh: number; readonly good: number };
  readonly devices: readonly DeviceStatus[];
  readonly links: readonly LinkStatus[];
  readonly drivers: readonly DriverProcessStatus[];
  readonly outbox: OutboxStats;
  readonly uplinks: readonly UplinkStatus[];
  readonly conditions: readonly Condition[];
  readonly modules: readonly {
    readonly name: string;
    readonly state: string;
    readonly detail?: string;
  }[];
  readonly clockSynced: boolean;
}

/** What control API and probes may ask of the gateway. Implemented by gateway.ts. */
export interface Control {
  status(): GatewayStatus;
  /** Event loop and store alive. */
  live(): boolean;
  ready(): boolean;
  /** Latest values, of one device or all, in the order of the configuration. */
  values(device?: string): readonly LatestValue[];
  /** Reads now, past the poll plan. Rejects DEVICE_UNKNOWN, POINT_UNKNOWN, READ_FAILED. */
  read(
    device: string,
    points: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly LatestValue[]>;
  /** Called with each commit's readings until the signal ends. */
  watch(listener: (values: readonly LatestValue[]) => void, signal: AbortSignal): void;
  streams(): readonly Stream[];
  peek(tenant: string, lane: string, after: number, limit: number): Promise<readonly string[]>;
  deadLetters(limit: number): Promise<readonly DeadLetter[]>;
  /** Loads the files again and applies what changed, object by object. */
  applyConfig(): Promise<ApplyResult>;
  /** What the plugins offer to technicians. */
  actions(): readonly Action[];
  /**
   * Runs an action until it ends or the signal does. Throws ACTION_UNKNOWN, ACTION_REFUSED, USAGE
   * and DEVICE_UNKNOWN; its outputs reject ACTION_FAILED and DRIVER_FAILED.
   */
  runAction(request: ActionRequest, signal: AbortSignal): RunningAction;
}

export interface ApplyResult {
  readonly applied: boolean;
  readonly revision: string;
  readonly findings: readonly Finding[];
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Settings that changed and take effect at the next start. */
  readonly restartNeeded: readonly string[];
}
