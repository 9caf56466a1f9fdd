import type { DeviceConfig, DriverError, PointRequest, PointResult } from '#driver';
import { Breaker, type BreakerLimits } from './breaker.ts';
import { countsForBreaker } from './driver-error.ts';
import type { PlanLane } from './messages.ts';

/** What a link knows of one of its devices. */
export class DeviceLane {
  readonly id: string;
  readonly breaker: Breaker;
  config: DeviceConfig;
  /** Whether the open driver has taken the device over. */
  added = false;
  /** Reads in a row that did not settle. */
  hung = 0;
  /** Ends what is being asked of the device. */
  stop: AbortController | undefined;
  /** Lanes of points that are not live. */
  readonly #lanes = new Map<string, PlanLane>();

  constructor(config: DeviceConfig, limits: BreakerLimits) {
    this.id = config.id;
    this.config = config;
    this.breaker = new Breaker(limits);
  }

  setLane(pointId: string, lane: PlanLane | undefined): void {
    if (lane === undefined || lane === 'live') this.#lanes.delete(pointId);
    else this.#lanes.set(pointId, lane);
  }

  /** Hands results on, lane by lane. */
  sort(
    results: readonly PointResult[],
    take: (lane: PlanLane, results: readonly PointResult[]) => void,
  ): void {
    if (this.#lanes.size === 0) {
      take('live', results);
      return;
    }
    const sorted: Record<PlanLane, PointResult[]> = { alarm: [], live: [], bulk: [] };
    for (const result of results) {
      sorted[this.#lanes.get(result.pointId) ?? 'live'].push(result);
    }
    for (const lane of ['alarm', 'live', 'bulk'] as const) {
      if (sorted[lane].length > 0) take(lane, sorted[lane]);
    }
  }
}

/** What a read tells about its device. */
export type Verdict =
  | { readonly of: 'answer' }
  | { readonly of: 'silence'; readonly error: DriverError }
  /** Nothing: the link or the driver failed. */
  | { readonly of: 'nothing'; readonly error: DriverError };

/** A device is silent when all of its results say so; a single value or refusal is an answer. */
export function judge(results: readonly PointResult[]): Verdict {
  let silence: DriverError | undefined;
  let nothing: DriverError | undefined;
  for (const { quality, error } of results) {
    if (quality !== 'bad' || error === undefined) return { of: 'answer' };
    if (countsForBreaker(error.kind)) silence ??= error;
    else if (isOfLink(error)) nothing ??= error;
    else return { of: 'answer' };
  }
  if (silence !== undefined) return { of: 'silence', error: silence };
  return nothing === undefined ? { of: 'answer' } : { of: 'nothing', error: nothing };
}

/** What a rejected read tells about its device. */
export function judgeRejection(error: DriverError): Verdict {
  if (countsForBreaker(error.kind)) return { of: 'silence', error };
  return isOfLink(error) ? { of: 'nothing', error } : { of: 'answer' };
}

const isOfLink = ({ kind }: DriverError) =>
  kind === 'link-down' || kind === 'closed' || kind === 'internal';

/** Each point once. */
export function distinct(groups: Iterable<readonly PointRequest[]>): PointRequest[] {
  const points = new Map<string, PointRequest>();
  for (const group of groups) for (const point of group) points.set(point.pointId, point);
  return [...points.values()];
}
