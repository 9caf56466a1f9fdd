import test, { type ExecutionContext } from 'ava';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import { poisonWord } from '../bands.ts';
import type { Fault } from '../faults/fault.ts';
import { FaultInjector } from '../faults/injector.ts';
import { FrameReader } from '../modbus/frame.ts';
import { exceptions } from '../models/unit.ts';
import type { Runtime } from '../server/runtime.ts';
import { standaloneRuntime } from '../standalone.ts';
import { imageUnit, openListener } from './open-site.ts';
import { RawClient, request } from './raw-client.ts';

const read = (transaction: number, address = 0, count = 1, unit = 1) =>
  request(transaction, unit, 3, [address, count]);

/** The frame that carries the clean answer to `read`. */
async function isClean(t: ExecutionContext, client: RawClient, transaction: number) {
  const answer = await client.ask(read(transaction));
  t.is(answer.toString('hex'), `${hex(transaction)}00000005010302${hex(0x1000)}`);
}

/** A listener whose unit 1 has these faults. */
async function withFaults(t: ExecutionContext, ...faults: Fault[]) {
  return await openListener(t, { units: [imageUnit(1, ...faults), imageUnit(2)] });
}

test('silent: the write is carried out and not answered', async (t) => {
  const { client } = await withFaults(t, { kind: 'silent', functions: [6] });
  client.send(request(1, 1, 6, [0, 0x5555]));
  const answer = await client.ask(read(2));
  t.is(answer.readUInt16BE(0), 2);
  t.is(answer.readUInt16BE(9), 0x5555);
});

test('late: the answer comes after those to later requests, and poisoned if so wished', async (t) => {
  const { client } = await withFaults(t, { kind: 'late', ms: 60, poison: true, limit: 1 });
  client.send(read(1), read(2));
  t.is((await client.frame()).readUInt16BE(0), 2);
  const late = await client.frame();
  t.is(late.readUInt16BE(0), 1);
  t.is(late.readUInt16BE(9), poisonWord);
});

test('slow: the answer is clean and what is behind it waits', async (t) => {
  const { client } = await withFaults(t, { kind: 'slow', ms: 60, limit: 1 });
  client.send(Buffer.concat([1, 2, 3, 4].map((n) => read(n))));
  for (const n of [1, 2, 3, 4]) t.is((await client.frame()).readUInt16BE(0), n);
});

test('exception: the request is refused with the code and not carried out', async (t) => {
  const { client } = await withFaults(t, { kind: 'exception', code: 4, functions: [6] });
  const refused = await client.ask(request(1, 1, 6, [0, 0x5555]));
  t.is(refused.toString('hex'), '000100000003018604');
  await isClean(t, client, 2);
});

test('busy: exception 6 as often as said, then one that works, and again', async (t) => {
  const { client } = await withFaults(t, { kind: 'busy', times: 2 });
  for (const round of [1, 2]) {
    t.is((await client.ask(read(round)))[8], exceptions.busy);
    t.is((await client.ask(read(round)))[8], exceptions.busy);
    await isClean(t, client, round);
  }
});

test('closeBeforeAnswer: the connection ends without a byte and without an error', async (t) => {
  const { client, site } = await withFaults(t, { kind: 'closeBeforeAnswer' });
  client.send(read(1));
  await client.closed();
  t.is(client.unread.length, 0);
  t.is(client.error, undefined);
  t.is(site.counters()?.cutOff, 0);
});

test('reset: the connection ends with a reset', async (t) => {
  const { client } = await withFaults(t, { kind: 'reset' });
  client.send(read(1));
  await client.closed();
  t.is(client.error, 'ECONNRESET');
});

test('halfFrame: half an answer, and then nothing or the end', async (t) => {
  const { client } = await withFaults(t, { kind: 'halfFrame', close: true });
  client.send(read(1, 0, 4));
  await client.closed();
  t.is(client.unread.toString('hex'), '00010000000b0103');
  const open = await withFaults(t, { kind: 'halfFrame', limit: 1 });
  open.client.send(read(1, 0, 4));
  t.is((await open.client.take(8)).toString('hex'), '00010000000b0103');
  await isClean(t, open.client, 2);
});

test('garbage: bytes that are no frame, the same for the same seed', async (t) => {
  const drawn: string[] = [];
  for (const _ of [1, 2]) {
    const { client } = await withFaults(t, { kind: 'garbage', bytes: 40, limit: 1 });
    client.send(read(1));
    const bytes = await client.take(40);
    drawn.push(bytes.toString('hex'));
    const reader = new FrameReader();
    t.true(reader.push(bytes));
    t.is(reader.next(), 'broken');
    await isClean(t, client, 2);
  }
  t.is(drawn[0], drawn[1]);
});

