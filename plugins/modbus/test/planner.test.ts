import test from 'ava';
import { type Block, halve, type PlanRules, plan, type Readable } from '../planner.ts';

interface Point extends Readable {
  readonly id: string;
}

const rules: PlanRules = {
  maxRegisters: 125,
  maxBits: 2000,
  maxGap: 16,
  cost: (_table, count) => 10 + count * 0.01,
  isHole: () => false,
  isCut: () => false,
};

function point(address: number, count = 1, more: Partial<Point> = {}): Point {
  return { id: `p${address}`, table: 'holding', address, count, readAlone: false, ...more };
}

function stretches(blocks: readonly Block<Point>[]): string[] {
  return blocks.map(({ table, address, count }) => `${table} ${address}+${count}`);
}

function costOf(blocks: readonly Block<Point>[], { cost }: PlanRules): number {
  return blocks.reduce((sum, { table, count }) => sum + cost(table, count), 0);
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('neighbours share a request and a wide gap parts them', (t) => {
  const points = [point(0, 2), point(2, 2), point(20, 2), point(60)];
  t.deepEqual(stretches(plan(points, rules)), ['holding 0+22', 'holding 60+1']);
  t.deepEqual(stretches(plan(points, { ...rules, maxGap: 0 })), [
    'holding 0+4',
    'holding 20+2',
    'holding 60+1',
  ]);
});

test('the tables are never mixed and bits have their own limits', (t) => {
  const points = [
    point(0, 1, { table: 'coil' }),
    point(200, 1, { table: 'coil' }),
    point(500, 1, { table: 'discrete' }),
    point(0, 2),
    point(0, 2, { table: 'input' }),
  ];
  t.deepEqual(stretches(plan(points, rules)), [
    'coil 0+201',
    'discrete 500+1',
    'holding 0+2',
    'input 0+2',
  ]);
});

test('no point is split at the limit of a request', (t) => {
  const points = Array.from({ length: 100 }, (_, index) => point(index * 2, 2));
  for (const most of [2, 3, 5, 79, 80, 125]) {
    const blocks = plan(points, { ...rules, maxRegisters: most });
    t.is(blocks.flatMap(({ points }) => points).length, 100);
    for (const block of blocks) {
      t.true(block.count <= most);
      for (const { address, count } of block.points) {
        t.true(address >= block.address && address + count <= block.address + block.count);
      }
    }
  }
});

test('a point alone, a group together, a hole and a cut are kept', (t) => {
  t.deepEqual(stretches(plan([point(0), point(1, 1, { readAlone: true }), point(2)], rules)), [
    'holding 0+3',
    'holding 1+1',
  ]);
  const group = { readGroup: 'clock' };
  t.deepEqual(
    stretches(plan([point(0, 1, group), point(90, 1, group), point(40)], { ...rules, maxGap: 0 })),
    ['holding 0+91'],
  );
  const hole = { ...rules, isHole: (_: string, from: number, to: number) => from <= 5 && to >= 5 };
  t.deepEqual(stretches(plan([point(4), point(6)], hole)), ['holding 4+1', 'holding 6+1']);
  const cut = { ...rules, isCut: (_: string, address: number) => address === 6 };
  t.deepEqual(stretches(plan([point(4), point(6), point(7)], cut)), ['holding 4+1', 'holding 6+2']);
});

/** All ways to put things into heaps. */
function* partitions<T>(things: readonly T[]): Generator<T[][]> {
  const [first, ...rest] = things;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const heaps of partitions(rest)) {
    yield [[first], ...heaps];
    for (const [index, heap] of heaps.entries()) yield heaps.with(index, [first, ...heap]);
  }
}

/** All ways to cut a row. */
function* cuts<T>(row: readonly T[]): Generator<T[][]> {
  for (let pattern = 0; pattern < 2 ** (row.length - 1); pattern++) {
    const heaps: T[][] = [[row[0] as T]];
    for (let index = 1; index < row.length; index++) {
      if ((pattern >> (index - 1)) & 1) heaps.push([]);
      heaps.at(-1)!.push(row[index] as T);
    }
    yield heaps;
  }
}

function cheapestOf(ways: Iterable<Point[][]>, limits: PlanRules): number {
  let best = Number.POSITIVE_INFINITY;
  for (const heaps of ways) {
    let cost = 0;
    for (const heap of heaps) {
      const from = Math.min(...heap.map(({ address }) => address));
      const to = Math.max(...heap.map(({ address, count }) => address + count));
      cost +=
        to - from > limits.maxRegisters
          ? Number.POSITIVE_INFINITY
          : limits.cost('holding', to - from);
    }
    best = Math.min(best, cost);
  }
  return best;
}

test('no other set of requests is cheaper than the plan', (t) => {
  const next = random(2026);
  for (let round = 0; round < 260; round++) {
    const many = round % 2 === 0;
    const n = many ? 2 + Math.floor(next() * 11) : 2 + Math.floor(next() * 6);
    let address = 0;
    const points = Array.from({ length: n }, () => {
      address += many ? 1 + Math.floor(next() * 30) : 0;
      const start = many ? address : Math.floor(next() * 90);
      const count = many ? 1 : 1 + Math.floor(next() * 8);
      return point(start, count);
    });
    const perRegister = next() * 2;
    const limits: PlanRules = {
      ...rules,
      maxGap: 1000,
      maxRegisters: 8 + Math.floor(next() * 100),
      cost: (_table, count) => 10 + perRegister * count,
    };
    const ways = many ? cuts(points) : partitions(points);
    const best = cheapestOf(ways, limits);
    t.true(Math.abs(costOf(plan(points, limits), limits) - best) < 1e-6, `round ${round}`);
  }
});

test('5000 points are planned without delay to other work', (t) => {
  const points = Array.from({ length: 5000 }, (_, index) => point(index * 3, 2));
  const blocks = plan(points, rules);
  t.is(blocks.flatMap((block) => block.points).length, 5000);
  t.is(blocks.length, Math.ceil(5000 / 42));
});

test('a block is halved between points and never inside one', (t) => {
  const [block] = plan([point(0, 2), point(2, 4), point(3, 1), point(6, 1), point(7, 1)], rules);
  const halves = halve(block!)!;
  t.deepEqual(stretches(halves), ['holding 0+6', 'holding 6+2']);
  t.is(
    halve({ table: 'holding', address: 2, count: 4, points: [point(2, 4), point(3)] }),
    undefined,
  );
});
