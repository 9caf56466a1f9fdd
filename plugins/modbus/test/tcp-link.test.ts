import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { LinkRequest } from '../link.ts';
import { readRequest } from '../pdu.ts';
import { tcpSettings } from '../settings.ts';
import { TcpLink } from '../tcp-link.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';
import { exception, frame, type Peer, type PeerRequest, registers, startPeer } from './peer.ts';

interface Bench {
  readonly link: TcpLink;
  readonly peer: Peer;
  readonly host: FakeHost;
  /** Reads registers that hold their own address; throws if a value is wrong. */
  read(address: number, count?: number, more?: Partial<LinkRequest>): Promise<number[]>;
}

const right = (request: PeerRequest) => request.socket.write(registers(request));

async function openBench(
  t: ExecutionContext,
  answer: (request: PeerRequest) => void,
  config: Record<string, number> = {},
  shared = false,
): Promise<Bench> {
  const peer = await startPeer(t, answer);
  const host = fakeHost();
  const settings = tcpSettings({
    host: '127.0.0.1',
    port: peer.port,
    timeoutMs: 10_000,
    ...config,
  });
  const link = new TcpLink(host, settings, () => shared);
  t.teardown(async () => {
    await link.close();
    if (host.timers() > 0) throw new Error('a closed link left a timer');
  });
  await link.open(AbortSignal.timeout(5000));
  return {
    link,
    peer,
    host,
    async read(address, count = 1, more = {}) {
      const answer = await link.request({
        unit: 1,
        pdu: readRequest('holding', address, count),
        timeoutMs: settings.timeoutMs,
        interRequestMs: 0,
        signal: AbortSignal.timeout(20_000),
        ...more,
      });
      if (answer[0] !== 3) throw new Error(`exception ${answer[1]}`);
      const values = Array.from({ length: count }, (_, index) =>
        answer.readUInt16BE(2 + 2 * index),
      );
      for (const [index, value] of values.entries()) {
        if (value !== ((address + index) & 0xffff)) throw new Error(`WRONG VALUE ${value}`);
      }
      return values;
    },
  };
}

async function kindOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'answered';
  } catch (error) {
    return (error as { kind?: string }).kind ?? String(error);
  }
}

test('an answer that is 256 transactions late is not taken for a new one', async (t) => {
  const held: PeerRequest[] = [];
  const { read, peer, link } = await openBench(t, (request) => {
    if (request.index === 0) held.push(request);
    else right(request);
  });
  t.is(await kindOf(read(7, 1, { timeoutMs: 100 })), 'timeout');
  for (let index = 1; index < 256; index++) await read(index);
  peer.answer = (request) => {
    const [late] = held;
    request.socket.write(frame(late!, [3, 2, 0xde, 0xad]));
    right(request);
  };
  t.deepEqual(await read(1000), [1000]);
  t.like(link.takeCounts(), { late: 1, foreign: 0, timeouts: 1 });
});

test('an id in quarantine is skipped when the ids come round again', async (t) => {
  let lost: number | undefined;
  const used = new Set<number>();
  let reused = 0;
  const { read } = await openBench(
    t,
    (request) => {
      if (lost === undefined) lost = request.transaction;
      else if (request.transaction === lost) reused += 1;
      used.add(request.transaction);
      if (request.index > 0) right(request);
    },
    { window: 64 },
  );
  t.is(await kindOf(read(7, 1, { timeoutMs: 100 })), 'timeout');
  for (let round = 0; round < 1025; round++) {
    await Promise.all(Array.from({ length: 64 }, (_, index) => read(index)));
  }
  t.is(reused, 0);
  t.is(used.size, 65_536, 'the whole range is used');
});

test('300 requests at once on one connection bring 300 right values', async (t) => {
  const waiting: PeerRequest[] = [];
  const { read } = await openBench(
    t,
    (request) => {
      waiting.push(request);
      setImmediate(() => {
        const place = Math.floor(Math.random() * waiting.length);
        const [next] = waiting.splice(place, 1);
        if (next !== undefined) right(next);
      });
    },
    { window: 64, timeoutMs: 5000 },
  );
  const values = await Promise.all(Array.from({ length: 300 }, (_, index) => read(index * 3)));
  t.deepEqual(
    values.flat(),
    Array.from({ length: 300 }, (_, index) => index * 3),
  );
});

