import { type BreakerLimits, breakerLimits } from './breaker.ts';

/** The times by which a link is run. Tests shorten them. */
export interface LinkLimits {
  readonly breaker: BreakerLimits;
  /** Time that opening the link may take. */
  readonly openMs: number;
  /** Waits before a link is opened again, doubling between the two. */
  readonly reopenMinMs: number;
  readonly reopenMaxMs: number;
  /** A link that was open for less than this has not proved anything: its back-off goes on. */
  readonly stableMs: number;
  /**
   * A poll may take as long as the shortest interval of its groups, but no less than the first and
   * no more than the second. The floor, because the host does not know how patient a driver has to
   * be with its device: a slow device that needs 4 s for a group of 1 s must be read late, with
   * ticks skipped, and not be cut off each time and taken for dead.
   */
  readonly readMinMs: number;
  readonly readMaxMs: number;
  /** A read that has not settled this long after its deadline is charged to the driver. */
  readonly graceMs: number;
  /** So many of those, or of reads refused because the link is down, in a row: the link is opened anew. */
  readonly reopenAfter: number;
  /** Time that addDevice, removeDevice and reconfigure may take. */
  readonly changeMs: number;
  /** Time that close() of a driver may take. */
  readonly closeMs: number;
  /** First polls of a link are spread over this time. */
  readonly firstWithinMs: number;
  /** Share of a link's time that probes of dead devices may use while others are alive. */
  readonly probeShare: number;
}

export const linkLimits: LinkLimits = {
  breaker: breakerLimits,
  openMs: 15_000,
  reopenMinMs: 1_000,
  reopenMaxMs: 60_000,
  stableMs: 10_000,
  readMinMs: 10_000,
  readMaxMs: 30_000,
  graceMs: 1_000,
  reopenAfter: 3,
  changeMs: 10_000,
  closeMs: 3_000,
  firstWithinMs: 5_000,
  probeShare: 0.05,
};
