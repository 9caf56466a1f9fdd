import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { Json, PointRequest, PointValue } from '#driver';
import { encode } from '../../plugins/modbus/encode.ts';
import modbusTcp from '../../plugins/modbus/index.ts';
import { parsePoint } from '../../plugins/modbus/point.ts';
import { fakeHost } from '../../plugins/modbus/test/fake-host.ts';
import { findPeer } from '../support/find-peer.ts';

interface Sample {
  readonly table: 'coil' | 'discrete' | 'holding' | 'input';
  readonly type: string;
  readonly order: string;
  readonly value: PointValue;
  readonly addr: number;
  readonly len: number;
}

const support = fileURLToPath(new URL('../support/', import.meta.url));
const orders = ['ABCD', 'CDAB', 'BADC', 'DCBA'];
// [type, registers, value]; no value reads the same in two orders.
const values: ReadonlyArray<readonly [type: string, len: number, value: PointValue]> = [
  ['int16', 1, -12345],
  ['uint16', 1, 54321],
  ['int32', 2, -1234567890],
  ['uint32', 2, 4123456789],
  ['int64', 4, -1234567890123456789n],
  ['uint64', 4, 12345678901234567890n],
  ['float16', 1, 37.13],
  ['float32', 2, 230.2],
  ['float64', 4, -1.2345678901234e-7],
];
const byWords: ReadonlyArray<readonly [type: string, len: number, value: PointValue]> = [
  ['bcd16', 1, 9274],
  ['bcd32', 2, 12345678],
  ['mod10k', 2, 98765432],
  ['bytes', 3, '0102deadbeef'],
];

function samples(): Sample[] {
  const found: Sample[] = [];
  for (const table of ['holding', 'input'] as const) {
    let addr = 0;
    const add = (type: string, len: number, order: string, value: PointValue) => {
      found.push({ table, type, order, value, addr, len });
      addr += len;
    };
    for (const order of orders) {
      for (const [type, len, value] of [...values, ...byWords]) add(type, len, order, value);
    }
    add('string', 6, 'ABCD', 'SDM630-V2 12');
  }
  for (const table of ['coil', 'discrete'] as const) {
    for (let addr = 0; addr < 40; addr++) {
      const value = (addr * (table === 'coil' ? 7 : 11)) % 3 === 0;
      found.push({ table, type: 'bool', order: 'ABCD', value, addr, len: 1 });
    }
  }
  return found;
}

function requestOf(sample: Sample): PointRequest {
  const { table, type, order, addr, len } = sample;
  const address: { [key: string]: Json } = { table, type, order, addr };
  if (type === 'string' || type === 'bytes') address.len = len;
  return { pointId: `${table} ${type} ${order} ${addr}`, address };
}

/** The registers of a sample as our own encoder has them. */
function wordsOf(sample: Sample): number[] {
  const { pointId, address } = requestOf(sample);
  const bytes = encode(parsePoint(pointId, address), sample.value);
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2));
}

/** Runs a server that takes its image from standard input and prints its port. */
async function startServer(
  t: ExecutionContext,
  command: readonly [string, ...string[]],
  input: string,
): Promise<number> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  child.stdin.write(input);
  const [line] = (await once(child.stdout, 'data', { signal: AbortSignal.timeout(20_000) })) as [
    Buffer,
  ];
  return Number(line);
}

async function readsEverything(t: ExecutionContext, port: number): Promise<void> {
  const host = fakeHost();
  const driver = modbusTcp(host);
  t.teardown(() => driver.close());
  const device = { id: 'peer', address: { unit: 1 }, options: { profile: {}, points: [] } };
  await driver.addDevice(device, AbortSignal.timeout(5000));
  await driver.connect({ host: '127.0.0.1', port, timeoutMs: 3000 }, AbortSignal.timeout(5000));
  const all = samples();
  const results = await driver.read('peer', all.map(requestOf), AbortSignal.timeout(20_000));
  t.is(results.length, all.length);
  for (const [index, sample] of all.entries()) {
    const { pointId, value, quality, error } = results[index]!;
    t.is(value, sample.value, `${pointId} ${error?.message ?? ''}`);
    t.is(quality, 'good');
  }
  const beyond = { pointId: 'none', address: { table: 'holding', type: 'uint16', addr: 9000 } };
  const [refused, good] = await driver.read(
    'peer',
    [beyond, requestOf(all[0]!)],
    AbortSignal.timeout(5000),
  );
  t.like(refused, { quality: 'bad', error: { kind: 'refused', code: 'exception 2' } });
  t.is(good?.value, all[0]!.value);
  t.is(host.metrics.get('bad_frames_total'), undefined);
}

const python = findPeer('python3');
const hasPymodbus =
  python !== undefined && spawnSync(python, ['-c', 'import pymodbus']).status === 0;
const pymodbusTest = hasPymodbus ? test : test.skip;
const pymodbusTitle = hasPymodbus
  ? ''
  : ' (skipped: no python3 with pymodbus, apt install python3-pymodbus)';

