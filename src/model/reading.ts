import type { DeviceId, PointId, TenantId } from './ids.ts';
import type { Lane } from './lane.ts';
import type { Reason } from './reason.ts';

/** A 64-bit integer beyond 2^53 travels as its decimal digits in a string. */
export type Value = number | boolean | string;

export type Quality = 'good' | 'uncertain' | 'bad';

/** A value of one point at one time. A bad reading has null, never an invented zero. */
export interface Reading {
  readonly point: PointId;
  readonly device: DeviceId;
  readonly tenant: TenantId;
  readonly lane: Lane;
  /** Acquisition, milliseconds since 1970. */
  readonly time: number;
  readonly value: Value | null;
  readonly quality: Quality;
  /** Present unless the quality is good. */
  readonly reason?: Reason;
}
