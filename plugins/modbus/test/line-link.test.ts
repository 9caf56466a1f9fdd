import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { Json } from '#driver';
import ascii from '../drivers/ascii.ts';
import rtu from '../drivers/rtu.ts';
import tls from '../drivers/tls.ts';
import type { LinkRequest } from '../link.ts';
import { readRequest } from '../pdu.ts';
import { characterMs, serialRequestCost } from '../request-cost.ts';
import { crc16, findAnswer, rtuFrame } from '../rtu-frame.ts';
import { rtuTcp, udp } from '../transports.ts';
import { fakeHost } from './fake-host.ts';

type Answer = (socket: Socket, request: Buffer, index: number) => void;

/** The right answer to a read of registers; each holds its own address. */
function right(request: Buffer, unit = request[0] ?? 0): Buffer {
  const [address, count] = [request.readUInt16BE(2), request.readUInt16BE(4)];
  const pdu = Buffer.alloc(2 + 2 * count);
  pdu.set([request[1] ?? 0, 2 * count]);
  for (let n = 0; n < count; n++) pdu.writeUInt16BE(address + n, 2 + 2 * n);
  return rtuFrame(unit, pdu);
}

async function openLine(t: ExecutionContext, answer: Answer, config: { [key: string]: Json } = {}) {
  let index = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (request: Buffer) => answer(socket, request, index++));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const host = fakeHost();
  const link = rtuTcp.open(host, { host: '127.0.0.1', port, ...config }, () => true);
  t.teardown(async () => {
    await link.close();
    for (const socket of sockets) socket.destroy();
    server.close();
    if (host.timers() > 0) throw new Error('a closed link left a timer');
  });
  await link.open(AbortSignal.timeout(5000));
  const ask = (pdu: Buffer, more: Partial<LinkRequest> = {}) =>
    link.request({
      unit: 1,
      pdu,
      timeoutMs: 5000,
      interRequestMs: 0,
      signal: AbortSignal.timeout(20_000),
      ...more,
    });
  return {
    link,
    host,
    ask,
    async read(address: number, more: Partial<LinkRequest> = {}): Promise<number | string> {
      try {
        return (await ask(readRequest('holding', address, 1), more)).readUInt16BE(2);
      } catch (error) {
        return `${(error as { kind: string }).kind}: ${(error as Error).message}`;
      }
    },
  };
}

test('the checksum is that of the standard', (t) => {
  t.is(crc16(Buffer.from('123456789')), 0x4b37);
  t.is(rtuFrame(1, Buffer.from([3, 0, 0, 0, 1])).toString('hex'), '010300000001840a');
});

