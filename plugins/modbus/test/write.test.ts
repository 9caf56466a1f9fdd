import test, { type ExecutionContext } from 'ava';
import type { Driver, Json, PointValue, WriteResult } from '#driver';
import modbusTcp from '../index.ts';
import { validateDevice } from '../validate-device.ts';
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
  readonly memory: Uint16Array;
  readonly coils: Set<number>;
  readonly write: (keys: Keys, value: PointValue | null, verify?: boolean) => Promise<WriteResult>;
}

const soon = () => AbortSignal.timeout(20_000);

/** A device with a memory, as the standard describes it. */
function obey({ socket, ...request }: PeerRequest, memory: Uint16Array, coils: Set<number>): void {
  const { fc, address, pdu } = request;
  const asked = { ...request, socket };
  switch (fc) {
    case 1:
      socket.write(bits(asked, (place) => coils.has(place)));
      return;
    case 3:
      socket.write(registers(asked, (place) => memory[place] ?? 0));
      return;
    case 5:
    case 15: {
      const isOn = fc === 5 ? pdu[3] === 0xff : (pdu[6] ?? 0) === 1;
      if (isOn) coils.add(address);
      else coils.delete(address);
      break;
    }
    case 6:
      memory[address] = pdu.readUInt16BE(3);
      break;
    case 16:
      for (let place = 0; place < pdu.readUInt16BE(3); place++) {
        memory[address + place] = pdu.readUInt16BE(6 + place * 2);
      }
      break;
    case 22: {
      const and = pdu.readUInt16BE(3);
      memory[address] = ((memory[address] ?? 0) & and) | (pdu.readUInt16BE(5) & ~and);
    }
  }
  socket.write(frame(asked, fc === 15 || fc === 16 ? pdu.subarray(0, 5) : pdu));
}

async function openBench(
  t: ExecutionContext,
  change: (request: PeerRequest, obey: () => void) => void = (_, obey) => obey(),
  link: Keys = {},
  unit = 1,
): Promise<Bench> {
  const memory = new Uint16Array(200);
  const coils = new Set<number>();
  const peer = await startPeer(t, (request) => change(request, () => obey(request, memory, coils)));
  const host = fakeHost();
  const driver = modbusTcp(host);
  t.teardown(() => driver.close());
  const options = { profile: {}, points: [] };
  await driver.addDevice({ id: 'pump', address: { unit }, options }, soon());
  await driver.connect({ host: '127.0.0.1', port: peer.port, timeoutMs: 5000, ...link }, soon());
  const write = async (keys: Keys, value: PointValue | null, verify = true) => {
    if (driver.write === undefined) throw new Error('the driver cannot write');
    const address = { table: 'holding', addr: 10, write: {}, ...keys };
    const command = { pointId: 'p', address, value, verify, commandId: 'c1' };
    return driver.write('pump', command, soon());
  };
  return { driver, host, peer, memory, coils, write };
}

const writes = (peer: Peer) => peer.requests.filter(({ fc }) => fc > 4);

test('each function changes what its point holds and nothing beside it', async (t) => {
  const { write, memory, coils, peer } = await openBench(t);
  memory.fill(0xa5a5);
  const done = { outcome: 'done' } as const;
  t.like(await write({ type: 'int16' }, -7), { ...done, readBack: -7 });
  t.is(memory[10], 0xfff9);
  t.like(await write({ type: 'uint16', addr: 11, write: { fc: 16 } }, 9), { ...done, readBack: 9 });
  t.like(await write({ type: 'float32', addr: 12, order: 'CDAB' }, 230.2), {
    ...done,
    readBack: 230.2,
  });
  t.deepEqual([...memory.subarray(11, 15)], [9, 0x3333, 0x4366, 0xa5a5]);
  t.like(await write({ type: 'uint16', addr: 20, bit: 1 }, true), { ...done, readBack: true });
  t.like(await write({ type: 'uint8h', addr: 21 }, 0x12), { ...done, readBack: 0x12 });
  t.deepEqual([...memory.subarray(20, 22)], [0xa5a7, 0x12a5]);
  const mode = { type: 'uint16', addr: 30, enum: { 0: 'off', 2: 'comfort' } };
  t.like(await write(mode, 'comfort'), { ...done, readBack: 'comfort' });
  t.like(await write(mode, 0), { ...done, readBack: 'off' });
  t.like(await write({ type: 'string', addr: 40, len: 4 }, 'Pump'), { ...done, readBack: 'Pump' });
  const flags = { type: 'uint16', addr: 50, flags: { 0: 'heat', 4: 'fan' } };
  t.like(await write(flags, 'fan,heat'), done);
  t.is(memory[50], 0xa5b5);
  t.like(await write({ table: 'coil', addr: 3 }, true), { ...done, readBack: true });
  t.like(await write({ table: 'coil', addr: 4, write: { fc: 15 } }, true), done);
  t.like(await write({ table: 'coil', addr: 3 }, false), { ...done, readBack: false });
  t.deepEqual([...coils], [4]);
  t.deepEqual(
    writes(peer).map(({ fc }) => fc),
    [6, 16, 16, 22, 22, 6, 6, 16, 22, 5, 15, 5],
  );
});

