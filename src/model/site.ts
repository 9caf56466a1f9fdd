import type { Device, Link } from './device.ts';
import type { GatewayId, TenantId } from './ids.ts';
import type { Tenant } from './tenant.ts';

/** A secret by reference: never its text in a file of the configuration. */
export type SecretRef =
  | { readonly credential: string }
  | { readonly file: string }
  | { readonly env: string };

/** The daemon's scalar settings, after file, conf.d, environment and flags. */
export interface Settings {
  readonly gateway: {
    readonly id: GatewayId;
    readonly title: string;
    /** Tenant that the gateway's own events belong to. */
    readonly tenant: TenantId;
  };
  readonly paths: {
    /** State that must survive: outbox.db. */
    readonly state: string;
    /** Sockets. */
    readonly runtime: string;
    readonly plugins: string;
  };
  readonly outbox: {
    readonly maxBytes: number;
    /** Bytes of acked batches that are kept for replay. */
    readonly retainBytes: number;
    /** Hours that acked batches are kept for replay, in running time. */
    readonly retainHours: number;
    /** Hours after which unacked batches are given up, in running time. */
    readonly maxAgeHours: number;
    readonly lingerLiveMs: number;
    readonly lingerBulkMs: number;
  };
  readonly uplink: {
    /** mqtt://, mqtts://; empty: no upstream; "embedded": the broker inside. */
    readonly url: string;
    readonly username: string;
    readonly password: SecretRef | null;
    readonly protocol: 'auto' | 'mqtt5' | 'mqtt3.1.1';
    readonly ack: 'auto' | 'broker' | 'cloud';
    /** Batches in flight. */
    readonly window: number;
    readonly keepaliveS: number;
    /** Seconds between retained last values; 0: none. */
    readonly lastValuesS: number;
    readonly tls: {
      /** PEM file of the authority; empty: the system's. */
      readonly ca: string;
      readonly certificate: string;
      readonly key: SecretRef | null;
      /** Name to verify instead of the host of the URL. */
      readonly serverName: string;
    };
  };
  readonly broker: {
    /** Whether the embedded broker runs (loopback only). */
    readonly enabled: boolean;
    /** 0: any free port. */
    readonly port: number;
  };
  readonly http: {
    /** Loopback port of /livez, /readyz, /metrics, /status.txt; 0: any free port; -1: off. */
    readonly port: number;
  };
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
  readonly driver: {
    /** Heap limit of a driver process. */
    readonly heapMb: number;
    readonly isolation: 'process' | 'inline';
  };
}

/** Everything that a configuration says, checked and assembled. */
export interface Site {
  readonly settings: Settings;
  readonly tenants: readonly Tenant[];
  readonly links: readonly Link[];
  readonly devices: readonly Device[];
  /** SHA-256 over the meaning of the configuration; equal when nothing changed. */
  readonly revision: string;
}

/** One thing that is wrong in a configuration file. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Stable, such as E1203; docs/reference/config-codes.md lists them. */
  readonly code: string;
  readonly file: string;
  /** From 1; 0 when the whole file is meant. */
  readonly line: number;
  readonly column: number;
  /** JSON pointer within the document. */
  readonly pointer: string;
  readonly message: string;
  readonly hint?: string;
  /** The line of the file, for the caret. */
  readonly excerpt?: string;
}

/** What changes between two sites, object by object. */
export interface SiteDiff {
  readonly links: ObjectDiff<Link>;
  readonly devices: ObjectDiff<Device>;
  readonly tenants: ObjectDiff<Tenant>;
  /** Names of settings that changed, such as `uplink.url`. */
  readonly settings: readonly string[];
  readonly empty: boolean;
}

export interface ObjectDiff<Item> {
  readonly added: readonly Item[];
  readonly changed: readonly Item[];
  readonly removed: readonly Item[];
}