const wrongAnswers: ReadonlyArray<{ fault: Fault; title: string; answer: string }> = [
  {
    fault: { kind: 'wrongTransaction' },
    title: 'another transaction',
    answer: '555400000005010302dead',
  },
  { fault: { kind: 'wrongUnit' }, title: 'another unit', answer: '000100000005020302dead' },
  { fault: { kind: 'wrongFunction' }, title: 'another function', answer: '000100000005010402dead' },
  {
    fault: { kind: 'lengthLie' },
    title: 'a header that claims 65520 bytes',
    answer: '00010000fff0010302dead',
  },
  {
    fault: { kind: 'lengthLie', length: 3 },
    title: 'a header that claims too little',
    answer: '000100000003010302dead',
  },
];
for (const { fault, title, answer } of wrongAnswers) {
  test(`${fault.kind}: the answer has ${title} and poison in it`, async (t) => {
    const { client } = await withFaults(t, { ...fault, limit: 1 });
    client.send(read(1));
    t.is((await client.take(answer.length / 2)).toString('hex'), answer);
    await isClean(t, client, 2);
  });
}

test('shortData: fewer registers than the byte count says, in a frame that is whole', async (t) => {
  const { client } = await withFaults(t, { kind: 'shortData', limit: 1 });
  const answer = await client.ask(read(1, 0, 4));
  t.is(answer.toString('hex'), '000100000009010308deaddeaddead');
  await isClean(t, client, 2);
});

test('duplicate: the right answer, and then a poisoned one of the same transaction', async (t) => {
  const { client } = await withFaults(t, { kind: 'duplicate', limit: 1 });
  await isClean(t, client, 1);
  t.is((await client.frame()).toString('hex'), '000100000005010302dead');
  await isClean(t, client, 2);
});

test('bytewise: the right answer, and nothing between its bytes', async (t) => {
  const { client } = await withFaults(t, { kind: 'bytewise', ms: 1, limit: 1 });
  client.send(read(1), read(2));
  t.is((await client.frame()).toString('hex'), '0001000000050103021000');
  t.is((await client.frame()).toString('hex'), '0002000000050103021000');
});

test('refuseRange: only requests that touch the hole are refused', async (t) => {
  const { client } = await withFaults(t, { kind: 'refuseRange', from: 4, to: 5 });
  const codes: Array<number | undefined> = [];
  for (const [address, count] of [
    [0, 4],
    [0, 5],
    [4, 1],
    [5, 3],
    [6, 3],
  ] as const) {
    const answer = await client.ask(read(1, address, count));
    codes.push(answer[7] === 0x83 ? answer[8] : 0);
  }
  t.deepEqual(codes, [0, 2, 2, 2, 0]);
});

test('maxRegisters: longer reads are refused with exception 3', async (t) => {
  const { client } = await withFaults(t, { kind: 'maxRegisters', n: 8 });
  t.is((await client.ask(read(1, 0, 8)))[7], 3);
  const refused = await client.ask(read(1, 0, 9));
  t.deepEqual([refused[7], refused[8]], [0x83, exceptions.illegalValue]);
});

test('dropUnits: dead units do not answer and do not carry anything out, the others do', async (t) => {
  const { client, site } = await openListener(t, {
    units: [imageUnit(1), imageUnit(2)],
    faults: [{ kind: 'dropUnits', units: [2] }],
  });
  client.send(request(7, 2, 6, [0, 0x5555]));
  await isClean(t, client, 8);
  t.is(site.counters()?.faultsInjected, 1);
});

test('sleep: out of reach for a part of each period', (t) => {
  const injector = new FaultInjector([{ kind: 'sleep', everyMs: 100, forMs: 30, offsetMs: 10 }], 1);
  const frame = { transaction: 1, unit: 1, pdu: Buffer.from([3, 0, 0, 0, 1]) };
  const asleep = [0, 19, 20, 89, 90, 119, 120].map(
    (at) => injector.decide(frame, at).unreachable === true,
  );
  t.deepEqual(asleep, [true, true, false, false, true, true, false]);
});

test('every, limit and functions choose the requests that a fault strikes', (t) => {
  const strikes = (fault: Fault, codes: readonly number[]) => {
    const injector = new FaultInjector([fault], 1);
    return codes.map((code) => {
      const frame = { transaction: 1, unit: 1, pdu: Buffer.from([code, 0, 0, 0, 1]) };
      return injector.decide(frame, 0).fault === undefined ? 0 : 1;
    });
  };
  t.deepEqual(strikes({ kind: 'silent', every: 3 }, [3, 3, 3, 3, 3, 3]), [0, 0, 1, 0, 0, 1]);
  t.deepEqual(strikes({ kind: 'silent', limit: 2 }, [3, 3, 3]), [1, 1, 0]);
  t.deepEqual(strikes({ kind: 'silent', functions: [4] }, [3, 4, 3, 4]), [0, 1, 0, 1]);
  t.deepEqual(strikes({ kind: 'silent', functions: [4], every: 2 }, [4, 3, 4, 3]), [0, 0, 1, 0]);
});