const limits = { type: 'int16', write: { min: 10, max: 30, step: 0.5 } };
const refusals: ReadonlyArray<readonly [keys: Keys, value: PointValue | null, words: RegExp]> = [
  [{ type: 'int16', write: undefined as unknown as Json }, 1, /does not say that this point/],
  [{ type: 'int16', table: 'input' }, 1, /can only be read/],
  [{ table: 'discrete' }, true, /can only be read/],
  [{ type: 'int16', write: { fc: 22 } }, 1, /use 6 or 16/],
  [{ type: 'float32', write: { fc: 6 } }, 1, /use 16/],
  [{ type: 'int16', scale: { point: 'sf' } }, 1, /scale factor/],
  [limits, 9, /below 10/],
  [limits, 31, /above 30/],
  [limits, 20.25, /step 0.5/],
  [limits, 20.5, /not a whole number/],
  [{ type: 'int16' }, 40000, /out of range/],
  [{ type: 'int16' }, Number.NaN, /no number/],
  [{ type: 'int16' }, 'ten', /is a text/],
  [{ type: 'int16' }, true, /takes a number/],
  [{ type: 'int16' }, null, /cannot be released/],
  [{ type: 'int16', notAvailable: ['0x8000'] }, -32768, /no value/],
  [{ type: 'float32' }, 1e39, /no value/],
  [{ type: 'uint16', enum: { 0: 'off' } }, 'on', /no state "on"/],
  [{ type: 'uint16', enum: { 0: 'off' } }, 3, /no name for state 3/],
  [{ type: 'uint16', bit: 2 }, 1, /true or false/],
  [{ table: 'coil' }, 1, /true or false/],
  [{ type: 'string', len: 2 }, 'too long', /does not fit/],
  [{ type: 'bytes', len: 2 }, 'zz', /read back/],
  [{ type: 'string', len: 4 }, 'a ', /read back/],
];

test('what the profile or the type does not allow is refused before anything is sent', async (t) => {
  const { write, peer } = await openBench(t);
  for (const [keys, value, words] of refusals) {
    const result = await write(keys, value);
    t.is(result.outcome, 'refused', String(words));
    t.regex(result.detail ?? '', words);
  }
  t.is(peer.requests.length, 0);
});

test('unit 0 is never written: it would be every device of the line', async (t) => {
  const { write, peer } = await openBench(t, undefined, {}, 0);
  t.like(await write({ type: 'int16' }, 1), { outcome: 'refused' });
  t.is(peer.requests.length, 0);
});

test('a device that does not keep the value is told, within the tolerance it is not', async (t) => {
  const { write, memory } = await openBench(t, (request, obey) => {
    obey();
    if (request.fc === 6) memory[10] = 48;
  });
  t.like(await write({ type: 'int16' }, 50), { outcome: 'not-verified', readBack: 48 });
  const tolerant = { type: 'int16', write: { readback: { tolerance: 2, delayMs: 1 } } };
  t.like(await write(tolerant, 50), { outcome: 'done', readBack: 48 });
  t.deepEqual(await write({ type: 'int16', write: { readback: false } }, 50), { outcome: 'done' });
  t.deepEqual(await write({ type: 'int16' }, 50, false), { outcome: 'done' });
});

test('an exception says whether the device refused or nobody knows', async (t) => {
  let code = 3;
  const { write, peer } = await openBench(t, (request, obey) => {
    if (request.fc === 6) request.socket.write(exception(request, code));
    else obey();
  });
  for (code of [1, 2, 3, 6, 7, 10]) {
    t.like(await write({ type: 'int16' }, 5), { outcome: 'refused' }, `exception ${code}`);
  }
  t.is(peer.requests.length, 6);
  for (code of [4, 5, 11]) {
    t.like(await write({ type: 'int16' }, 5), { outcome: 'unknown', readBack: 0 });
  }
});

test('a write without an answer is never repeated, but read back', async (t) => {
  let carriesOut = true;
  const silent = (request: PeerRequest, obey: () => void) => {
    if (request.fc !== 6) return obey();
    const { socket } = request;
    const write = socket.write;
    socket.write = () => true;
    if (carriesOut) obey();
    socket.write = write;
  };
  const { write, peer } = await openBench(t, silent, { timeoutMs: 60 });
  t.like(await write({ type: 'int16' }, 5), { outcome: 'done', readBack: 5 });
  carriesOut = false;
  const lost = await write({ type: 'int16' }, 6);
  t.like(lost, { outcome: 'unknown', readBack: 5 });
  t.regex(lost.detail ?? '', /did not answer within 60 ms; the device holds 5/);
  t.is(writes(peer).length, 2);
});

test('a connection that breaks under a write leaves it unknown and unrepeated', async (t) => {
  const { write, peer } = await openBench(t, (request, obey) => {
    if (request.fc === 6) request.socket.destroy();
    else obey();
  });
  t.like(await write({ type: 'int16' }, 5), { outcome: 'unknown', readBack: 0 });
  t.is(writes(peer).length, 1);
});

test('a value that wears out a memory is not written again too soon', async (t) => {
  const { write, host, peer } = await openBench(t);
  const setpoint = { type: 'int16', write: { minIntervalS: 60 } };
  t.like(await write(setpoint, 5), { outcome: 'done' });
  t.like(await write(setpoint, 6), {
    outcome: 'refused',
    detail: 'written a moment ago; the next time in 60 s',
  });
  host.skip(60_000);
  t.like(await write(setpoint, 6), { outcome: 'done' });
  t.is(writes(peer).length, 2);
});

test('a wrong way of writing is found before the first poll', (t) => {
  const address = { table: 'holding', addr: 1, type: 'float32', write: { fc: 6 } };
  const points = [{ pointId: 'p', address, everyMs: 0 }];
  const issues = validateDevice({
    id: 'd',
    address: { unit: 1 },
    options: { profile: {}, points },
  });
  t.like(issues[0], { path: '/points/p/write', code: 'BAD_POINT' });
});
