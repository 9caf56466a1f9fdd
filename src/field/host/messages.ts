/**
 * Messages between the field (kernel process) and a driver host (child process), on file
 * descriptor 3: frames of 4 bytes length (little endian) and JSON, at most 1 MiB. Not the IPC
 * channel of child_process.fork: garbage on that one is an uncaught exception in the parent, it
 * has no size limit and no back-pressure. A frame that is too long or does not parse ends the
 * child. A bigint is written as {"$big":"123"}.
 */
import type {
  ActionOutput,
  ConfigIssue,
  DeviceConfig,
  DiscoveredDevice,
  DiscoveredPoint,
  DriverError,
  DriverHealth,
  Json,
  PointRequest,
  PointResult,
  PointWrite,
  WriteResult,
} from '#driver';

/** Priority class of a point. Alarms and bulk (backfill) are never conflated. */
export type PlanLane = 'alarm' | 'live' | 'bulk';

export type PlannedPoint = PointRequest & { readonly lane?: PlanLane };

export type ToDriver =
  | {
      readonly t: 'open';
      readonly link: string;
      /** Id of the driver within the plugin's manifest. */
      readonly driver: string;
      readonly config: Json;
      readonly devices: readonly DeviceConfig[];
      readonly deadlineMs: number;
      readonly hostApi: '1.0';
    }
  | {
      readonly t: 'reconfigure';
      readonly rev: number;
      readonly link: string;
      readonly config?: Json;
      readonly device?: DeviceConfig;
      readonly remove?: string;
    }
  /** The child polls by itself: no request per poll crosses the pipe. Replaces a plan of the same name. */
  | {
      readonly t: 'plan';
      readonly link: string;
      readonly device: string;
      readonly group: string;
      readonly everyMs: number;
      readonly offsetMs?: number;
      readonly mode: 'poll' | 'subscribe';
      readonly points: readonly PlannedPoint[];
    }
  | { readonly t: 'unplan'; readonly link: string; readonly device: string; readonly group: string }
  | {
      readonly t: 'read';
      readonly id: number;
      readonly link: string;
      readonly device: string;
      readonly points: readonly PointRequest[];
      readonly deadlineMs: number;
    }
  | {
      readonly t: 'write';
      readonly id: number;
      readonly link: string;
      readonly device: string;
      readonly write: PointWrite;
      readonly deadlineMs: number;
    }
  | { readonly t: 'discover'; readonly id: number; readonly link: string; readonly options: Json }
  | { readonly t: 'browse'; readonly id: number; readonly link: string; readonly device: string }
  | { readonly t: 'cancel'; readonly id: number }
  /** Rules only the protocol knows; opens nothing. */
  | {
      readonly t: 'validate';
      readonly id: number;
      readonly driver: string;
      readonly link: Json;
      readonly devices: readonly DeviceConfig[];
      /** More devices follow in a frame with the same id: those of a link may not fit into one. */
      readonly more?: true;
    }
  | {
      readonly t: 'action';
      readonly id: number;
      readonly link?: string;
      readonly name: string;
      readonly args: Json;
      /** End after the plan: nothing is sent on the link. */
      readonly planOnly?: true;
    }
  /** Closes one link and forgets its devices and plans. */
  | { readonly t: 'drop'; readonly link: string }
  /** Readings up to this batch are in the outbox. */
  | { readonly t: 'ack'; readonly batch: number }
  | { readonly t: 'ping'; readonly n: number }
  | { readonly t: 'close' };

export interface ReadingsGroup {
  readonly device: string;
  readonly lane: PlanLane;
  readonly results: readonly PointResult[];
}

/**
 * What a link is doing, sent with each pong. `devices` are those of which something other than
 * `lastGood` changed since the last report.
 */
export interface LinkReport {
  readonly link: string;
  readonly state: 'opening' | 'open' | 'waiting' | 'closed';
  readonly error?: DriverError;
  /** Share of the last 10 s in which the link was at work, 0 to 1. */
  readonly load: number;
  readonly polls: number;
  readonly skippedTicks: number;
  /** 95th percentile of poll start minus due time over the last 10 s. */
  readonly latenessMs: number;
  readonly devices: ReadonlyArray<{
    readonly device: string;
    readonly breaker: 'closed' | 'open' | 'probing';
    readonly failures: number;
    readonly lastGood?: number;
    readonly error?: DriverError;
  }>;
}

export type FromDriver =
  | {
      readonly t: 'hello';
      readonly api: '1.0';
      readonly driver: string;
      readonly version: string;
      readonly pid: number;
    }
  | { readonly t: 'opened'; readonly link: string }
  | { readonly t: 'open-failed'; readonly link: string; readonly error: DriverError }
  | {
      readonly t: 'reconfigured';
      readonly rev: number;
      readonly link: string;
      readonly error?: DriverError;
    }
  /**
   * At most 500 results of many devices, sent at once while fewer than 8 are unacked; beyond that
   * the newest value of each point wins, and `dropped` counts the ones that lost. The devices may
   * be on several links, so that two hundred links of one device each share frames: `link` is the
   * one of the first group, and `drops` says which links the dropped results came from.
   */
  | {
      readonly t: 'readings';
      readonly batch: number;
      readonly link: string;
      readonly groups: readonly ReadingsGroup[];
      readonly dropped: number;
      readonly drops?: ReadonlyArray<{ readonly link: string; readonly count: number }>;
    }
  | {
      readonly t: 'result';
      readonly id: number;
      readonly results?: readonly PointResult[];
      readonly write?: WriteResult;
      readonly error?: DriverError;
    }
  | {
      readonly t: 'found';
      readonly id: number;
      readonly device?: DiscoveredDevice;
      readonly point?: DiscoveredPoint;
      readonly end?: true;
      readonly error?: DriverError;
    }
  | { readonly t: 'issues'; readonly id: number; readonly issues: readonly ConfigIssue[] }
  | {
      readonly t: 'output';
      readonly id: number;
      readonly output?: ActionOutput;
      readonly end?: true;
      readonly error?: DriverError;
    }
  /** Device alarms, identity conflicts, trend backfill. Acked like readings. */
  | {
      readonly t: 'event';
      readonly batch: number;
      readonly link: string;
      readonly device: string;
      readonly lane: PlanLane;
      readonly type: string;
      readonly time: number;
      readonly data: Json;
    }
  | {
      readonly t: 'pong';
      readonly n: number;
      readonly health: DriverHealth;
      readonly links: readonly LinkReport[];
      readonly loopLagMs: number;
      readonly rssBytes: number;
    }
  | {
      readonly t: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly fields: object;
      readonly msg: string;
    }
  | {
      readonly t: 'metric';
      readonly name: string;
      readonly value: number;
      readonly labels?: Readonly<Record<string, string>>;
    }
  | { readonly t: 'lost'; readonly link: string; readonly error: DriverError }
  /** The state of these links or of their devices changed; sent without waiting for a ping. */
  | { readonly t: 'report'; readonly links: readonly LinkReport[] };
