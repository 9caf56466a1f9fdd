import test from 'ava';
import { IntervalSet } from '../../../tools/receiver/interval-set.ts';
import { Receiver, type ReceiverState, type Watermark } from '../../../tools/receiver/receiver.ts';

const topic = 'riser/1/acme/gw-1/live';

function event(first: number, n: number, options: { epoch?: string; gap?: boolean } = {}): string {
  const { epoch = 'e1', gap = false } = options;
  return JSON.stringify({
    specversion: '1.0',
    id: `${epoch}.${first}`,
    source: '//gw-1/acme/live',
    type: gap ? 'riser.gap.v1' : 'riser.readings.v1',
    time: '2026-11-20T09:41:00.120Z',
    dataschema: 'urn:riser:readings:1.0',
    tenantid: 'acme',
    sequence: String(first).padStart(16, '0'),
    data: { n },
  });
}

const stateTopic = 'riser/1/acme/gw-1/state';

function state(oldest: number, next: number, epoch = 'e1'): string {
  const live = { epoch, next, acked: next - 1, oldest };
  return JSON.stringify({ state: 'online', since: 1, boot: 'b', version: '0', streams: { live } });
}

function receiver(
  options: { state?: ReceiverState; ackEveryEvents?: number; maxRanges?: number } = {},
) {
  const stored: [number, number][] = [];
  const acks: Watermark[] = [];
  const replays: object[] = [];
  const log: string[] = [];
  let now = 0;
  let fail = false;
  const { state, ...rest } = options;
  const made = new Receiver(
    {
      store: (_event, fresh) => {
        if (fail) throw new Error('disk full');
        log.push('store');
        for (const [from, to] of fresh) stored.push([from, to]);
      },
      save: () => void log.push('save'),
      acknowledge: (mark) => {
        log.push('ack');
        acks.push(mark);
      },
      replay: (stream, range) => void replays.push({ ...stream, ...range }),
      now: () => now,
      ...rest,
    },
    state,
  );
  return {
    made,
    stored,
    acks,
    replays,
    log,
    pass: (ms: number) => {
      now += ms;
    },
    failing: (yes: boolean) => {
      fail = yes;
    },
  };
}

test('events in order are stored once and acknowledged after they are saved', async (t) => {
  const { made, acks, log } = receiver();
  await made.accept(topic, event(1, 3));
  await made.accept(topic, event(4, 2));
  await made.accept(topic, event(1, 3));
  await made.tick();

  t.deepEqual(log, ['store', 'store', 'save', 'ack']);
  t.like(acks[0], { tenant: 'acme', gateway: 'gw-1', lane: 'live', epoch: 'e1', sequence: 5 });
  t.like(made.counters(), { received: 5, duplicates: 3, outOfOrder: 0, gaps: 0 });
});

test('a repeat is acknowledged again, because the first ack was lost', async (t) => {
  const { made, acks } = receiver();
  await made.accept(topic, event(1, 1));
  await made.tick();
  await made.tick();
  t.is(acks.length, 1);
  await made.accept(topic, event(1, 1));
  await made.tick();
  t.is(acks.length, 2);
});

test('the watermark never passes a hole, and what fills it late is counted', async (t) => {
  const { made, acks } = receiver();
  await made.accept(topic, event(1, 2));
  await made.accept(topic, event(6, 2));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 2);
  t.is(made.counters().gaps, 1);

  await made.accept(topic, event(3, 3));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 7);
  t.like(made.counters(), { received: 7, outOfOrder: 3, gaps: 0 });
});

test('a gap event closes its range and counts as lost', async (t) => {
  const { made } = receiver();
  await made.accept(topic, event(1, 1));
  await made.accept(topic, event(2, 5_000_000, { gap: true }));
  await made.accept(topic, event(5_000_002, 1));
  t.is(made.watermarks()[0]?.sequence, 5_000_002);
  t.like(made.counters(), { received: 2, lost: 5_000_000, gaps: 0 });
});

test('a gap is asked for after 30 seconds, not before, and again after as long', async (t) => {
  const { made, replays, pass } = receiver();
  await made.accept(topic, event(1, 1));
  await made.accept(topic, event(11, 1));
  pass(29_000);
  await made.tick();
  t.is(replays.length, 0);
  pass(2_000);
  await made.tick();
  await made.tick();
  t.deepEqual(replays, [
    { tenant: 'acme', gateway: 'gw-1', lane: 'live', epoch: 'e1', from: 2, to: 10 },
  ]);
});

