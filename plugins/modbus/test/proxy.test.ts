import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { Driver, Json } from '#driver';
import { findPeer } from '../../../test/support/find-peer.ts';
import { freePort } from '../../../test/support/free-port.ts';
import modbusTcp from '../index.ts';
import { mbapFrame } from '../mbap.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';
import { exception, type Peer, type PeerRequest, registers, startPeer } from './peer.ts';

interface Bench {
  readonly driver: Driver;
  readonly host: FakeHost;
  readonly peer: Peer;
  readonly port: number;
}

const soon = () => AbortSignal.timeout(20_000);
const right = (request: PeerRequest) => request.socket.write(registers(request));
const point = { pointId: 'p', address: { table: 'holding', type: 'uint16', addr: 7 } };

async function openBench(
  t: ExecutionContext,
  answer: (request: PeerRequest) => void,
  proxy: { [key: string]: Json } = {},
): Promise<Bench> {
  const peer = await startPeer(t, answer);
  const host = fakeHost();
  const driver = modbusTcp(host);
  t.teardown(() => driver.close());
  const port = await freePort();
  const options = { profile: {}, points: [] };
  await driver.addDevice({ id: 'meter', address: { unit: 1 }, options }, soon());
  const link = { host: '127.0.0.1', port: peer.port, timeoutMs: 5000, proxy: { port, ...proxy } };
  await driver.connect(link, soon());
  return { driver, host, peer, port };
}

