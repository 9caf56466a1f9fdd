import type { DeviceId, LinkId, TenantId } from './ids.ts';
import type { Opaque, Point } from './point.ts';

/** Points of a device that are polled at one cadence. */
export interface PollGroup {
  readonly name: string;
  readonly intervalMs: number;
  readonly offsetMs?: number;
}

/** One shared medium with one conversation at a time: a TCP endpoint, a serial line. */
export interface Link {
  readonly id: LinkId;
  readonly title?: string;
  /** Id of the driver that speaks on it: `modbus-tcp`. */
  readonly driver: string;
  /** The protocol's part: host, port, time-outs. */
  readonly config: Opaque;
}

export interface ProfileRef {
  readonly id: string;
  readonly version: string;
  /** SHA-256 of the profile's content, hexadecimal; changes when any point changes. */
  readonly hash: string;
}

/** One addressed thing on a link. */
export interface Device {
  readonly id: DeviceId;
  /** Tenant of the device's points, unless a point says otherwise. */
  readonly tenant: TenantId;
  readonly link: LinkId;
  readonly title?: string;
  readonly profile?: ProfileRef;
  /** The instance's part of the address: unit id. */
  readonly address: Opaque;
  /** The protocol's part of the profile: limits, holes, link timing. Not read by the kernel. */
  readonly profileOptions: { readonly [key: string]: Opaque };
  readonly groups: readonly PollGroup[];
  readonly points: readonly Point[];
}
