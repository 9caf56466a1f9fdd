/**
 * Driver API 1.0: what a protocol driver plugin implements. Types only, no runtime: everything
 * that crosses this border can be written as JSON (bigint excepted, see frames), so that a driver
 * runs the same way inline (tests) and in its own process.
 */
import type { Reason } from '../model/reason.ts';

export type { Reason } from '../model/reason.ts';

export type DriverApiVersion = '1.0';

/** manifest.json beside the plugin. Read without running any plugin code. */
export interface DriverManifest {
  readonly apiVersion: '1';
  /** One package can have several drivers. All drivers of a package share one process. */
  readonly drivers: ReadonlyArray<DriverDescription>;
  readonly actions?: ReadonlyArray<ActionManifest>;
  readonly permissions: {
    readonly network?: ReadonlyArray<'tcp-client' | 'udp-client' | 'udp-broadcast' | 'tcp-server'>;
    readonly serial?: boolean;
    /** A Node-API addon is in use (serialport); without it the process runs with addons forbidden. */
    readonly nativeAddons?: boolean;
    /** Folders outside the program that it may read, such as those of certificates. */
    readonly files?: ReadonlyArray<string>;
  };
}

export interface DriverDescription {
  /** "modbus-tcp": the value of `driver` in a link document. */
  readonly id: string;
  /** Module with a default export of type DriverFactory, relative to the manifest. */
  readonly module: string;
  readonly displayName: string;
  /** JSON Schema files, relative to the manifest. */
  readonly linkConfigSchema: string;
  readonly deviceConfigSchema: string;
  readonly pointAddressSchema: string;
  /** Value of `kind` in the profiles that this driver understands. */
  readonly profileKinds: ReadonlyArray<string>;
  readonly capabilities: ReadonlyArray<Capability>;
  /** How many reads may be open on one link. 1 for RS-485. */
  readonly maxConcurrencyPerLink: number;
}

export type Capability = 'discover' | 'read' | 'subscribe' | 'write' | 'browse' | 'action';

/** Declared in the manifest, offered by CLI, API and page without knowing the protocol. */
export interface ActionManifest {
  /** "scan", "identify", "doctor": the second word of `riser modbus scan`. */
  readonly name: string;
  readonly help: string;
  /** JSON Schema file of the arguments; CLI flags and form fields come from it. */
  readonly argumentsSchema: string;
  readonly effect: 'read-only' | 'writing';
  /** Whether polling on the link pauses while it runs. */
  readonly link: 'shared' | 'exclusive' | 'none';
  readonly columns: ReadonlyArray<{
    readonly key: string;
    readonly title: string;
    readonly unit?: string;
  }>;
}

/** What a running action streams: a plan with its cost first, then progress and rows. */
export type ActionOutput =
  | { readonly kind: 'plan'; readonly text: string; readonly seconds: number }
  | { readonly kind: 'progress'; readonly done: number; readonly total: number }
  | { readonly kind: 'row'; readonly row: { readonly [key: string]: Json } }
  | { readonly kind: 'note'; readonly level: 'info' | 'warning'; readonly text: string };

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** One factory call per link (a serial line, a TCP endpoint, a BACnet network). */
export type DriverFactory = (host: DriverHost) => Driver;

/** What the host gives to a driver. A driver uses nothing else of the gateway. */
export interface DriverHost {
  readonly linkId: string;
  readonly apiVersion: string;
  readonly log: DriverLog;
  /** Milliseconds since 1970, for timestamps of readings only. Tests replace it. */
  now(): number;
  /** Milliseconds of a clock that never jumps, for order and waiting. */
  monotonic(): number;
  /** Timers that the host ends on close() and that tests can step. */
  setTimeout(fn: () => void, ms: number): Disposable;
  setInterval(fn: () => void, ms: number): Disposable;
  /** Counters (name ends in _total) and gauges, at most 100 series; the host prefixes driver_<id>_. */
  metric(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  /** The link is lost for good: the host closes, waits (back-off) and connects again. */
  connectionLost(reason: DriverError): void;
}

export interface DriverLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface Driver {
  /**
   * Opens the link. Must reject with a DriverError within the signal's deadline, leaving nothing
   * open. Called again after close(); connect/close/connect must work 1000 times without a leak.
   */
  connect(config: Json, signal: AbortSignal): Promise<void>;

  /** Never rejects, done within 2 s, can be called at any time and twice. Open calls reject with 'closed'. */
  close(): Promise<void>;

  /** Checked before use and on hot reload: may only look, never touch the link. */
  validateDevice(device: DeviceConfig): ReadonlyArray<ConfigIssue>;

  /**
   * Rules that only the protocol knows and that need the whole link: overlapping addresses,
   * a duplicate unit, the load of the line. May only look.
   */
  validateLink?(link: Json, devices: ReadonlyArray<DeviceConfig>): ReadonlyArray<ConfigIssue>;

  /** Devices are added and removed while the link is open; no restart. Idempotent by device.id. */
  addDevice(device: DeviceConfig, signal: AbortSignal): Promise<void>;
  removeDevice(deviceId: string): Promise<void>;
  /** 'applied', or 'reopen' if the host has to close and connect the link. */
  reconfigure(
    change: { readonly link?: Json; readonly device?: DeviceConfig },
    signal: AbortSignal,
  ): Promise<'applied' | 'reopen'>;

