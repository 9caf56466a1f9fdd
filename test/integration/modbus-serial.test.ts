import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { DriverFactory, Json } from '#driver';
import ascii from '../../plugins/modbus/drivers/ascii.ts';
import rtu from '../../plugins/modbus/drivers/rtu.ts';
import udp from '../../plugins/modbus/drivers/udp.ts';
import { type FakeHost, fakeHost } from '../../plugins/modbus/test/fake-host.ts';
import { loadCatalog } from '../../src/field/catalog.ts';
import { eventually, fakeDevice, fakeLink, startField } from '../support/field-bench.ts';
import { findPeer } from '../support/find-peer.ts';
import { hasLibmodbus, libmodbusProgram, startServer } from '../support/libmodbus-program.ts';
import { type SerialPair, serialPair } from '../support/serial-pair.ts';

const root = path.join(import.meta.dirname, '..', '..');
const python = findPeer('python3') ?? 'python3';
const hasSocat = findPeer('socat') !== undefined;
const hasPymodbus = spawnSync(python, ['-c', 'import pymodbus']).status === 0;
const line = { parity: 'none' };

/** A test that says in its name which peer is missing. */
function withPeers(...missing: readonly (readonly [boolean, string])[]) {
  const absent = missing.filter(([there]) => !there).map(([, name]) => name);
  return {
    run: absent.length === 0 ? test : test.skip,
    title: absent.length === 0 ? '' : ` (skipped: no ${absent.join(', ')})`,
  };
}

const libmodbus = withPeers([hasSocat, 'socat'], [hasLibmodbus(), 'gcc with libmodbus']);
const pymodbus = withPeers([hasSocat, 'socat'], [hasPymodbus, 'python3 with pymodbus']);
const pymodbusOnly = withPeers([hasPymodbus, 'python3 with pymodbus']);

interface Reader {
  readonly host: FakeHost;
  /** Reads holding registers; the values, or the kind of the failure. */
  read(address: number, count?: number, unit?: number): Promise<Json>;
}

async function openReader(
  t: ExecutionContext,
  factory: DriverFactory,
  config: Json,
): Promise<Reader> {
  const host = fakeHost();
  const driver = factory(host);
  t.teardown(async () => {
    await driver.close();
    if (host.timers() > 0) throw new Error('a closed link left a timer');
  });
  for (const unit of [1, 2]) {
    const device = { id: `u${unit}`, address: { unit }, options: { profile: {}, points: [] } };
    await driver.addDevice(device, AbortSignal.timeout(5_000));
  }
  await driver.connect(config, AbortSignal.timeout(5_000));
  return {
    host,
    async read(address, count = 1, unit = 1) {
      const points = Array.from({ length: count }, (_, n) => ({
        pointId: `p${n}`,
        address: { table: 'holding', type: 'uint16', addr: address + n },
      }));
      try {
        const results = await driver.read(`u${unit}`, points, AbortSignal.timeout(20_000));
        return results.map(({ value, error }) => (value as number) ?? error?.kind ?? null);
      } catch (error) {
        return (error as { kind: string }).kind;
      }
    },
  };
}

const from = (address: number, count: number) =>
  Array.from({ length: count }, (_, n) => address + n);

async function libmodbusOn(t: ExecutionContext, pair: SerialPair, unit = 1, lateMs = 0) {
  const program = libmodbusProgram('libmodbus-rtu-server');
  return await startServer(t, [program, pair.theirs, String(unit), String(lateMs)]);
}

libmodbus.run(
  `a libmodbus server on a serial line is read rightly, up to 125 registers at once${libmodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    await libmodbusOn(t, pair);
    const { read } = await openReader(t, rtu, { path: pair.ours, baudRate: 115200, ...line });
    t.deepEqual(await read(7, 3), [7, 8, 9]);
    t.deepEqual(await read(100, 125), from(100, 125));
    t.deepEqual(await read(599, 2), [599, 'refused']);
    t.deepEqual(await read(5), [5]);
  },
);

libmodbus.run(
  `after an answer that is late, none of 200 reads brings a wrong value${libmodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    await libmodbusOn(t, pair, 1, 400);
    const config = { path: pair.ours, baudRate: 115200, timeoutMs: 300, ...line };
    const { read } = await openReader(t, rtu, config);
    t.is(await read(400), 'timeout');
    for (let address = 0; address < 200; address++) t.deepEqual(await read(address), [address]);
  },
);

