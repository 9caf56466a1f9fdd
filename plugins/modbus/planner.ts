import { holdsBits, type Table, tables } from './address.ts';

/** What the planner needs to know of a point. */
export interface Readable {
  readonly table: Table;
  readonly address: number;
  readonly count: number;
  /** Never in one request with others. */
  readonly readAlone: boolean;
  /** Points with the same name come from one request. */
  readonly readGroup?: string;
}

/** One request: a stretch of one table with the points in it, ordered by address. */
export interface Block<P> {
  readonly table: Table;
  readonly address: number;
  readonly count: number;
  readonly points: readonly P[];
}

/** What one request may be, and what it costs. */
export interface PlanRules {
  readonly maxRegisters: number;
  readonly maxBits: number;
  /** Most registers read in vain between two points; 16 times as many bits. */
  readonly maxGap: number;
  /** Cost of one request in ms. */
  cost(table: Table, count: number): number;
  /** Whether some of these addresses must never be read. */
  isHole(table: Table, from: number, to: number): boolean;
  /** Whether no request may reach from below this address to it or beyond. */
  isCut(table: Table, address: number): boolean;
}

/** Points that stay in one request: one point, a read group, or points inside another point. */
interface Unit<P> {
  from: number;
  to: number;
  readonly points: P[];
  readonly alone: boolean;
}

/**
 * The cheapest set of requests for these points; none is split. Costs O(n × points per request).
 *
 * Among stretches none of which contains another, some cheapest partition keeps their order, so
 * that a dynamic programme over cuts finds the optimum.
 */
export function plan<P extends Readable>(points: readonly P[], rules: PlanRules): Block<P>[] {
  return tables.flatMap((table) => {
    const here = points.filter((point) => point.table === table);
    const units = unitsOf(here, mostOf(table, rules));
    const alone = units.filter((unit) => unit.alone);
    const shared = absorb(units.filter((unit) => !unit.alone));
    return [...alone.map((unit) => blockOf(table, [unit])), ...cheapest(table, shared, rules)].sort(
      (a, b) => a.address - b.address,
    );
  });
}

/** Halves a block between two of its units; undefined if it is a single one. */
export function halve<P extends Readable>(
  block: Block<P>,
): readonly [Block<P>, Block<P>] | undefined {
  const units = absorb(unitsOf(block.points, Number.POSITIVE_INFINITY));
  if (units.length < 2) return undefined;
  const middle = Math.ceil(units.length / 2);
  return [blockOf(block.table, units.slice(0, middle)), blockOf(block.table, units.slice(middle))];
}

function mostOf(table: Table, rules: PlanRules): number {
  return holdsBits(table) ? rules.maxBits : rules.maxRegisters;
}

function unitsOf<P extends Readable>(points: readonly P[], most: number): Unit<P>[] {
  const units: Unit<P>[] = [];
  const groups = new Map<string, P[]>();
  for (const point of points) {
    if (point.readGroup === undefined || point.readAlone) units.push(unitOf([point]));
    else groups.set(point.readGroup, [...(groups.get(point.readGroup) ?? []), point]);
  }
  for (const members of groups.values()) {
    const unit = unitOf(members);
    // A group that fits no request is refused by validation; if it comes here, values still count.
    if (unit.to - unit.from <= most) units.push(unit);
    else units.push(...members.map((point) => unitOf([point])));
  }
  return units;
}

function unitOf<P extends Readable>(points: P[]): Unit<P> {
  const from = Math.min(...points.map((point) => point.address));
  const to = Math.max(...points.map((point) => point.address + point.count));
  return { from, to, points, alone: points.some((point) => point.readAlone) };
}

/** Sorts, and puts each unit that lies inside another one into it: it comes for nothing. */
function absorb<P extends Readable>(units: readonly Unit<P>[]): Unit<P>[] {
  const kept: Unit<P>[] = [];
  for (const unit of units.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
    const last = kept.at(-1);
    if (last !== undefined && unit.to <= last.to) last.points.push(...unit.points);
    else kept.push({ ...unit, points: [...unit.points] });
  }
  return kept;
}

function cheapest<P extends Readable>(
  table: Table,
  units: readonly Unit<P>[],
  rules: PlanRules,
): Block<P>[] {
  const most = mostOf(table, rules);
  const maxGap = holdsBits(table) ? rules.maxGap * 16 : rules.maxGap;
  const best: number[] = [0];
  const start: number[] = [0];
  for (const [first, head] of units.entries()) {
    for (let last = first; last < units.length; last++) {
      const unit = units[last] as Unit<P>;
      if (last > first) {
        const before = (units[last - 1] as Unit<P>).to;
        if (unit.to - head.from > most) break;
        if (unit.from - before > maxGap || rules.isCut(table, unit.from)) break;
        if (unit.from > before && rules.isHole(table, before, unit.from - 1)) break;
      }
      const cost = (best[first] as number) + rules.cost(table, unit.to - head.from);
      if (cost < (best[last + 1] ?? Number.POSITIVE_INFINITY)) {
        best[last + 1] = cost;
        start[last + 1] = first;
      }
    }
  }
  const blocks: Block<P>[] = [];
  for (let end = units.length; end > 0; end = start[end] as number) {
    blocks.push(blockOf(table, units.slice(start[end] as number, end)));
  }
  return blocks;
}

function blockOf<P extends Readable>(table: Table, units: readonly Unit<P>[]): Block<P> {
  const from = Math.min(...units.map((unit) => unit.from));
  const to = Math.max(...units.map((unit) => unit.to));
  const points = units
    .flatMap((unit) => unit.points)
    .sort((a, b) => a.address - b.address || a.count - b.count);
  return { table, address: from, count: to - from, points };
}
