import test from 'ava';
import type { PointResult } from '#driver';
import { type Batch, Batcher } from '../../../src/field/host/batcher.ts';
import { LinkDriverHost } from '../../../src/field/host/driver-host.ts';
import {
  encodeFrame,
  FrameDecoder,
  FrameError,
  maxFrameBytes,
} from '../../../src/field/host/frames.ts';
import { LinkQueue } from '../../../src/field/host/link-queue.ts';
import type { FromDriver } from '../../../src/field/host/messages.ts';
import { PollPlan } from '../../../src/field/host/poll-plan.ts';
import { settleResults } from '../../../src/field/host/results.ts';
import { FakeClock } from '../../support/field-fake-clock.ts';

const decodeAll = (bytes: Buffer, step: number) => {
  const decoder = new FrameDecoder();
  const messages: object[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    decoder.push(bytes.subarray(at, at + step), (message) => messages.push(message));
  }
  return messages;
};

test('frames come out as they went in, however the stream is cut', (t) => {
  const sent = [
    { t: 'a' },
    { t: 'b', text: 'Grüße 🌡 "$big"' },
    { big: 2n ** 60n, n: [-5n, 0] },
    {},
  ];
  const bytes = Buffer.concat(sent.map(encodeFrame));
  for (const step of [1, 2, 3, 5, 7, 64, bytes.length]) {
    t.deepEqual(decodeAll(bytes, step), sent, `cut into ${step} bytes`);
  }
});

test('what is no frame is refused at the first byte that says so', (t) => {
  const head = (length: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(length);
    return bytes;
  };
  const text = (body: string) => Buffer.concat([head(Buffer.byteLength(body)), Buffer.from(body)]);
  const nonsense = [head(maxFrameBytes + 1), head(0), head(0xffff_ffff), text('[1]'), text('nul')];
  for (const bytes of [...nonsense, text('null'), text('12')]) {
    t.throws(() => decodeAll(bytes, 1), { instanceOf: FrameError });
  }
  t.throws(() => encodeFrame({ text: 'x'.repeat(maxFrameBytes) }), { instanceOf: FrameError });
});

test('a point gets exactly one honest result, whatever the driver returned', (t) => {
  const asked = ['a', 'b', 'c', 'd', 'e', 'f'].map((pointId) => ({ pointId, address: 0 }));
  const returned = [
    { pointId: 'b', time: 5, value: Number.POSITIVE_INFINITY, quality: 'good' },
    { pointId: 'a', time: 5, value: 0, quality: 'good' },
    { pointId: 'a', time: 5, value: 99, quality: 'good' },
    { pointId: 'zz', time: 5, value: 1, quality: 'good' },
    { pointId: 'c', time: Number.NaN, value: 7, quality: 'uncertain', error: { kind: 'nonsense' } },
    { pointId: 'd', time: 5, quality: 'good' },
    { pointId: 'f', time: 5, value: 'x'.repeat(20_000), quality: 'good' },
    null,
  ];
  const settled = settleResults(asked, returned, 1_000);
  t.deepEqual(
    settled.map(({ pointId, value, quality, error }) => [pointId, value, quality, error?.kind]),
    [
      ['a', 0, 'good', undefined],
      ['b', undefined, 'bad', 'not-a-number'],
      ['c', 7, 'uncertain', 'suspect'],
      ['d', undefined, 'bad', 'internal'],
      ['e', undefined, 'bad', 'internal'],
      ['f', undefined, 'bad', 'bad-response'],
    ],
  );
  t.is(settled[2]?.time, 1_000);
  t.is(settleResults(asked, undefined, 1).length, 6);
});

const reading = (pointId: string, value: number): PointResult => ({
  pointId,
  time: value,
  value,
  quality: 'good',
});

function batchBench(limits = {}) {
  const sent: Batch[] = [];
  const due: (() => void)[] = [];
  let writable = true;
  const batcher = new Batcher({
    limits,
    soon: (fn) => due.push(fn),
    send: (batch) => {
      sent.push(batch);
      return writable;
    },
  });
  const turn = () => {
    for (const fn of due.splice(0)) fn();
  };
  const values = () =>
    sent.flatMap(({ groups }) =>
      groups.flatMap(({ results }) => results.map(({ value }) => value)),
    );
  const setWritable = (now: boolean) => {
    writable = now;
  };
  return { batcher, sent, turn, values, setWritable };
}

test('what is read in one turn travels in one frame, of 500 results at most', (t) => {
  const { batcher, sent, turn } = batchBench();
  for (let n = 0; n < 60; n += 1) {
    batcher.add(
      'l',
      `d${n}`,
      'live',
      Array.from({ length: 20 }, (_, i) => reading(`p${i}`, n)),
    );
  }
  t.is(sent.length, 0);
  turn();
  const sizes = sent.map(({ groups }) => groups.reduce((n, { results }) => n + results.length, 0));
  t.deepEqual(sizes, [500, 500, 200]);
});