libmodbus.run(
  `while a unit that timed out is left alone, the others are read${libmodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    await libmodbusOn(t, pair, 1);
    const config = { path: pair.ours, baudRate: 115200, timeoutMs: 500, ...line };
    const { read } = await openReader(t, rtu, config);
    t.is(await read(0, 1, 2), 'timeout');
    const order: string[] = [];
    const again = read(0, 1, 2).then((value) => order.push(`absent ${value}`));
    for (let address = 0; address < 20; address++) {
      t.deepEqual(await read(address), [address]);
      order.push('healthy');
    }
    t.is(order.length, 20, 'all healthy reads came before the held back one was even sent');
    await again;
    t.is(order.at(-1), 'absent timeout');
  },
);

libmodbus.run(
  `an adapter that is pulled out and plugged in again is read again without help${libmodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    const { child } = await libmodbusOn(t, pair);
    const config = { path: pair.ours, baudRate: 115200, timeoutMs: 300, ...line };
    const { read, host } = await openReader(t, rtu, config);
    t.deepEqual(await read(1), [1]);
    child.kill('SIGKILL');
    await pair.unplug();
    t.is(await read(2), 'link-down');
    await pair.plugIn();
    await libmodbusOn(t, pair);
    host.skip(60_000);
    t.deepEqual(await read(3), [3]);
    t.deepEqual(host.lost, [], 'the host need not do anything');
  },
);

libmodbus.run(`a port that another program holds is told as that${libmodbus.title}`, async (t) => {
  const pair = await serialPair(t);
  const config = { path: pair.ours, ...line };
  await openReader(t, rtu, config);
  await t.throwsAsync(openReader(t, rtu, config), {
    message: /another program holds it, and a line takes only one/,
  });
  await t.throwsAsync(openReader(t, rtu, { path: '/dev/riser-none' }), {
    message: /there is no such port \(adapter unplugged, or path wrong/,
  });
});

libmodbus.run(
  `through a driver process without other rights, a serial line is polled${libmodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    await libmodbusOn(t, pair);
    const catalog = loadCatalog(path.join(root, 'plugins'));
    const { field, sink } = startField(t, { catalog });
    const device = fakeDevice('meter', 'line', {
      pointAddress: (n) => ({ table: 'holding', addr: 20 + n, type: 'uint16' }),
    });
    const config = { path: pair.port(), baudRate: 115200, ...line };
    await field.apply([fakeLink('line', 'modbus-rtu', config)], [device]);
    await eventually(t, 'values', () => sink.results.length >= 10);
    t.deepEqual(
      [...new Set(sink.results.map(({ value, quality }) => `${value} ${quality}`))].sort(),
      ['20 good', '21 good'],
    );
  },
);

const lineServer = path.join(root, 'test', 'support', 'pymodbus-line-server.py');

pymodbus.run(
  `a pymodbus server that sends byte for byte is read rightly over RTU${pymodbus.title}`,
  async (t) => {
    const pair = await serialPair(t);
    await startServer(t, [python, lineServer, 'rtu', pair.theirs, '1']);
    const { read, host } = await openReader(t, rtu, { path: pair.ours, ...line });
    t.deepEqual(await read(10, 20), from(10, 20));
    t.deepEqual(await read(400, 1), [400]);
    t.is(host.metrics.get('bad_frames_total'), undefined);
  },
);

pymodbus.run(`a pymodbus server is read rightly over ASCII${pymodbus.title}`, async (t) => {
  const pair = await serialPair(t);
  await startServer(t, [python, lineServer, 'ascii', pair.theirs, '0']);
  const { read } = await openReader(t, ascii, { path: pair.ours, baudRate: 115200 });
  t.deepEqual(await read(10, 20), from(10, 20));
  t.deepEqual(await read(300, 100), from(300, 100));
  t.deepEqual(await read(599, 2), [599, 'refused']);
  // Ends a process that uses the library as it is.
  writeFileSync(pair.theirs, ':\r\n:0\r\n::::\r\n');
  t.deepEqual(await read(10), [10]);
});

pymodbusOnly.run(`a pymodbus server is read rightly over UDP${pymodbusOnly.title}`, async (t) => {
  const { line: port } = await startServer(t, [python, lineServer, 'udp']);
  const { read } = await openReader(t, udp, { host: '127.0.0.1', port: Number(port) });
  t.deepEqual(await read(10, 20), from(10, 20));
  t.deepEqual(await read(300, 125), from(300, 125));
  t.deepEqual(await read(599, 2), [599, 'refused']);
});
