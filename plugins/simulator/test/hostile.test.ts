import test from 'ava';
import { ManualClock } from '../../../test/support/manual-clock.ts';
import type { Runtime } from '../server/runtime.ts';
import { standaloneRuntime } from '../standalone.ts';
import { imageUnit, openListener } from './open-site.ts';
import { RawClient, request } from './raw-client.ts';

const good = request(1, 1, 3, [0, 1]);

const broken: ReadonlyArray<{ title: string; bytes: Buffer }> = [
  { title: 'text', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n') },
  {
    title: 'another protocol id',
    bytes: Buffer.from('0001123400060103000000 01'.replace(' ', ''), 'hex'),
  },
  { title: 'length 0', bytes: Buffer.from('000100000000', 'hex') },
  { title: 'length 1', bytes: Buffer.from('00010000000101', 'hex') },
  { title: 'length 65520', bytes: Buffer.from('00010000fff001030000', 'hex') },
  { title: 'a megabyte of ones', bytes: Buffer.alloc(1_000_000, 0xff) },
];

test('whoever does not speak Modbus/TCP is cut off, and the others are not disturbed', async (t) => {
  const { client, port, site } = await openListener(t, { units: [imageUnit(1)] });
  for (const { title, bytes } of broken) {
    const bad = await RawClient.open(port);
    bad.send(bytes);
    await bad.closed();
    t.is(bad.unread.length, 0, title);
    t.is((await client.ask(good)).readUInt16BE(9), 0x1000, title);
  }
  t.is(site.counters()?.cutOff, broken.length);
  t.is(site.counters()?.connections, 1);
});

test('a client that ends its half of the connection gets its answers and is let go', async (t) => {
  const { port, site } = await openListener(t, { units: [imageUnit(1)] });
  const half = await RawClient.open(port);
  half.socket.end(Buffer.concat([good, good]));
  await half.closed();
  t.is(half.unread.length, 22);
  await until(() => site.counters()?.connections === 1);
});

test('random bytes never crash it, whatever it makes of them', async (t) => {
  const { client, port } = await openListener(t, { units: [imageUnit(1)] });
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  const bad = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(port)));
  for (const [n, one] of bad.entries()) {
    // A valid header and a random request behind it reaches every function.
    const tail = Buffer.from(Array.from({ length: n * 12 }, () => next() & 0xff));
    one.send(request(n, 1, n + 1, [], tail), request(n, 1, next() & 0x7f, [next(), next()]));
  }
  t.is((await client.ask(good)).readUInt16BE(9), 0x1000);
  for (const one of bad) one.close();
});

test('at most as many connections as allowed, and place again when one leaves', async (t) => {
  const { client, port, site } = await openListener(t, {
    units: [imageUnit(1)],
    maxConnections: 10,
  });
  const crowd = await Promise.all(Array.from({ length: 300 }, () => RawClient.open(port)));
  t.is((await client.ask(good)).readUInt16BE(9), 0x1000);
  await until(() => crowd.filter(({ socket }) => socket.closed).length === 291);
  t.is(site.counters()?.connections, 10);
  t.is(site.counters()?.cutOff, 291);
  for (const one of crowd) one.close();
  await until(() => site.counters()?.connections === 1);
  const late = await RawClient.open(port);
  t.is((await late.ask(good)).readUInt16BE(9), 0x1000);
  late.close();
});

test('a client that begins a frame and never completes it is cut off', async (t) => {
  const { clock, runtime, inspect } = inspected();
  const { client, port, site } = await openListener(t, { units: [imageUnit(1)] }, runtime);
  const drip = await RawClient.open(port);
  const frame = Buffer.concat([good, good]);
  for (let n = 0; n < good.length + 3; n++) {
    drip.send(frame.subarray(n, n + 1));
    await new Promise(setImmediate);
  }
  // The first frame was complete and is answered; the second one has begun.
  await drip.frame();
  const lump = await RawClient.open(port);
  lump.send(frame.subarray(0, good.length + 3));
  await lump.frame();
  clock.advance(9_999);
  inspect();
  t.is(site.counters()?.cutOff, 0);
  clock.advance(2);
  inspect();
  await Promise.all([drip.closed(), lump.closed()]);
  t.is((await client.ask(good)).readUInt16BE(9), 0x1000);
});

