import type { DriverError, PointRequest, PointResult } from '#driver';
import type { Clock } from '../../model/clock.ts';
import { ProbeBudget } from './breaker.ts';
import { type DeviceLane, distinct, type Verdict } from './device-lane.ts';
import type { DeviceReader } from './device-reader.ts';
import { countsForBreaker } from './driver-error.ts';
import type { LinkLimits } from './limits.ts';
import { type Errand, LinkQueue } from './link-queue.ts';
import { LinkStats } from './link-stats.ts';
import { type GroupToPlan, type PlannedGroup, PollPlan } from './poll-plan.ts';
import { allBad } from './results.ts';

export interface LinkPollerOptions {
  readonly concurrency: number;
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly reader: DeviceReader;
  /** The devices of the link, kept by its owner. */
  readonly devices: ReadonlyMap<string, DeviceLane>;
  /** Tells the driver of a device; undefined when it was taken over. */
  readonly addDevice: (lane: DeviceLane) => Promise<DriverError | undefined>;
  /** Results of polls. */
  readonly tell: (lane: DeviceLane, results: readonly PointResult[]) => void;
  /** Reads have said several times in a row that the link is down. */
  readonly linkFails: (error: DriverError) => void;
  /** The breaker of a device opened or closed. */
  readonly changed: () => void;
}

/** So much probing time may be saved up, in milliseconds. */
const probeSavingsMs = 2_000;

/** Asks the devices of an open link by their plan, and keeps those that do not answer apart. */
export class LinkPoller {
  readonly #options: LinkPollerOptions;
  readonly #queue: LinkQueue;
  readonly #plan: PollPlan;
  readonly #stats = new LinkStats();
  readonly #budget: ProbeBudget;
  /** Those whose breaker is not closed. */
  readonly #silent = new Set<DeviceLane>();
  /** Those of them that wait to be probed, or are being probed. */
  readonly #probed = new Set<DeviceLane>();
  #open = false;
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #polls = 0;
  #skippedTicks = 0;
  #linkFaults = 0;