test('beyond eight unacked frames the newest value of a point wins, and the others are counted', (t) => {
  const { batcher, sent, turn, values } = batchBench();
  for (let n = 1; n <= 30; n += 1) {
    batcher.add('l', 'd', 'live', [reading('p', n), reading('q', n)]);
    turn();
  }
  t.is(sent.length, 8);
  t.is(batcher.waiting, 2);
  batcher.ack(3);
  turn();
  t.is(sent.length, 9);
  t.deepEqual(values().slice(-2), [30, 30]);
  t.is(sent[8]?.drops.get('l'), 42);
  t.is(values().length + 42, 60, 'every result was sent or counted');
});

test('alarms are never conflated, keep their order, go first, and are bounded', (t) => {
  const { batcher, sent, turn } = batchBench({ unacked: 1, waiting: 100, results: 1_000 });
  batcher.add('l', 'd', 'live', [reading('p', 0)]);
  turn();
  for (let n = 1; n <= 150; n += 1) batcher.add('l', 'd', 'alarm', [reading('fault', n)]);
  batcher.add('l', 'd', 'live', [reading('p', 1)]);
  turn();
  batcher.ack(1);
  turn();
  const alarms = sent[1]?.groups[0]?.results.map(({ value }) => value);
  t.is(sent[1]?.groups[0]?.lane, 'alarm');
  t.deepEqual(
    alarms,
    Array.from({ length: 100 }, (_, n) => n + 51),
  );
  t.is(sent[1]?.drops.get('l'), 50);
});

test('a stream that is full is waited for', (t) => {
  const { batcher, sent, turn, setWritable } = batchBench();
  setWritable(false);
  batcher.add('l', 'd', 'live', [reading('p', 1)]);
  turn();
  batcher.add('l', 'd', 'live', [reading('p', 2)]);
  turn();
  t.is(sent.length, 1);
  setWritable(true);
  batcher.drained();
  turn();
  t.is(sent.length, 2);
});

test('an ack of something that was never sent is ignored', (t) => {
  const { batcher, turn } = batchBench();
  batcher.add('l', 'd', 'live', [reading('p', 1)]);
  turn();
  batcher.ack(77);
  t.is(batcher.unacked, 1);
  batcher.ack(1);
  t.is(batcher.unacked, 0);
});

test('fifty thousand points do not fall due in the same milliseconds', (t) => {
  const plan = new PollPlan(5_000);
  for (let n = 0; n < 1_000; n += 1) {
    plan.set({ device: `inverter-${n}`, name: 'g', everyMs: 10_000, points: [] }, 0);
  }
  plan.takeDue(20_000, () => undefined);
  const slots = new Map<number, number>();
  for (let now = 20_010; now <= 30_000; now += 10) {
    plan.takeDue(now, () => slots.set(now, (slots.get(now) ?? 0) + 1));
  }
  const counts = [...slots.values()];
  t.is(
    counts.reduce((a, b) => a + b, 0),
    1_000,
  );
  t.true(Math.max(...counts) <= 8, `${Math.max(...counts)} of 1000 groups at once`);
});

test('ticks that passed while the process did not run are counted, and come once', (t) => {
  const plan = new PollPlan(1_000);
  plan.set({ device: 'd', name: 'g', everyMs: 1_000, points: [], offsetMs: 0 }, 0);
  let ticks = 0;
  let lost = 0;
  const take = (_group: object, _tick: number, missed: number) => {
    ticks += 1;
    lost += missed;
  };
  plan.takeDue(0, take);
  plan.takeDue(10_500, take);
  t.deepEqual([ticks, lost], [2, 9]);
  t.is(plan.nextDueAt(), 11_000);
});

test('an exclusive errand waits for what runs, then runs alone', async (t) => {
  const log: string[] = [];
  const polls = new Map<string, () => void>();
  const queue = new LinkQueue({
    concurrency: 4,
    poll: (device) =>
      new Promise((resolve) => {
        log.push(`poll ${device}`);
        polls.set(device, resolve);
      }),
    busy: () => undefined,
  });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  let endScan: (() => void) | undefined;
  queue.resume();
  queue.offer('a');
  queue.add({
    kind: 'exclusive',
    refuse: () => undefined,
    run: () =>
      new Promise((resolve) => {
        log.push('scan');
        endScan = resolve;
      }),
  });
  queue.offer('b');
  await turn();
  t.deepEqual(log, ['poll a']);
  polls.get('a')?.();
  await turn();
  t.deepEqual(log, ['poll a', 'scan']);
  endScan?.();
  await turn();
  t.deepEqual(log, ['poll a', 'scan', 'poll b']);
});

test('a driver keeps no timer and tells no more than a hundred series', async (t) => {
  const clock = new FakeClock();
  const sent: FromDriver[] = [];
  const host = new LinkDriverHost({
    link: 'l',
    clock,
    send: (message) => sent.push(message),
    lost: () => undefined,
  });
  let ticks = 0;
  host.setInterval(() => {
    ticks += 1;
  }, 100);
  for (let n = 0; n < 300; n += 1) host.metric('reads_total', 1, { device: `d${n}` });
  for (let n = 0; n < 300; n += 1) host.log.info({ n }, 'again');
  await clock.advance(1_000);
  host.close();
  await clock.advance(1_000);
  t.is(ticks, 10);
  t.is(clock.waiting, 0);
  t.is(sent.filter((message) => message.t === 'metric').length, 100);
  t.is(sent.filter((message) => message.t === 'log').length, 100);
});