  /**
   * Reads points of ONE device. The driver plans the requests (register ranges,
   * ReadPropertyMultiple). Resolves with exactly one result for each request, in any order: a
   * point that fails is a result with `error`, not a rejection. Rejects with a DriverError only
   * when the whole device did not answer. Obeys the signal: after an abort no frame is sent, and
   * it settles within 500 ms.
   */
  read(
    deviceId: string,
    points: ReadonlyArray<PointRequest>,
    signal: AbortSignal,
  ): Promise<ReadonlyArray<PointResult>>;

  /** COV or report subscription. The driver renews the lease; after `onEnd` the host falls back to polling. */
  subscribe?(
    deviceId: string,
    points: ReadonlyArray<PointRequest & { readonly deadband?: number }>,
    sink: {
      readings(batch: ReadonlyArray<PointResult>): void;
      onEnd(reason: DriverError): void;
    },
    signal: AbortSignal,
  ): Promise<Subscription>;

  /** One write, verified by reading back when `verify`. Never retried by the driver itself. */
  write?(deviceId: string, write: PointWrite, signal: AbortSignal): Promise<WriteResult>;

  /** Streams what is found; ends by itself or by the signal. Must be read-only on the link. */
  discover?(options: DiscoverOptions, signal: AbortSignal): AsyncIterable<DiscoveredDevice>;
  /** Points of a device (BACnet object list, SunSpec models). */
  browse?(deviceId: string, signal: AbortSignal): AsyncIterable<DiscoveredPoint>;

  /** Runs one action of the manifest; obeys the link's queue and the signal. */
  action?(name: string, args: Json, signal: AbortSignal): AsyncIterable<ActionOutput>;

  /** Cheap, no traffic on the link. */
  health(): DriverHealth;
}

/**
 * A device as its driver sees it. `address` is the instance's part ({unit: 3}); `options` is the
 * protocol's part of the profile, passed through by the kernel unread, plus the points with the
 * interval at which each is polled (0 = only on demand), for validation and planning.
 */
export interface DeviceConfig {
  readonly id: string;
  readonly address: Json;
  readonly options: DeviceOptions;
}

export interface DeviceOptions {
  /** `link`, `limits`, `holes`, `defaults`, `probe` … of the profile, as they stand there. */
  readonly profile: { readonly [key: string]: Json };
  readonly points: ReadonlyArray<PointRequest & { readonly everyMs: number }>;
}

export interface ConfigIssue {
  /**
   * Where: "/link/timeoutMs", "/devices/<device id>/address/unit" or
   * "/devices/<device id>/points/<point id>/addr"; validateDevice leaves out "/devices/<device id>".
   */
  readonly path: string;
  readonly message: string;
  /** Error unless said otherwise. */
  readonly severity?: 'error' | 'warning';
  /** Stable, upper case, such as POINTS_OVERLAP or LINK_OVERLOADED. */
  readonly code?: string;
}

export interface PointRequest {
  /** Id within the device: the point id of the profile. */
  readonly pointId: string;
  /** The protocol's keys of the point, profile defaults merged in. Valid against pointAddressSchema. */
  readonly address: Json;
}

export type PointValue = number | boolean | string | bigint;
export type Quality = 'good' | 'uncertain' | 'bad';

export interface PointResult {
  readonly pointId: string;
  /** Milliseconds since 1970 at acquisition; device time if the protocol has it. */
  readonly time: number;
  /** Left out when the quality is bad. */
  readonly value?: PointValue;
  readonly quality: Quality;
  /** Present unless the quality is good; `kind` becomes the reading's reason. */
  readonly error?: DriverError;
}

export interface PointWrite {
  readonly pointId: string;
  readonly address: Json;
  /** null relinquishes (BACnet). */
  readonly value: PointValue | null;
  readonly priority?: number;
  readonly verify: boolean;
  readonly commandId: string;
}

export interface WriteResult {
  readonly outcome: 'done' | 'not-verified' | 'refused' | 'unknown';
  readonly readBack?: PointValue;
  readonly detail?: string;
}

export interface Subscription extends AsyncDisposable {
  readonly leaseSeconds: number;
}

export interface DiscoverOptions {
  readonly limits: { readonly maxDevices: number; readonly maxRequestsPerSecond: number };
  readonly hints: Json;
}
export interface DiscoveredDevice {
  readonly key: string;
  readonly name: string;
  readonly address: Json;
  readonly vendor?: string;
  readonly model?: string;
}
export interface DiscoveredPoint {
  readonly address: Json;
  readonly name: string;
  readonly kind: 'number' | 'boolean' | 'enum' | 'text';
  readonly unit?: string;
  readonly writable: boolean;
}

export interface DriverHealth {
  readonly status: 'ok' | 'degraded' | 'down';
  readonly detail?: string;
  readonly devices?: Readonly<
    Record<string, { readonly lastGood?: number; readonly consecutiveFailures: number }>
  >;
}

/**
 * Why something failed: a plain object, because it crosses processes. `kind` decides what the host
 * does: `timeout`, `no-path` and `bad-response` count for the device's breaker; `link-down` and
 * `closed` belong to the link; the others are answers of the device and count for nothing.
 */
export interface DriverError {
  readonly kind: Reason;
  readonly message: string;
  /** The protocol's own code, such as "exception 2". */
  readonly code?: string;
  readonly retryAfterMs?: number;
}
