import type { Driver, DriverError, PointRequest, PointResult } from '#driver';
import type { Clock } from '../../model/clock.ts';
import { boundedCall } from './bounded-call.ts';
import { type DeviceLane, judge, judgeRejection, type Verdict } from './device-lane.ts';
import { asDriverError } from './driver-error.ts';
import type { LinkLimits } from './limits.ts';
import { allBad, settleResults } from './results.ts';

/** One result for each point that was asked for, and what that says about the device. */
export interface Read {
  readonly results: readonly PointResult[];
  readonly verdict: Verdict;
}

export interface DeviceReaderOptions {
  readonly driver: Driver;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  /** The driver broke its promise to end reads so often that only a new start of the link can help. */
  readonly stuck: (error: DriverError) => void;
}

/** Asks a driver for points and gets an honest answer in bounded time, whatever the driver does. */
export class DeviceReader {
  readonly #options: DeviceReaderOptions;

  constructor(options: DeviceReaderOptions) {
    this.#options = options;
  }

  /** Never rejects. At most one read of a device may be open. */
  async read(
    lane: DeviceLane,
    points: readonly PointRequest[],
    deadlineMs: number,
    outer?: AbortSignal,
  ): Promise<Read> {
    const { clock, limits, driver } = this.#options;
    const stop = new AbortController();
    lane.stop = stop;
    const forward = () => stop.abort(outer?.reason);
    outer?.addEventListener('abort', forward, { once: true });
    const called = await boundedCall(
      clock,
      deadlineMs,
      limits.graceMs,
      (signal) => driver.read(lane.id, points, signal),
      stop.signal,
    );
    outer?.removeEventListener('abort', forward);
    if (lane.stop === stop) lane.stop = undefined;
    if (called.outcome === 'hung') return this.#hung(lane, points, deadlineMs, stop.signal.aborted);
    lane.hung = 0;
    if (called.outcome === 'done') {
      const results = settleResults(points, called.result, clock.wall());
      return { results, verdict: judge(results) };
    }
    const told = asDriverError(called.error, stop.signal.aborted ? 'closed' : 'internal');
    // A driver that stops because its time is over may call that closed, or an abort: it is a timeout.
    const error: DriverError = called.late ? { ...told, kind: 'timeout' } : told;
    return { results: allBad(points, clock.wall(), error), verdict: judgeRejection(error) };
  }

  #hung(lane: DeviceLane, points: readonly PointRequest[], ms: number, stopped: boolean): Read {
    const { clock, limits, stuck } = this.#options;
    const error: DriverError = {
      kind: stopped ? 'closed' : 'timeout',
      message: `the driver did not end a read of ${lane.id} that was to take ${ms} ms at most`,
    };
    lane.hung += 1;
    if (lane.hung >= limits.reopenAfter) {
      lane.hung = 0;
      stuck(error);
    }
    return { results: allBad(points, clock.wall(), error), verdict: judgeRejection(error) };
  }
}