test('never more requests wait for an answer than the window allows', async (t) => {
  for (const window of [1, 3]) {
    let open = 0;
    let most = 0;
    const { read } = await openBench(
      t,
      (request) => {
        open += 1;
        most = Math.max(most, open);
        setTimeout(() => {
          open -= 1;
          right(request);
        }, 2);
      },
      { window },
    );
    await Promise.all(Array.from({ length: 20 }, (_, index) => read(index)));
    t.is(most, window);
  }
});

for (const [name, field, value] of [
  ['a length of 65520', 4, 0xfff0],
  ['a length of 0', 4, 0],
  ['a length of 1', 4, 1],
  ['another protocol id', 2, 0x1234],
] as const) {
  test(`after a frame with ${name} the next request is answered rightly`, async (t) => {
    const { read, peer, link } = await openBench(t, (request) => {
      const bytes = registers(request);
      if (request.index === 0) bytes.writeUInt16BE(value, field);
      request.socket.write(bytes);
    });
    t.is(await kindOf(read(5)), 'bad-response');
    t.deepEqual(await read(6), [6]);
    t.is(peer.accepted, 2);
    t.like(link.takeCounts(), { badFrames: 1, reconnects: 1 });
  });
}

const misfits: ReadonlyArray<readonly [name: string, pdu: (request: PeerRequest) => number[]]> = [
  ['a byte count of 2 for 4 registers', () => [3, 2, 0, 5]],
  ['a byte count that lies', () => [3, 40, 0, 5, 0, 5, 0, 5, 0, 5]],
  ['too few registers', () => [3, 6, 0, 5, 0, 5, 0, 5]],
  ['100 registers', () => [3, 200, ...Array.from({ length: 200 }, () => 1)]],
  ['another function', () => [4, 8, 0, 5, 0, 5, 0, 5, 0, 5]],
  ['an exception of another function', () => [0x84, 2]],
  ['an exception without a code', () => [0x83]],
];

for (const [name, pdu] of misfits) {
  test(`an answer with ${name} is no value`, async (t) => {
    const { read, peer, link } = await openBench(t, (request) => {
      request.socket.write(request.index === 0 ? frame(request, pdu(request)) : registers(request));
    });
    t.is(await kindOf(read(5, 4)), 'bad-response');
    t.deepEqual(await read(6, 4), [6, 7, 8, 9]);
    t.is(peer.accepted, 1);
    t.like(link.takeCounts(), { badFrames: 1 });
  });
}

test('the answer of another unit is no value', async (t) => {
  const { read } = await openBench(t, (request) => {
    request.socket.write(registers({ ...request, unit: request.index === 0 ? 9 : request.unit }));
  });
  t.is(await kindOf(read(5)), 'bad-response');
  t.deepEqual(await read(6), [6]);
});

test('an answer to an id that was never used is counted and not used', async (t) => {
  const { read, link } = await openBench(t, (request) => {
    const transaction = request.transaction ^ 0x5500;
    request.socket.write(registers({ ...request, transaction }, () => 0xdead));
    right(request);
  });
  t.deepEqual(await read(5), [5]);
  t.like(link.takeCounts(), { foreign: 1 });
});

test('a peer that answers only what nobody asked is left', async (t) => {
  const { read, peer } = await openBench(t, (request) => {
    if (peer.accepted > 1) right(request);
    for (let index = 1; index <= 20 && peer.accepted === 1; index++) {
      request.socket.write(registers({ ...request, transaction: 30_000 + index }));
    }
  });
  t.is(await kindOf(read(5)), 'bad-response');
  t.deepEqual(await read(6), [6]);
});

