import test, { type ExecutionContext } from 'ava';
import type { DeviceConfig, Driver, Json, PointRequest, PointResult } from '#driver';
import modbusTcp from '../index.ts';
import { type FakeHost, fakeHost } from './fake-host.ts';
import {
  bits,
  exception,
  frame,
  type Peer,
  type PeerRequest,
  registers,
  startPeer,
} from './peer.ts';

type Keys = { [key: string]: Json };

interface Bench {
  readonly driver: Driver;
  readonly host: FakeHost;
  readonly peer: Peer;
  readonly read: (points: readonly PointRequest[]) => Promise<Record<string, unknown>>;
}

const soon = () => AbortSignal.timeout(20_000);
const register = (addr: number): PointRequest => ({
  pointId: `p${addr}`,
  address: { table: 'holding', type: 'uint16', addr },
});
const coil = (addr: number): PointRequest => ({
  pointId: `c${addr}`,
  address: { table: 'coil', addr },
});

async function openBench(
  t: ExecutionContext,
  answer: (request: PeerRequest) => void,
  link: Keys,
  device: Keys,
): Promise<Bench> {
  const peer = await startPeer(t, answer);
  const host = fakeHost();
  const driver = modbusTcp(host);
  t.teardown(() => driver.close());
  const config: DeviceConfig = {
    id: 'meter',
    address: { unit: 1, ...device },
    options: { profile: {}, points: [] },
  };
  await driver.addDevice(config, soon());
  await driver.connect({ host: '127.0.0.1', port: peer.port, timeoutMs: 5000, ...link }, soon());
  const read = async (points: readonly PointRequest[]) =>
    byId(await driver.read('meter', points, soon()));
  return { driver, host, peer, read };
}

function byId(results: readonly PointResult[]): Record<string, unknown> {
  return Object.fromEntries(
    results.map(({ pointId, value, error }) => [pointId, value ?? error?.kind]),
  );
}

const asUnit = (request: PeerRequest, unit: number) => registers({ ...request, unit });

test('an answer of another unit counts only when the device is known for it', async (t) => {
  const other = (request: PeerRequest) => request.socket.write(asUnit(request, 9));
  const strict = await openBench(t, other, {}, {});
  await t.throwsAsync(strict.read([register(3)]), { message: /unit 9 instead of 1/ });
  const lenient = await openBench(t, other, {}, { ignoreUnitId: true });
  t.deepEqual(await lenient.read([register(3)]), { p3: 3 });
});

test('a device that returns other transaction ids is asked one thing at a time', async (t) => {
  let open = 0;
  let most = 0;
  const wrongId = (request: PeerRequest) => {
    open += 1;
    most = Math.max(most, open);
    setImmediate(() => {
      open -= 1;
      request.socket.write(registers({ ...request, transaction: 0 }));
    });
  };
  const { read } = await openBench(t, wrongId, { ignoreTransactionId: true, window: 8 }, {});
  t.deepEqual(await read([register(1), register(500), register(1000)]), {
    p1: 1,
    p500: 500,
    p1000: 1000,
  });
  t.is(most, 1);
});

test('without transaction ids a late answer is not taken for the next one', async (t) => {
  const held: PeerRequest[] = [];
  const late = (request: PeerRequest) => {
    if (request.index === 0) {
      held.push(request);
      return;
    }
    for (const before of held.splice(0)) before.socket.write(registers(before, () => 0xdead));
    request.socket.write(registers({ ...request, transaction: 0 }));
  };
  const link = { ignoreTransactionId: true, timeoutMs: 100 };
  const { read, peer } = await openBench(t, late, link, {});
  await t.throwsAsync(read([register(1)]), { message: /did not answer/ });
  t.deepEqual(await read([register(2)]), { p2: 2 });
  t.is(peer.accepted, 2);
});

test('an exception that stands for no value is no fault, and is asked again every minute', async (t) => {
  let asleep = true;
  const sleepy = (request: PeerRequest) => {
    const isHit = request.address <= 7 && request.address + request.count > 7;
    request.socket.write(asleep && isHit ? exception(request, 2) : registers(request));
  };
  const { read, host } = await openBench(t, sleepy, {}, { exceptionAsNotAvailable: [2] });
  const points = [register(5), register(7), register(9)];
  for (let minute = 0; minute < 5; minute++) {
    t.deepEqual(await read(points), { p5: 5, p7: 'not-available', p9: 9 });
    host.skip(61_000);
  }
  asleep = false;
  t.deepEqual(await read(points), { p5: 5, p7: 7, p9: 9 });
});

test('bits are read from the first one on when the device wants it, around holes too', async (t) => {
  const fussy = (request: PeerRequest) => {
    const isWrong = request.address !== 0 || request.count > 40;
    request.socket.write(
      isWrong ? exception(request, 2) : bits(request, (address) => address % 2 === 1),
    );
  };
  const { read, peer } = await openBench(t, fussy, {}, { firstReadAtZero: true });
  t.deepEqual(await read([coil(5), coil(36)]), { c5: true, c36: false });
  t.is(peer.requests.length, 1);
  t.deepEqual(await read([coil(5), coil(60)]), { c5: true, c60: 'refused' });
  t.true(peer.requests.every(({ address }) => address === 0));
});

test('a connection that is closed after each poll loses no reading and is no fault', async (t) => {
  const right = (request: PeerRequest) => request.socket.write(registers(request));
  const { read, driver, host, peer } = await openBench(t, right, { closeAfterPoll: true }, {});
  for (let poll = 1; poll <= 4; poll++) {
    t.deepEqual(await read([register(1), register(900)]), { p1: 1, p900: 900 });
    t.is(driver.health().status, 'ok');
  }
  t.is(peer.accepted, 4);
  await driver.close();
  t.is(host.metrics.get('reconnects_total'), undefined);
  t.is(host.timers(), 0);
});

test('a connection that idles is ended and opened again for the next request', async (t) => {
  const right = (request: PeerRequest) => request.socket.write(registers(request));
  const { read, peer } = await openBench(t, right, { idleCloseMs: 20 }, {});
  t.deepEqual(await read([register(1)]), { p1: 1 });
  const [socket] = peer.sockets;
  await new Promise((resolve) => socket?.once('close', resolve));
  t.deepEqual(await read([register(2)]), { p2: 2 });
  t.is(peer.accepted, 2);
});

test('late answers bring one advice with the time that would have been enough', async (t) => {
  const warnings: object[] = [];
  const slow = (request: PeerRequest) => {
    const answer = () => request.socket.write(frame(request, [3, 2, 0, 7]));
    if (request.index < 3) setTimeout(answer, 120);
    else answer();
  };
  const { driver, host } = await openBench(t, slow, { timeoutMs: 60, maxTimeouts: 9 }, {});
  host.log.warn = (fields) => warnings.push(fields);
  for (let round = 0; round < 8; round++) {
    host.skip(11_000);
    await driver.read('meter', [register(1)], soon()).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, round < 3 ? 100 : 1));
  }
  t.is(warnings.length, 1);
  t.true((warnings[0] as { p99Ms: number }).p99Ms >= 60);
  t.true((host.metrics.get('answer_p99_ms{1}') ?? 0) >= 60);
});