test('an answer is found between noise, byte for byte, and never in a frame with a wrong checksum', (t) => {
  const request = readRequest('holding', 7, 2);
  const frame = right(rtuFrame(1, request));
  const noisy = Buffer.concat([Buffer.from([0, 1, 3, 4, 0xff, 1, 3]), frame, Buffer.from([9])]);
  t.is(findAnswer(noisy, 1, request)?.pdu.toString('hex'), '030400070008');
  for (let bytes = 0; bytes < frame.length; bytes++) {
    t.is(findAnswer(frame.subarray(0, bytes), 1, request), undefined);
  }
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const broken = Buffer.from(frame);
    broken[bit >> 3] = (broken[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.is(findAnswer(broken, 1, request)?.misfit ?? 'none', 'none');
    t.is(findAnswer(broken, 1, request), undefined, `bit ${bit}`);
  }
});

test('the own request, heard by the adapter, is not taken for an answer', (t) => {
  // 24 bits from 0x0300 on: the request has the length and the byte count of its own answer.
  const request = readRequest('coil', 0x0300, 24);
  t.is(findAnswer(rtuFrame(1, request), 1, request), undefined);
});

test('an identification is as long as its objects say', (t) => {
  const request = Buffer.from([43, 14, 1, 0]);
  const pdu = Buffer.from([43, 14, 1, 1, 0, 0, 2, 0, 2, 65, 66, 1, 1, 67]);
  t.deepEqual(findAnswer(rtuFrame(1, pdu), 1, request)?.pdu, pdu);
});

test('noise before an answer costs nothing but a count', async (t) => {
  const { read, link } = await openLine(t, (socket, request) => {
    socket.write(Buffer.concat([Buffer.from([0xff, 0, 1, 3, 2]), right(request)]));
  });
  t.is(await read(5), 5);
  t.is(await read(6), 6);
  t.is(link.takeCounts().badFrames, 2);
});

test('endless noise is a timeout and takes no memory', async (t) => {
  const { read } = await openLine(t, (socket) => {
    socket.write(Buffer.alloc(200_000, 1));
  });
  t.regex(String(await read(5, { timeoutMs: 300 })), /^timeout: unit 1 .* did not answer/);
});

test('a unit that timed out is left alone for as long again, and its late answer is nobody’s', async (t) => {
  let late: Buffer | undefined;
  const { read, link, host } = await openLine(t, (socket, request, index) => {
    if (index === 0) late = right(request);
    else if (index === 1) socket.write(Buffer.concat([late as Buffer, right(request)]));
    else socket.write(right(request));
  });
  const start = host.monotonic();
  t.regex(String(await read(7, { timeoutMs: 200 })), /^timeout/);
  t.is(await read(9, { unit: 2 }), 9, 'the late answer of unit 1 comes first');
  t.is(await read(8), 8);
  // A timer of Node may fire a millisecond early.
  t.true(host.monotonic() - start >= 395);
  t.is(link.takeCounts().timeouts, 1);
});

test('one request is under way at a time, and all are answered', async (t) => {
  let waiting = 0;
  let most = 0;
  const { read } = await openLine(t, (socket, request) => {
    most = Math.max(most, ++waiting);
    setImmediate(() => {
      waiting -= 1;
      socket.write(right(request));
    });
  });
  const values = await Promise.all(Array.from({ length: 50 }, (_, n) => read(n)));
  t.deepEqual(
    values,
    values.map((_, n) => n),
  );
  t.is(most, 1);
});

test('with echo, a write is confirmed by the second frame only', async (t) => {
  const write = Buffer.from([6, 0, 1, 0, 9]);
  const config = { echo: true };
  const both = await openLine(
    t,
    (socket, request) => socket.write(Buffer.concat([request, request])),
    config,
  );
  t.deepEqual(await both.ask(write), write);
  const only = await openLine(t, (socket, request) => socket.write(request), config);
  const error = await t.throwsAsync(only.ask(write, { timeoutMs: 200 }));
  t.is((error as { kind?: string }).kind, 'timeout');
});

test('a wrong echo setting is named in the timeout', async (t) => {
  const deaf = await openLine(t, (socket, request) => socket.write(right(request)), { echo: true });
  t.regex(String(await deaf.read(1, { timeoutMs: 200 })), /set echo to false/);
  const hearing = await openLine(t, (socket, request) => socket.write(request));
  t.regex(String(await hearing.read(1, { timeoutMs: 200 })), /set echo to true/);
});

test('a broadcast is sent without waiting for an answer, and is never a read', async (t) => {
  const { ask, read } = await openLine(t, () => undefined);
  t.is((await ask(Buffer.from([6, 0, 1, 0, 9]), { unit: 0 })).length, 0);
  t.regex(String(await read(1, { unit: 0 })), /^bad-address: unit 0 is everybody/);
});

test('a converter that ends the connection is connected again by the next request', async (t) => {
  const { read, link } = await openLine(t, (socket, request, index) => {
    if (index === 0) socket.end(right(request));
    else socket.write(right(request));
  });
  t.is(await read(1), 1);
  const second = await read(2);
  t.true(second === 2 || String(second).startsWith('link-down'));
  t.is(await read(3), 3);
  t.is(link.takeCounts().reconnects, 1);
});

test('a datagram that is cut short, of another number or too late brings no value over UDP', async (t) => {
  const peer = createSocket('udp4');
  let index = 0;
  peer.on('message', (request, from) => {
    const answer = Buffer.concat([request.subarray(0, 6), Buffer.from([1, 3, 2, 0, 77])]);
    answer.writeUInt16BE(5, 4);
    const send = (bytes: Buffer) => peer.send(bytes, from.port, from.address);
    index += 1;
    if (index === 1) send(answer.subarray(0, 9));
    if (index === 2) {
      answer[1] = (answer[1] ?? 0) ^ 0x80;
      send(answer);
    }
    if (index === 3) send(answer);
  });
  peer.bind(0, '127.0.0.1');
  await once(peer, 'listening');
  t.teardown(() => peer.close());
  const host = fakeHost();
  const link = udp.open(host, { host: '127.0.0.1', port: peer.address().port }, () => false);
  t.teardown(() => link.close());
  await link.open(AbortSignal.timeout(5000));
  const ask = (timeoutMs: number) =>
    link.request({
      unit: 1,
      pdu: readRequest('holding', 0, 1),
      timeoutMs,
      interRequestMs: 0,
      signal: AbortSignal.timeout(20_000),
    });
  for (const _ of [1, 2])
    await t.throwsAsync(ask(100), { message: /did not answer within 100 ms/ });
  t.is((await ask(5000)).readUInt16BE(2), 77);
  t.like(link.takeCounts(), { timeouts: 2, badFrames: 2, reconnects: 2 });
});

test('settings that Linux cannot make are refused with the reason', (t) => {
  const issues = (config: Json) => rtu(fakeHost()).validateLink?.(config, []) ?? [];
  const path = '/dev/serial/by-id/usb-FTDI_FT232R-if00-port0';
  t.deepEqual(issues({ path }), []);
  t.like(issues({ path, parity: 'mark' })[0], {
    path: '/link/parity',
    message: 'parity "mark" cannot be set on Linux; use none, even or odd',
  });
  t.like(issues({ path, stopBits: 1.5 })[0], {
    path: '/link/stopBits',
    message: '1.5 stop bits cannot be set on Linux; use 1 or 2',
  });
  t.like(issues({})[0], { path: '/link/path', code: 'BAD_LINK' });
  t.like(issues({ path: '/dev/ttyUSB0' })[0], { code: 'PORT_NAME_CHANGES', severity: 'warning' });
  t.like(tls(fakeHost()).validateLink?.({ host: 'a', key: '/etc/riser/tls/a.key' }, [])?.[0], {
    path: '/link/key',
  });
  t.deepEqual(ascii(fakeHost()).validateLink?.({ path, dataBits: 7, parity: 'even' }, []), []);
});

const meter = (unit: number, link: { [key: string]: Json } = {}) => ({
  id: `meter-${unit}`,
  address: { unit },
  options: {
    profile: { link, limits: { maxRegisters: 80, maxGap: 125 } },
    points: Array.from({ length: 40 }, (_, n) => ({
      pointId: `p${n}`,
      address: { table: 'input', type: 'float32', addr: 2 * n },
      everyMs: 1000,
    })),
  },
});

test('the load of a line is told from its speed', (t) => {
  const driver = rtu(fakeHost());
  const codes = (baudRate: number, count: number) =>
    (
      driver.validateLink?.(
        { path: '/dev/x', baudRate },
        Array.from({ length: count }, (_, n) => meter(n + 1)),
      ) ?? []
    ).map(
      ({ code, message }) =>
        `${code} ${/shortest interval possible is [\d.]+ s/.exec(message)?.[0] ?? ''}`,
    );
  // One request: 173 characters of 11 bits, 3.5 more twice, 20 ms for the device: 123.2 ms.
  const line = { baudRate: 19200, dataBits: 8, parity: 'even', stopBits: 1 } as const;
  t.is(Math.round(characterMs(line) * 1000), 573);
  t.is(Math.round(serialRequestCost(line, 0, 20)('input', 80)), 123);
  t.deepEqual(codes(19200, 5), []);
  t.deepEqual(codes(19200, 6), ['LINK_LOAD_HIGH ']);
  t.deepEqual(codes(19200, 9), ['LINK_OVERLOADED shortest interval possible is 1.2 s']);
  t.deepEqual(codes(115200, 9), []);
});

test('a profile with another speed and units that no line has are told', (t) => {
  const issues = rtu(fakeHost()).validateLink?.({ path: '/dev/x' }, [
    meter(1, { serial: { baudRate: 19200, parity: 'none' } }),
    meter(0),
    meter(250),
  ]);
  t.deepEqual(
    issues?.map(({ code, severity = 'error', path }) => `${severity} ${code} ${path}`).sort(),
    [
      'error UNIT_RESERVED /devices/meter-0/address/unit',
      'warning LINE_SETTINGS_DIFFER /devices/meter-1/profile',
      'warning UNIT_RESERVED /devices/meter-250/address/unit',
    ],
  );
});
