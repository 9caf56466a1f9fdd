import type { DeviceId, LinkId } from './ids.ts';
import type { Opaque } from './point.ts';
import type { Reading } from './reading.ts';
import type { Reason } from './reason.ts';

/** One result as a driver gave it, before the record has scaled and judged it. */
export interface RawResult {
  /** Name of the point within its device. */
  readonly pointId: string;
  readonly time: number;
  readonly value?: number | boolean | string | bigint;
  readonly quality: 'good' | 'uncertain' | 'bad';
  readonly error?: { readonly kind: Reason; readonly message: string; readonly code?: string };
}

export interface RawGroup {
  readonly device: DeviceId;
  readonly results: readonly RawResult[];
}

/** What the field hands to the record. */
export interface RecordSink {
  /** Resolves when everything worth telling is committed. Rejects when nothing was accepted: try again. */
  accept(groups: readonly RawGroup[]): Promise<void>;
  /** Readings that were conflated in a driver process because the outbox did not keep up. */
  dropped(link: LinkId, count: number): void;
  /** Something a device told by itself; resolves when committed. */
  deviceEvent(device: DeviceId, type: string, time: number, data: Opaque): Promise<void>;
}

/** Newest reading of a point, told or not. */
export interface LatestValue extends Reading {
  readonly unit?: string;
  /** Milliseconds since it was read, by the monotonic clock. */
  readonly ageMs: number;
  /** True when it is older than three intervals of its group. */
  readonly stale: boolean;
}

export type DeviceState = 'unknown' | 'online' | 'degraded' | 'offline';

export interface DeviceStatus {
  readonly device: DeviceId;
  readonly link: LinkId;
  readonly driver: string;
  readonly state: DeviceState;
  /** For a person: what is wrong. */
  readonly detail?: string;
  readonly reason?: Reason;
  readonly points: number;
  readonly lastGoodAgeMs?: number;
}

export interface LinkStatus {
  readonly link: LinkId;
  readonly driver: string;
  readonly state: 'opening' | 'open' | 'waiting' | 'closed' | 'driver-down';
  readonly detail?: string;
  /** Share of time the link is at work, 0 to 1. */
  readonly load: number;
  readonly skippedTicks: number;
  readonly latenessMs: number;
}

export interface DriverProcessStatus {
  readonly plugin: string;
  readonly state: 'stopped' | 'starting' | 'running' | 'backoff' | 'failed' | 'stopping';
  readonly pid?: number;
  readonly restarts: number;
  readonly rssBytes?: number;
  readonly detail?: string;
}