  constructor(options: LinkPollerOptions) {
    this.#options = options;
    const { clock, limits, concurrency } = options;
    this.#plan = new PollPlan(limits.firstWithinMs);
    this.#budget = new ProbeBudget(limits.probeShare, probeSavingsMs, clock.monotonic());
    this.#queue = new LinkQueue({
      concurrency,
      poll: (device) => this.#poll(device),
      busy: (busy) => this.#stats.busy(busy, clock.monotonic()),
    });
  }

  /** The link is open. Devices are polled once they are begun. */
  resume(): void {
    this.#open = true;
    this.#linkFaults = 0;
    for (const { breaker } of this.#silent) breaker.probeSoon(this.#now());
    this.#queue.resume();
    this.#arm();
  }

  /** The link is not open: what waits is given up. */
  pause(): void {
    this.#open = false;
    this.#disarm();
    this.#queue.pause();
    this.#probed.clear();
    for (const device of this.#options.devices.keys()) this.#rest(device);
  }

  /** Polls a device that its driver has just taken over. */
  begin(lane: DeviceLane): void {
    this.#plan.restart(lane.id, this.#now());
    this.#arm();
  }

  plan(group: GroupToPlan): void {
    this.#plan.set(group, this.#now());
    this.#arm();
  }

  unplan(device: string, group: string): void {
    this.#plan.remove(device, group);
  }

  /** Forgets a device. */
  forget(lane: DeviceLane): void {
    this.#plan.removeDevice(lane.id);
    this.#queue.withdraw(lane.id);
    this.#silent.delete(lane);
    this.#probed.delete(lane);
  }

  /** Reads past the plan and past the breaker. Undefined when too much waits; never rejects. */
  readNow(
    lane: DeviceLane,
    points: readonly PointRequest[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<readonly PointResult[] | undefined> {
    return new Promise((resolve) => {
      const taken = this.#queue.add({
        kind: 'read',
        device: lane.id,
        run: async () => {
          const read = await this.#options.reader.read(lane, points, deadlineMs, signal);
          if (this.#options.devices.get(lane.id) === lane) this.#learn(lane, read.verdict);
          resolve(read.results);
        },
        refuse: () => resolve(undefined),
      });
      if (!taken) resolve(undefined);
    });
  }

  /** Puts an errand into the queue. False when too much waits. */
  run(errand: Errand): boolean {
    return this.#open && this.#queue.add(errand);
  }

  /** Points of a device that are polled, each once. */
  pointsOf(lane: DeviceLane): PointRequest[] {
    return distinct([...this.#plan.groupsOf(lane.id)].map((group) => group.points));
  }

  /** The driver cannot use a device at all: it is treated like one that does not answer. */
  trip(lane: DeviceLane, error: DriverError): void {
    this.#silence(lane, () => lane.breaker.trip(error, this.#now()));
  }

  /** A device is believed to answer, and polled at once. */
  recover(lane: DeviceLane): void {
    lane.breaker.answered();
    this.#silent.delete(lane);
    this.#probed.delete(lane);
    this.#plan.hurry(lane.id, this.#now());
    this.#options.changed();
    this.#arm();
  }

  report(): { load: number; polls: number; skippedTicks: number; latenessMs: number } {
    const now = this.#now();
    return {
      load: this.#stats.load(now),
      polls: this.#polls,
      skippedTicks: this.#skippedTicks,
      latenessMs: this.#stats.latenessP95(now),
    };
  }

  /** Sets the timer to the next tick of the plan or the next probe. */
  #arm(): void {
    if (!this.#open) return;
    const now = this.#now();
    const probe = this.#nextProbe();
    const probeAt =
      probe === undefined
        ? Number.POSITIVE_INFINITY
        : Math.max(probe.breaker.probeAt, now + this.#probeWait(now));
    const at = Math.min(this.#plan.nextDueAt(), probeAt);
    if (at === this.#timerAt) return;
    this.#disarm();
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timerAt = at;
    this.#timer = this.#options.clock.setTimeout(
      () => this.#tick(),
      Math.max(0, Math.ceil(at - now)),
    );
  }

  #disarm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #tick(): void {
    this.#disarm();
    if (!this.#open) return;
    const now = this.#now();
    const due = new Set<string>();
    this.#plan.takeDue(now, (group, tick, missed) => {
      this.#skippedTicks += missed;
      if (this.#due(group, tick)) due.add(group.device);
    });
    // Only now, so that all groups of a device that are due go into one read.
    for (const device of due) this.#queue.offer(device);
    const probe = this.#nextProbe();
    if (probe !== undefined && probe.breaker.probeAt <= now && this.#probeWait(now) === 0) {
      this.#probed.add(probe);
      this.#queue.offer(probe.id);
    }
    this.#arm();
  }

  #due(group: PlannedGroup, tick: number): boolean {
    const lane = this.#options.devices.get(group.device);
    // A device that is known not to answer has no ticks, and so skips none.
    if (lane === undefined || !lane.added || lane.breaker.state !== 'closed') return false;
    if (group.state !== 'idle') {
      this.#skippedTicks += 1;
      return false;
    }
    group.state = 'waiting';
    group.servedTick = tick;
    return true;
  }

  /** The silent device that has waited longest for its probe; none while enough are being probed. */
  #nextProbe(): DeviceLane | undefined {
    const allowed = this.#allSilent ? this.#options.concurrency : 1;
    if (this.#probed.size >= allowed) return undefined;
    let next: DeviceLane | undefined;
    for (const lane of this.#silent) {
      if (this.#probed.has(lane)) continue;
      if (next === undefined || lane.breaker.probeAt < next.breaker.probeAt) next = lane;
    }
    return next;
  }

  /** Then probing may use the whole link: there is nobody whom it could hold up. */
  get #allSilent(): boolean {
    return this.#silent.size === this.#options.devices.size;
  }

  #probeWait(now: number): number {
    return this.#allSilent ? 0 : this.#budget.waitMs(now);
  }

  async #poll(device: string): Promise<void> {
    const lane = this.#options.devices.get(device);
    if (lane === undefined || !this.#open) return;
    if (lane.breaker.state !== 'closed') {
      await this.#probe(lane);
      return;
    }
    const { reader, limits, devices, tell } = this.#options;
    const groups = this.#takeWaiting(lane);
    const points = distinct(groups.map((group) => group.points));
    if (points.length > 0) {
      const everyMs = Math.min(...groups.map((group) => group.everyMs));
      const deadlineMs = Math.min(Math.max(everyMs, limits.readMinMs), limits.readMaxMs);
      const { results, verdict } = await reader.read(lane, points, deadlineMs);
      this.#polls += groups.length;
      // Removed meanwhile: nobody knows its points. Link closed meanwhile: that has been told.
      const stillWanted = this.#open && devices.get(device) === lane;
      if (stillWanted && !this.#learn(lane, verdict)) tell(lane, results);
    }
    for (const group of groups) group.state = 'idle';
  }

  /** Groups of a device that are due, which are read together. */
  #takeWaiting(lane: DeviceLane): PlannedGroup[] {
    const now = this.#now();
    const groups: PlannedGroup[] = [];
    for (const group of this.#plan.groupsOf(lane.id)) {
      if (group.state !== 'waiting') continue;
      group.state = 'reading';
      groups.push(group);
      this.#stats.late(now - group.servedTick, now);
    }
    return groups;
  }

  /** Asks for one point of a silent device. */
  async #probe(lane: DeviceLane): Promise<void> {
    const start = this.#now();
    lane.breaker.probe();
    await this.#ask(lane);
    const now = this.#now();
    // A probe that is answered was worth its time.
    if (lane.breaker.state !== 'closed') this.#budget.spent(now - start, now);
    lane.breaker.probeAgain(now);
    this.#probed.delete(lane);
    this.#arm();
  }

  async #ask(lane: DeviceLane): Promise<void> {
    const { reader, limits, devices, addDevice } = this.#options;
    if (!lane.added && (await addDevice(lane)) !== undefined) return;
    const [point] = this.pointsOf(lane);
    if (point === undefined) {
      this.recover(lane);
      return;
    }
    const { verdict } = await reader.read(lane, [point], limits.readMinMs);
    if (this.#open && devices.get(lane.id) === lane) this.#learn(lane, verdict);
  }

  /** Draws the consequences of a read. True when the points of the device have been told already. */
  #learn(lane: DeviceLane, verdict: Verdict): boolean {
    if (verdict.of === 'nothing') {
      if (verdict.error.kind !== 'link-down') return false;
      this.#linkFaults += 1;
      if (this.#linkFaults >= this.#options.limits.reopenAfter) {
        this.#options.linkFails(verdict.error);
      }
      return false;
    }
    this.#linkFaults = 0;
    if (verdict.of === 'silence') {
      return this.#silence(lane, () => lane.breaker.failed(verdict.error, this.#now()));
    }
    if (lane.breaker.state === 'closed') lane.breaker.answered();
    else this.recover(lane);
    return false;
  }

  /** A device did not answer. True when its breaker is open, and its points have been told. */
  #silence(lane: DeviceLane, count: () => void): boolean {
    const wasClosed = lane.breaker.state === 'closed';
    count();
    if (lane.breaker.state === 'closed') return false;
    if (wasClosed) {
      this.#silent.add(lane);
      this.#queue.withdraw(lane.id);
      this.#rest(lane.id);
      this.#options.changed();
    }
    // Once when it falls silent and then at each probe: whoever looks must see that it still is.
    this.#options.tell(lane, allBad(this.pointsOf(lane), this.#options.clock.wall(), silent(lane)));
    this.#arm();
    return true;
  }

  #rest(device: string): void {
    for (const group of this.#plan.groupsOf(device)) {
      if (group.state === 'waiting') group.state = 'idle';
    }
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }
}

/** Why the points of a device whose breaker is open are bad. */
export function silent({ breaker }: DeviceLane): DriverError {
  const { error } = breaker;
  if (error === undefined) return { kind: 'offline', message: 'the device does not answer' };
  return countsForBreaker(error.kind) ? { ...error, kind: 'offline' } : error;
}