for (const [name, end] of [
  ['reset', (socket: Socket) => socket.resetAndDestroy()],
  ['closed', (socket: Socket) => socket.end()],
] as const) {
  test(`a request on a connection that is ${name} is rejected at once`, async (t) => {
    const { read, peer, host } = await openBench(
      t,
      (request) => (request.index === 0 ? end(request.socket) : right(request)),
      { timeoutMs: 20_000 },
    );
    const began = host.monotonic();
    t.is(await kindOf(read(5)), 'link-down');
    t.true(host.monotonic() - began < 10_000, 'long before the timeout of 20 s');
    t.deepEqual(await read(6), [6]);
    t.is(peer.accepted, 2);
  });

  test(`an idle connection that is ${name} is opened again by the next request`, async (t) => {
    const { read, peer, link } = await openBench(t, right);
    t.deepEqual(await read(1), [1]);
    const [socket] = peer.sockets;
    end(socket!);
    while (link.state === 'open') await new Promise((resolve) => setImmediate(resolve));
    t.deepEqual(await read(2), [2]);
    t.is(peer.accepted, 2);
  });
}

test('all pending requests fail when the connection breaks, and none hangs', async (t) => {
  const { read } = await openBench(
    t,
    (request) => request.index === 7 && request.socket.resetAndDestroy(),
    { window: 8, timeoutMs: 20_000 },
  );
  const kinds = await Promise.all(Array.from({ length: 8 }, (_, index) => kindOf(read(index))));
  t.deepEqual(new Set(kinds), new Set(['link-down']));
});

test('close rejects what is pending and what waits, and may come twice', async (t) => {
  const { read, link, peer } = await openBench(t, () => undefined, { timeoutMs: 20_000 });
  const reads = [kindOf(read(1)), kindOf(read(2)), kindOf(read(3))];
  while (peer.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([link.close(), link.close()]);
  t.deepEqual(await Promise.all(reads), ['closed', 'closed', 'closed']);
  t.is(await kindOf(read(4)), 'closed');
  t.is(link.state, 'closed');
});

test('after three timeouts in a row the connection is opened anew', async (t) => {
  const { read, peer, link } = await openBench(t, (request) => peer.accepted > 1 && right(request));
  for (let index = 0; index < 3; index++) {
    t.is(await kindOf(read(index, 1, { timeoutMs: 50 })), 'timeout');
  }
  t.deepEqual(await read(9), [9]);
  t.is(peer.accepted, 2);
  t.like(link.takeCounts(), { timeouts: 3, reconnects: 1, requests: 4 });
});

test('one byte at a time, three answers in one segment and duplicates are all right', async (t) => {
  const waiting: PeerRequest[] = [];
  const { read, peer, link } = await openBench(
    t,
    (request) => {
      waiting.push(request);
      if (waiting.length < 3) return;
      const frames = waiting
        .splice(0)
        .reverse()
        .map((one) => registers(one));
      request.socket.write(Buffer.concat(frames));
    },
    { window: 3, timeoutMs: 5000 },
  );
  t.deepEqual(await Promise.all([read(1), read(2), read(3, 2)]), [[1], [2], [3, 4]]);
  peer.answer = (request) => {
    const bytes = registers(request);
    let sent = 0;
    const sendNext = () => {
      if (sent < bytes.length) request.socket.write(bytes.subarray(sent, ++sent), sendNext);
    };
    sendNext();
  };
  t.deepEqual(
    await read(40, 20),
    Array.from({ length: 20 }, (_, index) => 40 + index),
  );
  peer.answer = (request) =>
    request.socket.write(Buffer.concat([registers(request), registers(request)]));
  for (let index = 0; index < 20; index++) t.deepEqual(await read(index), [index]);
  t.is(peer.accepted, 1);
  t.true(link.takeCounts().foreign >= 19);
});

for (const [name, flood] of [
  ['zeros', Buffer.alloc(520_000)],
  ['noise', Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919) % 251))],
] as const) {
  test(`a flood of ${name} ends the connection and not the link`, async (t) => {
    const { read, peer } = await openBench(t, (request) => {
      request.socket.write(peer.accepted === 1 ? flood : registers(request));
    });
    t.is(await kindOf(read(5)), 'bad-response');
    t.deepEqual(await read(6), [6]);
  });
}