test('each epoch has a watermark of its own', async (t) => {
  const { made } = receiver();
  await made.accept(topic, event(1, 9));
  await made.accept(topic, event(1, 2, { epoch: 'e2' }));
  await made.accept(topic, event(10, 1));
  t.deepEqual(
    made.watermarks().map(({ epoch, sequence }) => [epoch, sequence]),
    [
      ['e2', 2],
      ['e1', 10],
    ],
  );
});

test('what could not be stored was not received, and is taken when it comes again', async (t) => {
  const { made, failing, stored, acks } = receiver();
  failing(true);
  await t.throwsAsync(made.accept(topic, event(1, 2)), { message: 'disk full' });
  await made.tick();
  t.deepEqual(
    acks.map(({ sequence }) => sequence),
    [0],
    'nothing of it is stored, and the gateway is told so',
  );
  failing(false);
  await made.accept(topic, event(1, 2));
  t.deepEqual(stored, [[1, 2]]);
  t.like(made.counters(), { received: 2, duplicates: 0 });
});

test('it goes on from its state as if it had not been away', async (t) => {
  const first = receiver();
  await first.made.accept(topic, event(1, 5));
  await first.made.accept(topic, event(8, 1));
  const second = receiver({ state: structuredClone(first.made.state()) });
  await second.made.accept(topic, event(1, 5));
  await second.made.accept(topic, event(6, 2));
  t.deepEqual(second.stored, [[6, 7]]);
  t.is(second.made.watermarks()[0]?.sequence, 8);
});

test('only a thousandth event acknowledges without waiting for the tick', async (t) => {
  const { made, acks } = receiver({ ackEveryEvents: 10 });
  for (let first = 1; first <= 25; first += 1) await made.accept(topic, event(first, 1));
  t.deepEqual(
    acks.map(({ sequence }) => sequence),
    [10, 20],
  );
});

test('more holes than it can remember are refused, not forgotten', async (t) => {
  const { made, stored } = receiver({ maxRanges: 3 });
  for (const first of [10, 20, 30, 40]) await made.accept(topic, event(first, 1));
  t.is(stored.length, 3);
  t.is(made.counters().overflowed, 1);
});

test('what is no event of the contract is counted and changes nothing', async (t) => {
  const { made } = receiver();
  for (const [where, payload] of [
    [topic, '{'],
    [topic, 'null'],
    ['riser/1/other/gw-1/live', event(1, 1)],
    ['riser/1/acme/gw-2/live', event(1, 1)],
    [`${topic}/ack`, event(1, 1)],
    [topic, event(0, 1)],
    [topic, event(1, 0)],
    [topic, event(1, 2_000_000)],
    [topic, event(1, 1).replace('"id":"e1.1"', '"id":"e1.2"')],
    [topic, event(1, 1).replace('"tenantid":"acme"', '"tenantid":"other"')],
    [topic, event(1, 1).replace('//gw-1/acme/live', '//gw-1/acme/bulk')],
  ] as const) {
    await made.accept(where, payload);
  }
  t.like(made.counters(), { invalid: 11, received: 0 });
  t.deepEqual(made.watermarks(), []);
});

test('an interval set agrees with a set of numbers, whatever is added', (t) => {
  let x = 7;
  const next = (below: number) => {
    x = (x * 48_271) % 2_147_483_647;
    return x % below;
  };
  for (let round = 0; round < 200; round += 1) {
    const intervals = new IntervalSet(1_000);
    const numbers = new Set<number>();
    for (let step = 0; step < 30; step += 1) {
      const from = 1 + next(100);
      const to = from + next(12);
      const missing = intervals.missing([from, to]).flatMap(([a, b]) => range(a, b));
      t.deepEqual(
        missing,
        range(from, to).filter((number) => !numbers.has(number)),
      );
      intervals.add([from, to]);
      for (const number of range(from, to)) numbers.add(number);
    }
    t.deepEqual(
      intervals.intervals.flatMap(([a, b]) => range(a, b)),
      [...numbers].sort((a, b) => a - b),
    );
  }
});

test('a receiver that comes late says that it has nothing, and has all when the log holds all', async (t) => {
  const { made, acks, pass } = receiver();
  await made.acceptState(stateTopic, state(1, 50_001));
  await made.tick();
  t.like(acks, [{ lane: 'live', epoch: 'e1', sequence: 0 }]);
  await made.accept(topic, event(50_001, 1));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 0);

  pass(60_000);
  await made.accept(topic, event(1, 50_000));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 50_001);
  t.like(made.counters(), { received: 50_001, gone: 0, lost: 0, gaps: 0 });
});