pymodbusTest(
  `every type, order and table of a pymodbus server is read rightly${pymodbusTitle}`,
  async (t) => {
    const own = new Set(byWords.map(([type]) => type));
    const image = samples().map((sample) => {
      const { table, type, order, addr } = sample;
      // pymodbus has no encoder for these.
      if (own.has(type)) return { table, addr, type: 'words', order, value: wordsOf(sample) };
      const value = typeof sample.value === 'bigint' ? String(sample.value) : sample.value;
      return { table, addr, type, order, value };
    });
    const program = path.join(support, 'pymodbus-server.py');
    const port = await startServer(t, [python ?? '', program], `${JSON.stringify(image)}\n`);
    await readsEverything(t, port);
  },
);

const gcc = findPeer('gcc');
const hasLibmodbus =
  gcc !== undefined &&
  spawnSync(gcc, ['-E', '-I/usr/include/modbus', '-include', 'modbus.h', '-'], { input: '' })
    .status === 0;
const libmodbusTest = hasLibmodbus ? test : test.skip;
const libmodbusTitle = hasLibmodbus
  ? ''
  : ' (skipped: no gcc with libmodbus, apt install gcc libmodbus-dev)';

/** Compiles the server once for each version of its source. */
function libmodbusServer(): string {
  const source = path.join(support, 'libmodbus-server.c');
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const program = path.join(tmpdir(), `riser-libmodbus-server-${hash}`);
  if (existsSync(program)) return program;
  const fresh = `${program}.${process.pid}`;
  const flags = ['-O2', '-Wall', '-I/usr/include/modbus', source, '-o', fresh, '-lmodbus'];
  const { status, stderr } = spawnSync(gcc ?? '', flags, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`libmodbus-server.c does not compile:\n${stderr}`);
  renameSync(fresh, program);
  return program;
}

function libmodbusLines(sample: Sample): string[] {
  const { table, type, order, addr, value } = sample;
  if (type === 'bool') return [`bit ${table} ${addr} ${value === true ? 1 : 0}`];
  if (type === 'float32' && (order === 'ABCD' || order === 'CDAB')) {
    return [`float ${table} ${addr} ${order} ${value}`];
  }
  if ((type === 'int32' || type === 'int64') && order === 'ABCD') {
    return [`${type} ${table} ${addr} ${value}`];
  }
  // libmodbus has no encoder for the others.
  return wordsOf(sample).map((word, index) => `word ${table} ${addr + index} ${word}`);
}

libmodbusTest(
  `every type, order and table of a libmodbus server is read rightly${libmodbusTitle}`,
  async (t) => {
    const input = `${[...samples().flatMap(libmodbusLines), 'serve'].join('\n')}\n`;
    const port = await startServer(t, [libmodbusServer()], input);
    await readsEverything(t, port);
  },
);

libmodbusTest(
  `a libmodbus server really holds what is written to it${libmodbusTitle}`,
  async (t) => {
    const port = await startServer(t, [libmodbusServer()], 'word holding 20 42405\nserve\n');
    const open = async () => {
      const driver = modbusTcp(fakeHost());
      t.teardown(() => driver.close());
      const device = { id: 'peer', address: { unit: 1 }, options: { profile: {}, points: [] } };
      await driver.addDevice(device, AbortSignal.timeout(5000));
      await driver.connect({ host: '127.0.0.1', port, timeoutMs: 3000 }, AbortSignal.timeout(5000));
      return driver;
    };
    const writes: ReadonlyArray<readonly [address: { [key: string]: Json }, value: PointValue]> = [
      [{ table: 'coil', addr: 3, write: { fc: 5 } }, true],
      [{ table: 'coil', addr: 5, write: { fc: 15 } }, true],
      [{ table: 'holding', addr: 10, type: 'int16', write: { fc: 6 } }, -7],
      [{ table: 'holding', addr: 12, type: 'float32', order: 'CDAB', write: { fc: 16 } }, 230.2],
      [{ table: 'holding', addr: 20, type: 'uint16', bit: 1, write: { fc: 22 } }, true],
    ];
    const writer = await open();
    for (const [index, [address, value]] of writes.entries()) {
      const command = {
        pointId: `w${index}`,
        address,
        value,
        verify: true,
        commandId: `c${index}`,
      };
      const result = await writer.write?.('peer', command, AbortSignal.timeout(5000));
      t.deepEqual(result, { outcome: 'done', readBack: value });
    }
    const beyond = { table: 'holding', addr: 9000, type: 'int16', write: {} };
    const far = { pointId: 'far', address: beyond, value: 1, verify: true, commandId: 'c' };
    t.like(await writer.write?.('peer', far, AbortSignal.timeout(5000)), { outcome: 'refused' });
    await writer.close();
    const raw = [3, 5].map((addr) => ({ table: 'coil', addr }) as const);
    const words = [10, 12, 13, 20].map(
      (addr) => ({ table: 'holding', type: 'uint16', addr }) as const,
    );
    const requests = [...raw, ...words].map((address, index) => ({
      pointId: `r${index}`,
      address,
    }));
    const reader = await open();
    const results = await reader.read('peer', requests, AbortSignal.timeout(5000));
    t.deepEqual(
      results.map(({ value }) => value),
      [true, true, 0xfff9, 0x3333, 0x4366, 0xa5a7],
    );
  },
);