test('half a frame and then silence is a timeout, and its rest is no value later', async (t) => {
  let rest: Buffer | undefined;
  const { read } = await openBench(t, (request) => {
    const bytes = registers(request);
    if (request.index > 0) {
      request.socket.write(Buffer.concat([rest ?? Buffer.alloc(0), bytes]));
    } else {
      request.socket.write(bytes.subarray(0, 8));
      rest = bytes.subarray(8);
    }
  });
  t.is(await kindOf(read(5, 1, { timeoutMs: 100 })), 'timeout');
  t.deepEqual(await read(6), [6]);
});

test('half a frame and then the end is a lost connection', async (t) => {
  const { read } = await openBench(t, (request) => {
    if (request.index === 0) request.socket.end(registers(request).subarray(0, 6));
    else right(request);
  });
  t.is(await kindOf(read(5)), 'link-down');
  t.deepEqual(await read(6), [6]);
});

test('on a shared link nothing is sent until the late answer has come', async (t) => {
  const order: string[] = [];
  let lateAt = 0;
  let nextAt = 0;
  const { read, link } = await openBench(
    t,
    (request) => {
      order.push(`asked ${request.unit}`);
      if (request.unit === 2) {
        nextAt = performance.now();
        return right(request);
      }
      setTimeout(() => {
        lateAt = performance.now();
        order.push(`late ${request.unit}`);
        right(request);
      }, 1600);
      return undefined;
    },
    {},
    true,
  );
  t.is(await kindOf(read(1, 1, { unit: 1, timeoutMs: 1500 })), 'timeout');
  t.deepEqual(await read(2, 1, { unit: 2 }), [2]);
  t.deepEqual(order, ['asked 1', 'late 1', 'asked 2']);
  t.true(nextAt - lateAt < 1000, 'the answer ends the wait, which would have gone on for 1400 ms');
  t.like(link.takeCounts(), { late: 1 });
});

test('on a shared link a lost answer delays the next request by one timeout at most', async (t) => {
  const { read, host } = await openBench(
    t,
    (request) => request.unit === 2 && right(request),
    {},
    true,
  );
  t.is(await kindOf(read(1, 1, { unit: 1, timeoutMs: 60 })), 'timeout');
  const began = host.monotonic();
  t.deepEqual(await read(2, 1, { unit: 2 }), [2]);
  // A timer of Node may fire a millisecond early.
  t.true(host.monotonic() - began >= 38);
});