test('without a state it says that it has nothing as soon as something comes that is not the first', async (t) => {
  const { made, acks } = receiver();
  await made.accept(topic, event(50_001, 1));
  await made.tick();
  t.deepEqual(
    acks.map(({ sequence }) => sequence),
    [0],
  );
});

test('what the log does not hold any more is gone, counted once, and what lies beyond is kept', async (t) => {
  const { made, acks, pass } = receiver();
  await made.accept(topic, event(1, 10));
  await made.accept(topic, event(21, 10));
  await made.accept(topic, event(41, 10));
  await made.acceptState(stateTopic, state(36, 51));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 10);
  pass(6_000);
  await made.tick();
  await made.acceptState(stateTopic, state(36, 51));
  await made.tick();
  t.is(acks.at(-1)?.sequence, 35);
  t.like(made.counters(), { received: 30, gone: 15, lost: 0, gaps: 1 });

  const again = receiver({ state: structuredClone(made.state()) });
  await again.made.accept(topic, event(36, 5));
  t.like(again.made.counters(), { received: 35, gone: 15, gaps: 0 });
  t.is(again.made.watermarks()[0]?.sequence, 50);
});

test('what is gone from the log but still on its way is stored', async (t) => {
  const { made, pass } = receiver();
  await made.acceptState(stateTopic, state(31, 41));
  for (const first of [1, 11, 21]) {
    pass(4_000);
    await made.tick();
    await made.accept(topic, event(first, 10));
  }
  await made.accept(topic, event(31, 10));
  pass(6_000);
  await made.tick();
  t.like(made.counters(), { received: 40, gone: 0 });
});

test('a state says nothing of another epoch', async (t) => {
  const { made, pass } = receiver();
  await made.accept(topic, event(11, 10));
  await made.acceptState(stateTopic, state(5, 9, 'e2'));
  pass(6_000);
  await made.tick();
  t.deepEqual(
    made.watermarks().map(({ epoch, sequence }) => [epoch, sequence]),
    [
      ['e1', 0],
      ['e2', 4],
    ],
  );
});

test('an earlier epoch of which the log holds something is asked for, before the newest', async (t) => {
  const { made, acks, pass } = receiver();
  const said = JSON.parse(state(5, 9, 'e2'));
  said.streams.live.earlier = [{ epoch: 'e1', next: 31, oldest: 1 }];
  await made.acceptState(stateTopic, JSON.stringify(said));
  pass(6_000);
  await made.tick();
  t.deepEqual(
    acks.map(({ epoch, sequence }) => [epoch, sequence]),
    [
      ['e1', 0],
      ['e2', 4],
    ],
  );
  t.like(made.counters(), { gone: 4, gaps: 0 });
});

test('a fresh receiver on a fresh gateway has nothing gone', async (t) => {
  const { made, pass } = receiver();
  await made.acceptState(stateTopic, state(1, 1));
  pass(60_000);
  await made.tick();
  await made.accept(topic, event(1, 3));
  t.like(made.counters(), { received: 3, gone: 0, gaps: 0 });
});

test('what is no state of the contract is counted and moves nothing', async (t) => {
  const { made, pass } = receiver();
  await made.accept(topic, event(5, 1));
  for (const [where, payload] of [
    [stateTopic, '{'],
    [stateTopic, '[]'],
    [stateTopic, '{"streams":[]}'],
    [stateTopic, '{"streams":{"live":null}}'],
    [stateTopic, state(0, 9)],
    [stateTopic, state(4, 9).replace('"next"', '"earlier":[{"epoch":"e0"}],"next"')],
    [stateTopic, state(10, 9)],
    [stateTopic, state(3.5, 9)],
    [stateTopic, state(3, 9, 'e 1')],
    [stateTopic, state(3, Number.MAX_SAFE_INTEGER + 1)],
    [stateTopic, state(4, 9).replace('{', `{"pad":"${'x'.repeat(65_536)}",`)],
    ['riser/1/ACME/gw-1/state', state(4, 9)],
    ['riser/1/acme/gw-1/live/state', state(4, 9)],
  ] as const) {
    await made.acceptState(where, payload);
  }
  await made.acceptState(stateTopic, '{"state":"offline"}');
  await made.acceptState(stateTopic, '');
  await made.acceptState('riser/1/acme/gw-2/state', state(4, 9));
  pass(6_000);
  await made.tick();
  t.like(made.counters(), { invalid: 13, gone: 3 });
  t.is(made.watermarks().find(({ gateway }) => gateway === 'gw-1')?.sequence, 0);
});

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
