import type { ExecutionContext } from 'ava';
import type {
  DeviceConfig,
  DriverDescription,
  DriverFactory,
  DriverManifest,
  Json,
  PointRequest,
  PointValue,
  PointWrite,
} from '#driver';
import type { ContractPeer } from './tcp-peer.ts';

/** What the kit has to know of a protocol; an author writes one for a driver. */
export interface DriverBench {
  /** Folder of the plugin: its manifest is read and its sources are looked through. */
  readonly folder: string;
  /** Id of the driver in the manifest. */
  readonly driver: string;
  /** Device number `n` from 0 to 5 with points that can be read; each has an address of its own. */
  device(n: number): DeviceConfig;
  /** What a point of it reads, as long as the peer raises its numbers by `salt`. */
  expected(n: number, pointId: string, salt: number): PointValue;
  /** Points that device 0 does not have. */
  readonly badPoints: readonly PointRequest[];
  /** A config of a link that leads nowhere, such as a port at which nobody listens. */
  nowhere(t: ExecutionContext): Promise<Json>;
  /** For a driver that asks devices: starts what answers. Answer timeouts of at most 200 ms. */
  startPeer?(t: ExecutionContext): Promise<ContractPeer>;
  /** For a driver that asks nobody: the config of a link that works. */
  readonly link?: Json;
  /** Points of device 0 with values that are easily lost: NaN, infinity, beyond 2^53, -0. */
  readonly oddPoints?: ReadonlyArray<{
    readonly request: PointRequest;
    /** `flagged`: there is no honest value, so the quality must not be good. */
    readonly expected: PointValue | 'flagged';
  }>;
  /** For a driver with the capability "write": a write to device 0 that its peer takes. */
  readonly write?: {
    readonly write: PointWrite;
    /** One that its peer confirms and does not take, for protocols that can read back. */
    readonly ignored?: PointWrite;
    /** Whether a request at the peer is a write, and not the reading back. */
    isWrite(request: Buffer): boolean;
  };
}

/** What the rules work with. */
export interface Kit {
  readonly name: string;
  readonly factory: DriverFactory;
  readonly bench: DriverBench;
  readonly description: DriverDescription;
  /** Whether it asks devices, by the permissions that its manifest wants. */
  readonly asks: boolean;
}

/** One promise of the contract. */
export interface Rule {
  /** C1 to C20, as in docs/guides/write-a-driver.md. */
  readonly id: string;
  /** Completes the sentence "The driver …". */
  readonly title: string;
  /** Whether it concerns a driver; all if left out. */
  readonly concerns?: (kit: Kit) => boolean;
  readonly run: (t: ExecutionContext, kit: Kit) => Promise<void>;
}

/** Whether a driver asks devices: then what they answer wrongly concerns it. */
export const asksDevices = ({ asks }: Kit): boolean => asks;

/** Whether the plugin may use a client port or a serial line. */
export function mayAsk({ permissions }: DriverManifest): boolean {
  const { network = [], serial = false } = permissions;
  return serial || network.some((kind) => kind !== 'tcp-server');
}
