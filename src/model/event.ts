import type { GatewayId, TenantId } from './ids.ts';
import type { Lane } from './lane.ts';

/** Types of event of wire contract riser/1. The type carries the major version of its data. */
export type EventType =
  /** Many readings, see ReadingsData. */
  | 'riser.readings.v1'
  /** A range of sequences that will never come, see GapData. */
  | 'riser.gap.v1'
  /** The offset of the clock of one boot, see ClockData. */
  | 'riser.clock.v1'
  /** A condition was raised or cleared. */
  | 'riser.condition.v1'
  /** A configuration was applied. */
  | 'riser.config.v1'
  /** Readings were conflated because the outbox did not keep up; see DroppedData. */
  | 'riser.dropped.v1'
  /** Something a device told by itself. */
  | 'riser.device.v1';

/** Which lane an event of the gateway travels in; readings travel in the lane of their point. */
export const laneOfType: Readonly<
  Record<Exclude<EventType, 'riser.readings.v1' | 'riser.gap.v1'>, Lane>
> = {
  'riser.clock.v1': 'alarm',
  'riser.condition.v1': 'alarm',
  'riser.config.v1': 'alarm',
  'riser.dropped.v1': 'live',
  'riser.device.v1': 'alarm',
};

/** URN of the JSON Schema of the data; carries the minor version. */
export const dataSchemaOfType: Readonly<Record<EventType, string>> = {
  'riser.readings.v1': 'urn:riser:readings:1.0',
  'riser.gap.v1': 'urn:riser:gap:1.0',
  'riser.clock.v1': 'urn:riser:clock:1.0',
  'riser.condition.v1': 'urn:riser:condition:1.0',
  'riser.config.v1': 'urn:riser:config:1.0',
  'riser.dropped.v1': 'urn:riser:dropped:1.0',
  'riser.device.v1': 'urn:riser:device:1.0',
};

/** `[index into points, milliseconds after t0, value, reason]`; the reason is left out when good. */
export type WireReading =
  | readonly [number, number, number | boolean | string]
  | readonly [number, number, number | boolean | string | null, string];

export interface ReadingsData {
  readonly n: number;
  /** Milliseconds since 1970 of the first reading. */
  readonly t0: number;
  readonly points: readonly string[];
  readonly r: readonly WireReading[];
}

export interface GapData {
  /** How many sequences are lost, beginning with the sequence of this event. */
  readonly n: number;
  readonly first: string;
  readonly last: string;
  readonly reason: 'quota' | 'age' | 'dead-letter' | 'corrupt';
  /** For a person. */
  readonly text: string;
}

export interface ClockData {
  readonly bootid: string;
  /** Add to every `time` of this boot with clocksynced false, milliseconds. */
  readonly offsetMs: number;
}

/** Name of a stream on the wire: the `source` of its events. */
export function streamSource(gateway: GatewayId, tenant: TenantId, lane: Lane): string {
  return `//${gateway}/${tenant}/${lane}`;
}

/** Sequences are compared as text on the wire, so they are padded to this many digits. */
export const sequenceDigits = 16;

/** A sequence as it travels. */
export function sequenceText(sequence: number): string {
  return String(sequence).padStart(sequenceDigits, '0');
}
