import type { DeviceId, PointId, TenantId } from './ids.ts';
import type { Lane } from './lane.ts';

/** What kind of value a point has; decides its lane and what the record does with it. */
export type PointClass = 'measurement' | 'counter' | 'state' | 'alarm' | 'setpoint' | 'info';

export const pointClasses: readonly PointClass[] = [
  'measurement',
  'counter',
  'state',
  'alarm',
  'setpoint',
  'info',
];

/** Plain data that only a plugin understands. */
export type Opaque =
  | null
  | boolean
  | number
  | string
  | readonly Opaque[]
  | { readonly [key: string]: Opaque };

/** When a reading is worth telling. With neither abs nor pct every reading is told. */
export interface Deadband {
  /** Smallest change, in the unit of the point. */
  readonly abs?: number;
  /** Smallest change, in percent of the last told value. */
  readonly pct?: number;
  /** Not more often than this, except for a change of quality. */
  readonly minIntervalMs?: number;
  /** At least this often, even without a change. */
  readonly maxIntervalMs?: number;
}

/** What is believed of a counter. */
export interface CounterRule {
  /** A fall is withheld until it is confirmed. */
  readonly decrease?: 'suspect' | 'accept';
  /** Zero after something else is withheld until it is confirmed. */
  readonly zeroAfterNonZero?: 'suspect' | 'accept';
  /** Readings that must agree before a suspect value is believed. */
  readonly confirm?: number;
  /** Falls of less than this share of the value are ignored, in percent. */
  readonly tolerancePct?: number;
  /** First value that the counter cannot show: 65536 for 16 bits. A fall past it is a rollover. */
  readonly rollover?: number;
  /** A daily counter falls to zero each night, and that is believed at once. */
  readonly resets?: 'daily';
}

/** One addressable value of a device, with what the record does to it. */
export interface Point {
  readonly id: PointId;
  /** Id within the device, from the profile: `ac.l1.voltage`. */
  readonly name: string;
  readonly device: DeviceId;
  readonly tenant: TenantId;
  readonly title?: string;
  readonly class: PointClass;
  /** UCUM. */
  readonly unit?: string;
  readonly lane: Lane;
  /** Poll group; a point without one is read on demand only. */
  readonly group?: string;
  /** The protocol's part, for the driver. */
  readonly address: Opaque;
  /** value = raw × scale + offset, in this order. */
  readonly scale?: number;
  readonly offset?: number;
  /** Closed interval of believable values, after scaling. */
  readonly range?: readonly [number, number];
  readonly deadband?: Deadband;
  readonly counter?: CounterRule;
}
