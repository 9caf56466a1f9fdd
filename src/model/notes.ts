import type { Condition } from './condition.ts';
import type { DeviceId, LinkId, TenantId } from './ids.ts';
import type { Lane } from './lane.ts';
import type { Reason } from './reason.ts';

/**
 * One function for each notable event: it writes the log line and moves the counter, so that the
 * two cannot drift apart. Implemented by telemetry; parts ask for the ones they use.
 */
export interface Notes {
  gatewayStarting(facts: {
    readonly version: string;
    readonly gateway: string;
    readonly config: string;
  }): void;
  gatewayReady(facts: { readonly startMs: number }): void;
  gatewayStopping(facts: { readonly signal: string }): void;
  gatewayStopped(facts: { readonly stopMs: number }): void;

  configApplied(facts: {
    readonly revision: string;
    readonly added: number;
    readonly changed: number;
    readonly removed: number;
  }): void;
  configRejected(facts: { readonly errors: number; readonly first: string }): void;

  driverStarted(facts: { readonly plugin: string; readonly pid: number }): void;
  driverExited(facts: {
    readonly plugin: string;
    readonly cause: string;
    readonly restartInMs: number;
  }): void;
  driverHung(facts: { readonly plugin: string; readonly silentMs: number }): void;
  driverFailed(facts: { readonly plugin: string; readonly cause: string }): void;
  driverLog(facts: {
    readonly plugin: string;
    readonly level: 'debug' | 'info' | 'warn' | 'error';
    readonly message: string;
    readonly fields: object;
  }): void;
  driverMetric(facts: {
    readonly plugin: string;
    readonly name: string;
    readonly value: number;
    readonly labels?: Readonly<Record<string, string>>;
  }): void;

  linkOpened(facts: { readonly link: LinkId }): void;
  linkFailed(facts: {
    readonly link: LinkId;
    readonly reason: Reason;
    readonly message: string;
  }): void;
  deviceOnline(facts: { readonly device: DeviceId; readonly offlineMs?: number }): void;
  deviceOffline(facts: {
    readonly device: DeviceId;
    readonly reason: Reason;
    readonly message: string;
  }): void;

  readingsAccepted(facts: {
    readonly tenant: TenantId;
    readonly lane: Lane;
    readonly count: number;
  }): void;
  readingsUnchanged(facts: { readonly count: number }): void;
  readingsByQuality(facts: {
    readonly good: number;
    readonly uncertain: number;
    readonly bad: number;
  }): void;
  readingsDropped(facts: { readonly link: LinkId; readonly count: number }): void;
  readingsRefused(facts: { readonly reason: string; readonly count: number }): void;

  outboxOpened(facts: {
    readonly path: string;
    readonly pending: number;
    readonly openMs: number;
  }): void;
  outboxCommitted(facts: {
    readonly batches: number;
    readonly events: number;
    readonly bytes: number;
    readonly ms: number;
  }): void;
  outboxUnavailable(facts: { readonly cause: string }): void;
  outboxRecovered(): void;
  outboxEvicted(facts: {
    readonly tenant: TenantId;
    readonly lane: Lane;
    readonly events: number;
    readonly reason: string;
  }): void;
  outboxQuarantined(facts: {
    readonly from: string;
    readonly to: string;
    readonly cause: string;
  }): void;
  outboxParked(facts: {
    readonly consumer: string;
    readonly sequence: number;
    readonly n: number;
    readonly reason: string;
  }): void;
  checksumFailed(facts: { readonly sequence: number; readonly n: number }): void;

  uplinkConnecting(facts: { readonly tenant: TenantId; readonly url: string }): void;
  uplinkConnected(facts: {
    readonly tenant: TenantId;
    readonly url: string;
    readonly protocol: string;
    readonly downMs: number;
  }): void;
  uplinkDown(facts: {
    readonly tenant: TenantId;
    readonly code: string;
    readonly message: string;
    readonly retryInMs: number;
  }): void;
  uplinkRejected(facts: {
    readonly tenant: TenantId;
    readonly sequence: number;
    readonly reasonCode: number;
  }): void;
  published(facts: {
    readonly tenant: TenantId;
    readonly lane: Lane;
    readonly events: number;
    readonly bytes: number;
  }): void;
  acked(facts: {
    readonly tenant: TenantId;
    readonly lane: Lane;
    readonly events: number;
    readonly latencyMs?: number;
  }): void;
  commandRefused(facts: {
    readonly tenant: TenantId;
    readonly topic: string;
    readonly reason: string;
  }): void;

  conditionRaised(condition: Condition): void;
  conditionCleared(condition: Condition): void;

  moduleFailed(facts: {
    readonly module: string;
    readonly phase: string;
    readonly error: unknown;
  }): void;
  jobFailed(facts: { readonly job: string; readonly error: unknown }): void;
  partFailed(facts: { readonly part: string; readonly error: unknown }): void;
  listenerFailed(facts: { readonly event: string; readonly error: unknown }): void;
  requestServed(facts: {
    readonly method: string;
    readonly route: string;
    readonly status: number;
    readonly ms: number;
  }): void;
  summary(facts: Readonly<Record<string, number>>): void;
}