test('a probability strikes about as often as it says, at the same requests for the same seed', (t) => {
  const frame = { transaction: 1, unit: 1, pdu: Buffer.from([3, 0, 0, 0, 1]) };
  const pattern = (seed: number) => {
    const injector = new FaultInjector([{ kind: 'silent', probability: 0.1 }], seed);
    return Array.from({ length: 2000 }, () => injector.decide(frame, 0).fault !== undefined);
  };
  t.deepEqual(pattern(5), pattern(5));
  t.notDeepEqual(pattern(5), pattern(6));
  const struck = pattern(5).filter(Boolean).length;
  t.true(struck > 130 && struck < 270, String(struck));
});

test('a serialised listener answers the requests of all connections one after the other', async (t) => {
  const clock = new ManualClock();
  const { client, port } = await openListener(
    t,
    { units: [imageUnit(1)], serialise: true, turnaroundMs: 20 },
    runtimeOf(clock),
  );
  const second = await RawClient.open(port);
  t.teardown(() => second.close());
  client.send(read(1), read(2));
  await until(() => clock.pending > 0);
  second.send(read(3));
  clock.advance(19);
  t.is(client.unread.length, 0);
  clock.advance(1);
  t.is((await client.frame()).readUInt16BE(0), 1);
  clock.advance(20);
  t.is((await client.frame()).readUInt16BE(0), 2);
  await until(() => clock.pending > 0);
  t.is(second.unread.length, 0);
  clock.advance(20);
  t.is((await second.frame()).readUInt16BE(0), 3);
});

test('on a serialised listener a dead unit holds the line for its time-out and no longer', async (t) => {
  const clock = new ManualClock();
  const { client } = await openListener(
    t,
    {
      units: [imageUnit(1), imageUnit(2)],
      serialise: true,
      lineTimeoutMs: 500,
      faults: [{ kind: 'dropUnits', units: [2] }],
    },
    runtimeOf(clock),
  );
  client.send(Buffer.concat([read(1, 0, 1, 2), read(2)]));
  await until(() => clock.pending > 0);
  clock.advance(499);
  t.is(client.unread.length, 0);
  clock.advance(1);
  t.is((await client.frame()).readUInt16BE(0), 2);
});

test('on a serialised listener a silent unit keeps the others waiting for as long as a dead one', async (t) => {
  const clock = new ManualClock();
  const { client, site } = await openListener(
    t,
    {
      units: [imageUnit(1, { kind: 'silent' }), imageUnit(2)],
      serialise: true,
      lineTimeoutMs: 500,
    },
    runtimeOf(clock),
  );
  client.send(Buffer.concat([read(1), read(2, 0, 1, 2)]));
  await until(() => site.counters()?.requests === 2);
  // Answered at once it would be here before the answer to a later request on another connection.
  const other = await openListener(t, { units: [imageUnit(1)] });
  await isClean(t, other.client, 9);
  t.is(client.unread.length, 0);
  clock.advance(500);
  t.is((await client.frame()).readUInt16BE(0), 2);
});

test('when a client goes, the line is free for the others', async (t) => {
  const { client, port, site } = await openListener(t, {
    units: [imageUnit(1), imageUnit(2, { kind: 'slow', ms: 30 })],
    serialise: true,
  });
  const leaving = await RawClient.open(port);
  leaving.send(read(1, 0, 1, 2), read(2, 0, 1, 2));
  await until(() => site.counters()?.requests === 2);
  leaving.close();
  await isClean(t, client, 3);
});

test('poison fills the bits of coils with their opposite', async (t) => {
  const { client } = await withFaults(t, { kind: 'duplicate' });
  const right = await client.ask(request(1, 1, 1, [0, 8]));
  const wrong = await client.frame();
  t.is(right[9], 0b01010101);
  t.is(wrong[9], 0b10101010);
});

/** Clocks and timers of a hand-moved clock, without inspection of connections. */
function runtimeOf(clock: ManualClock): Runtime {
  return {
    ...standaloneRuntime(),
    now: () => clock.wall(),
    monotonic: () => clock.monotonic(),
    setTimeout: (run, ms) => clock.setTimeout(run, ms),
    setInterval: () => ({ [Symbol.dispose]: () => {} }),
  };
}

async function until(reached: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!reached()) {
    if (performance.now() > end) throw new Error('it did not happen within 5 s');
    await new Promise(setImmediate);
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(4, '0');
}