async function client(t: ExecutionContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** Sends one request; resolves with the answer, a frame from its transaction id on. */
async function ask(socket: Socket, pdu: readonly number[], unit = 1): Promise<string> {
  socket.write(mbapFrame(0x4711, unit, Buffer.from(pdu)));
  const [answer] = (await once(socket, 'data', { signal: soon() })) as [Buffer];
  return answer.toString('hex');
}

test('another program reads through the one connection of the gateway', async (t) => {
  const { driver, peer, port } = await openBench(t, right);
  const socket = await client(t, port);
  t.is(await ask(socket, [3, 0, 5, 0, 2]), '4711000000070103040005' + '0006');
  t.is(await ask(socket, [4, 0, 9, 0, 1]), '471100000005010402' + '0009');
  const [result] = await driver.read('meter', [point], soon());
  t.is(result?.value, 7);
  t.is(peer.accepted, 1);
});

test('whatever could change a device is answered with exception 1 and never sent', async (t) => {
  const { peer, port } = await openBench(t, right);
  const socket = await client(t, port);
  for (const fc of [5, 6, 15, 16, 22, 23, 43, 8, 0]) {
    const refused = (fc | 0x80).toString(16).padStart(2, '0');
    t.is(await ask(socket, [fc, 0, 1, 0, 1]), `47110000000301${refused}01`);
  }
  t.is(await ask(socket, [3, 0, 1, 0, 0]), '471100000003018303');
  t.is(await ask(socket, [3, 0, 1, 0, 126]), '471100000003018303');
  t.is(await ask(socket, [3, 0xff, 0xff, 0, 2]), '471100000003018302');
  t.is(await ask(socket, [3, 0, 1, 0, 1], 9), '47110000000309830a');
  t.is(peer.requests.length, 0);
});

test('an exception of the device and its silence reach the client as they are', async (t) => {
  const { port } = await openBench(t, (request) => {
    if (request.address === 2) request.socket.write(exception(request, 2));
    if (request.address === 3) request.socket.destroy();
  });
  const socket = await client(t, port);
  t.is(await ask(socket, [3, 0, 2, 0, 1]), '471100000003018302');
  t.is(await ask(socket, [3, 0, 3, 0, 1]), '47110000000301830a');
});

test('a poll goes first: the proxy waits until all its requests are answered', async (t) => {
  const held: PeerRequest[] = [];
  let onHeld: () => void = () => undefined;
  const { driver, peer, port } = await openBench(t, (request) => {
    if (request.address !== 7 || request.index > 0) return right(request);
    held.push(request);
    return onHeld();
  });
  const arrived = new Promise<void>((resolve) => {
    onHeld = resolve;
  });
  const far = { pointId: 'far', address: { table: 'holding', type: 'uint16', addr: 5000 } };
  const poll = driver.read('meter', [point, far], soon());
  await arrived;
  const socket = await client(t, port);
  const asked = ask(socket, [3, 0, 1, 0, 1]);
  // Once a later client is dealt with, the request of the first one has come in.
  const later = await client(t, port);
  later.write('this is not Modbus');
  await once(later, 'close', { signal: soon() });
  right(held[0]!);
  await poll;
  t.is(await asked, '4711000000050103020001');
  t.deepEqual(
    peer.requests.map(({ address }) => address),
    [7, 5000, 1],
  );
});

test('a client that sends garbage or does not wait is cut off, the others stay', async (t) => {
  const { host, port } = await openBench(t, right);
  const good = await client(t, port);
  const garbage = await client(t, port);
  garbage.write('GET / HTTP/1.1\r\n\r\n');
  await once(garbage, 'close', { signal: soon() });
  const flood = await client(t, port);
  const one = mbapFrame(1, 1, Buffer.from([3, 0, 1, 0, 1]));
  flood.write(Buffer.concat(Array.from({ length: 200 }, () => one)));
  await once(flood.resume(), 'close', { signal: soon() });
  t.is(host.metrics.get('proxy_cut_off_total'), 2);
  t.is(await ask(good, [3, 0, 5, 0, 1]), '4711000000050103020005');
});

test('no more clients than allowed get in', async (t) => {
  const { host, port } = await openBench(t, right, { maxClients: 1 });
  const first = await client(t, port);
  t.is(await ask(first, [3, 0, 5, 0, 1]), '4711000000050103020005');
  const second = await client(t, port);
  await once(second.resume(), 'close', { signal: soon() });
  t.is(host.metrics.get('proxy_refused_total'), 1);
});

test('a port that is taken costs no reading, and closing leaves nothing open', async (t) => {
  const { driver, peer, host, port } = await openBench(t, right);
  const warnings: string[] = [];
  const other = fakeHost();
  other.log.warn = (_, message) => void warnings.push(message);
  const second = modbusTcp(other);
  t.teardown(() => second.close());
  await second.addDevice(
    { id: 'meter', address: { unit: 1 }, options: { profile: {}, points: [] } },
    soon(),
  );
  await second.connect({ host: '127.0.0.1', port: peer.port, proxy: { port } }, soon());
  t.is((await second.read('meter', [point], soon()))[0]?.value, 7);
  t.deepEqual(warnings, [
    'the proxy port is not offered: another program has this port; choose another one',
  ]);
  const socket = await client(t, port);
  await Promise.all([once(socket.resume(), 'close', { signal: soon() }), driver.close()]);
  t.is(host.timers(), 0);
  const late = connect(port, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  t.is(error.code, 'ECONNREFUSED');
});

const mbpoll = findPeer('mbpoll');
const mbpollTest = mbpoll === undefined ? test.skip : test;
mbpollTest(
  `mbpoll reads through the proxy${mbpoll === undefined ? ' (skipped: apt install mbpoll)' : ''}`,
  async (t) => {
    const { port } = await openBench(t, right);
    const args = [
      '-m',
      'tcp',
      '-p',
      String(port),
      '-a',
      '1',
      '-0',
      '-r',
      '40',
      '-c',
      '3',
      '-1',
      '-q',
    ];
    const { stdout } = await promisify(execFile)(mbpoll ?? '', [...args, '127.0.0.1'], {
      timeout: 20_000,
    });
    t.regex(stdout, /\[40\]:\s+40\n\[41\]:\s+41\n\[42\]:\s+42/);
  },
);