test('a caller that gives up is answered at once and nothing more is sent for it', async (t) => {
  const { read, peer } = await openBench(t, () => undefined, { timeoutMs: 300 });
  const given = new AbortController();
  const first = kindOf(read(1, 1, { signal: given.signal }));
  const second = kindOf(read(2, 1, { signal: given.signal }));
  while (peer.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  given.abort();
  t.deepEqual(await Promise.all([first, second]), ['closed', 'closed']);
  peer.answer = right;
  t.deepEqual(await read(3), [3]);
  t.deepEqual(
    peer.requests.map(({ address }) => address),
    [1, 3],
  );
});

test('the pauses after connecting and between requests are kept', async (t) => {
  const times: number[] = [];
  const { peer, host, link } = await openBench(
    t,
    (request) => {
      times.push(performance.now());
      right(request);
    },
    { afterConnectMs: 60 },
  );
  const opened = performance.now();
  const ask = (address: number) =>
    link.request({
      unit: 1,
      pdu: readRequest('holding', address, 1),
      timeoutMs: 500,
      interRequestMs: 40,
      signal: AbortSignal.timeout(5000),
    });
  await Promise.all([ask(1), ask(2), ask(3)]);
  t.is(peer.requests.length, 3);
  t.true(times[0]! - opened >= 50);
  t.true(times[1]! - times[0]! >= 38);
  t.true(times[2]! - times[1]! >= 38);
  t.is(host.lost.length, 0);
});

test('an exception is an answer and keeps the connection', async (t) => {
  const { read, peer } = await openBench(t, (request) =>
    request.socket.write(request.index === 0 ? exception(request, 2) : registers(request)),
  );
  await t.throwsAsync(read(1), { message: 'exception 2' });
  t.deepEqual(await read(2), [2]);
  t.is(peer.accepted, 1);
});

/** Begins to open a link, and tells which socket that made. */
function opening(link: TcpLink, signal: AbortSignal) {
  const sockets: Socket[] = [];
  const note = (message: unknown) => sockets.push((message as { socket: Socket }).socket);
  subscribe('net.client.socket', note);
  const outcome = kindOf(link.open(signal));
  unsubscribe('net.client.socket', note);
  return { outcome, sockets };
}

test('a host that drops every SYN is given up in time, with nothing left open', async (t) => {
  // A process that is stopped accepts nothing: when its queue is full the kernel drops each SYN.
  const listener = `require('node:net').createServer().listen(
    { port: 0, host: '127.0.0.1', backlog: 1 },
    function () { console.log(this.address().port); })`;
  const child = spawn(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line);
  child.kill('SIGSTOP');
  const host = fakeHost();
  const settings = tcpSettings({ host: '127.0.0.1', port, connectTimeoutMs: 150 });
  const links: TcpLink[] = [];
  t.teardown(() => Promise.all(links.map((link) => link.close())));
  let last = { outcome: Promise.resolve('answered'), sockets: [] as Socket[] };
  for (let index = 0; index < 10 && (await last.outcome) === 'answered'; index++) {
    const link = new TcpLink(host, settings, () => false);
    links.push(link);
    last = opening(link, AbortSignal.timeout(5000));
  }
  t.is(await last.outcome, 'link-down');
  t.deepEqual(
    last.sockets.map(({ destroyed }) => destroyed),
    [true],
  );
  const patient = { ...settings, connectTimeoutMs: 30_000 };
  const gone = new AbortController();
  const calledOff = opening(new TcpLink(host, patient, () => false), gone.signal);
  gone.abort();
  t.is(await calledOff.outcome, 'closed');
  const link = new TcpLink(host, patient, () => false);
  const closed = opening(link, AbortSignal.timeout(30_000));
  await link.close();
  t.is(await closed.outcome, 'closed');
  for (const { sockets } of [calledOff, closed]) t.true(sockets[0]?.destroyed);
  t.is(host.timers(), 0);
});

test('a connection that is refused is told with its reason and tried ever less often', async (t) => {
  const peer = await startPeer(t, right);
  const host = fakeHost();
  const link = new TcpLink(host, tcpSettings({ host: '127.0.0.1', port: 1 }), () => false);
  t.teardown(() => link.close());
  const ask = () =>
    link.request({
      unit: 1,
      pdu: readRequest('holding', 0, 1),
      timeoutMs: 100,
      interRequestMs: 0,
      signal: AbortSignal.timeout(5000),
    });
  for (let index = 0; index < 2; index++) {
    await t.throwsAsync(ask(), { message: /127\.0\.0\.1:1: the host refuses this port/ });
  }
  const error = await t.throwsAsync(ask(), { message: /the next try is in/ });
  t.true((error as unknown as { retryAfterMs: number }).retryAfterMs > 0);
  host.skip(5000);
  await t.throwsAsync(ask(), { message: /refuses this port/ });
  t.is(peer.accepted, 0);
});

test('1000 times open and close leave nothing behind', async (t) => {
  const { peer, host } = await openBench(t, right);
  const settings = tcpSettings({ host: '127.0.0.1', port: peer.port });
  for (let index = 0; index < 1000; index++) {
    const link = new TcpLink(host, settings, () => false);
    await link.open(AbortSignal.timeout(5000));
    if (index % 100 === 0) {
      await link.request({
        unit: 1,
        pdu: readRequest('holding', 0, 1),
        timeoutMs: 1000,
        interRequestMs: 0,
        signal: AbortSignal.timeout(5000),
      });
    }
    await link.close();
  }
  t.is(host.timers(), 0);
  const sockets = () =>
    process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  while (peer.sockets.size > 1) await new Promise((resolve) => setImmediate(resolve));
  t.true(sockets() < 200);
});
