import type { PlannedPoint } from './messages.ts';

/** Due times are multiples of this many milliseconds, so that one timer serves many groups. */
const gridMs = 10;

/** Points of one device that are polled together. */
export interface PlannedGroup {
  readonly device: string;
  readonly name: string;
  readonly everyMs: number;
  /** Its ticks are at this many milliseconds after a multiple of its interval. */
  readonly phaseMs: number;
  readonly points: readonly PlannedPoint[];
  /** Monotonic time of its next tick. */
  dueAt: number;
  /** Idle: nothing to do; waiting: due, but not begun; reading: on its way. */
  state: 'idle' | 'waiting' | 'reading';
  /** Monotonic time of the tick that is being served. */
  servedTick: number;
}

/** What a group is planned as. */
export interface GroupToPlan {
  readonly device: string;
  readonly name: string;
  readonly everyMs: number;
  /** Replaces the phase that is derived from the id of the device. */
  readonly offsetMs?: number;
  readonly points: readonly PlannedPoint[];
}

/**
 * When which group of a link is due: a fixed cadence by the monotonic clock, without drift.
 *
 * The phase comes from the id of the device. So the groups of one device meet in one read where
 * their intervals are multiples of each other, those of different devices are spread over the
 * whole interval, and a restart changes nothing. Only the first tick comes sooner, within
 * `firstWithinMs`: a technician wants to see values, not to wait a quarter of an hour.
 */
export class PollPlan {
  readonly #groups = new Map<string, Map<string, PlannedGroup>>();
  readonly #firstWithinMs: number;
  /** Binary heap by dueAt. */
  #heap: PlannedGroup[] = [];
  /** Whether the heap has to be built again. */
  #changed = false;

  constructor(firstWithinMs: number) {
    this.#firstWithinMs = firstWithinMs;
  }

  /** Adds a group or replaces the one of the same name. */
  set(group: GroupToPlan, now: number): void {
    const everyMs = Math.max(gridMs, group.everyMs);
    const phaseMs = group.offsetMs ?? slot(group.device, everyMs);
    let groups = this.#groups.get(group.device);
    if (groups === undefined) {
      groups = new Map();
      this.#groups.set(group.device, groups);
    }
    groups.set(group.name, {
      device: group.device,
      name: group.name,
      everyMs,
      phaseMs,
      points: group.points,
      dueAt: firstTick({ everyMs, phaseMs }, now, this.#firstWithinMs),
      state: 'idle',
      servedTick: now,
    });
    this.#changed = true;
  }

  remove(device: string, name: string): void {
    const groups = this.#groups.get(device);
    if (groups?.delete(name) !== true) return;
    if (groups.size === 0) this.#groups.delete(device);
    this.#changed = true;
  }

  removeDevice(device: string): void {
    this.#changed = this.#groups.delete(device) || this.#changed;
  }

  /** Groups of a device, in the order in which they were planned. */
  groupsOf(device: string): Iterable<PlannedGroup> {
    return this.#groups.get(device)?.values() ?? [];
  }

  /** Makes all groups of a device due at once: it is back. */
  hurry(device: string, now: number): void {
    for (const group of this.groupsOf(device)) group.dueAt = now;
    this.#changed = true;
  }

  /** Begins anew, as if the groups of a device had just been planned: it can be read from now on. */
  restart(device: string, now: number): void {
    for (const group of this.groupsOf(device))
      group.dueAt = firstTick(group, now, this.#firstWithinMs);
    this.#changed = true;
  }

  /** Monotonic time of the next tick; infinite without groups. */
  nextDueAt(): number {
    this.#settle();
    return this.#heap[0]?.dueAt ?? Number.POSITIVE_INFINITY;
  }

  /**
   * Calls back for every group whose tick has come, and sets its next one. `missed` counts ticks
   * that passed before this one without being seen, because the process did not run.
   */
  takeDue(now: number, take: (group: PlannedGroup, tick: number, missed: number) => void): void {
    this.#settle();
    for (;;) {
      const group = this.#heap[0];
      if (group === undefined || group.dueAt > now) return;
      const missed = Math.floor((now - group.dueAt) / group.everyMs);
      const tick = group.dueAt + missed * group.everyMs;
      group.dueAt = nextTick(group, tick);
      this.#sink(0);
      take(group, tick, missed);
    }
  }

  #settle(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.#heap = [...this.#groups.values()].flatMap((groups) => [...groups.values()]);
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at -= 1) this.#sink(at);
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const group = heap[start];
    if (group === undefined) return;
    let at = start;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      const right = heap[down + 1];
      if (child !== undefined && right !== undefined && right.dueAt < child.dueAt) {
        down += 1;
        child = right;
      }
      if (child === undefined || child.dueAt >= group.dueAt) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = group;
  }
}

function firstTick(
  { everyMs, phaseMs }: { readonly everyMs: number; readonly phaseMs: number },
  now: number,
  withinMs: number,
): number {
  return now + (phaseMs % Math.max(1, Math.min(everyMs, withinMs)));
}

/** The first tick of the group's phase that is later than another one. */
function nextTick({ everyMs, phaseMs }: PlannedGroup, tick: number): number {
  const next = Math.floor((tick - phaseMs) / everyMs + 1) * everyMs + phaseMs;
  // Monotonic time has fractions: without the grain a tick could be found again by rounding.
  return next - tick < gridMs / 2 ? next + everyMs : next;
}

function slot(device: string, everyMs: number): number {
  return (hash(device) * gridMs) % (Math.floor(everyMs / gridMs) * gridMs);
}

/** FNV-1a with a final mix: ids that differ in the last digit must spread as well. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}