test('a client that says nothing is cut off after its time, one that asks is not', async (t) => {
  const { clock, runtime, inspect } = inspected();
  const listener = { units: [imageUnit(1)], idleTimeoutMs: 30_000 };
  const { client, port, site } = await openListener(t, listener, runtime);
  const idle = await RawClient.open(port);
  await until(() => site.counters()?.connections === 2);
  clock.advance(20_000);
  await client.ask(good);
  clock.advance(20_000);
  inspect();
  await idle.closed();
  t.is((await client.ask(good)).readUInt16BE(9), 0x1000);
});

test('a client that takes no answers is not read any more, and cut off after its time', async (t) => {
  const { clock, runtime, inspect } = inspected();
  const { client, port, site } = await openListener(
    t,
    { units: [{ unit: 1, model: 'counter' }] },
    runtime,
  );
  const deaf = await RawClient.open(port);
  deaf.socket.pause();
  const many = Buffer.concat(Array.from({ length: 4096 }, (_, n) => request(n, 1, 3, [0, 125])));
  // Far more answers than sockets buffer: 40 000 of 259 bytes.
  for (let n = 0; n < 10; n++) deaf.send(many);
  let before = -1;
  await until(() => {
    const { requests } = site.counters()!;
    const still = requests === before && requests > 0;
    before = requests;
    return still;
  }, 50);
  t.true(site.counters()!.requests < 40_000);
  inspect();
  clock.advance(10_001);
  inspect();
  t.is(site.counters()?.cutOff, 1);
  t.is((await client.ask(good))[7], 3);
  deaf.close();
});

test('requests that wait for answers are bounded, and all are answered in the end', async (t) => {
  const clock = new ManualClock();
  const { client, site } = await openListener(
    t,
    { units: [imageUnit(1, { kind: 'late', ms: 1000 })] },
    {
      ...standaloneRuntime(),
      monotonic: () => clock.monotonic(),
      setTimeout: (run, ms) => clock.setTimeout(run, ms),
      setInterval: () => ({ [Symbol.dispose]: () => {} }),
    },
  );
  client.send(Buffer.concat(Array.from({ length: 600 }, (_, n) => request(n, 1, 3, [0, 1]))));
  await until(() => clock.pending === 256);
  t.is(site.counters()?.requests, 256);
  for (let n = 0; n < 3; n++) {
    clock.advance(1000);
    await new Promise(setImmediate);
  }
  for (let n = 0; n < 600; n++) t.is((await client.frame()).readUInt16BE(0), n);
  t.is(clock.pending, 0);
});

test('timers of late answers end with their connection', async (t) => {
  const clock = new ManualClock();
  const runtime = { ...standaloneRuntime(), setTimeout: clock.setTimeout.bind(clock) };
  const { client } = await openListener(
    t,
    { units: [imageUnit(1, { kind: 'late', ms: 1000 })] },
    runtime,
  );
  client.send(good, good, good);
  await until(() => clock.pending === 3);
  client.close();
  await until(() => clock.pending === 0);
  t.pass();
});

/** A clock moved by hand, and the inspection of connections at the push of a button. */
function inspected(): { clock: ManualClock; runtime: Runtime; inspect: () => void } {
  const clock = new ManualClock();
  const inspections = new Set<() => void>();
  return {
    clock,
    inspect: () => {
      for (const run of inspections) run();
    },
    runtime: {
      ...standaloneRuntime(),
      monotonic: () => clock.monotonic(),
      setInterval: (run) => {
        inspections.add(run);
        return { [Symbol.dispose]: () => void inspections.delete(run) };
      },
    },
  };
}

async function until(reached: () => boolean, everyMs = 1): Promise<void> {
  const end = performance.now() + 10_000;
  while (!reached()) {
    if (performance.now() > end) throw new Error('it did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
