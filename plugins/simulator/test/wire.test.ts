import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import modbusSerial from 'modbus-serial';
import { findPeer } from '../../../test/support/find-peer.ts';
import { exceptions } from '../models/unit.ts';
import { standaloneRuntime } from '../standalone.ts';
import { imageUnit, openListener } from './open-site.ts';
import { request } from './raw-client.ts';

const run = promisify(execFile);
const mbpoll = findPeer('mbpoll');
const withMbpoll = mbpoll === undefined ? test.skip : test;
const skipped = mbpoll === undefined ? ' (skipped: mbpoll is not installed)' : '';

/** What mbpoll prints as `[address]: value`, and fails if it does not succeed. */
async function poll(port: number, ...args: string[]): Promise<string[]> {
  const fixed = ['-m', 'tcp', '-0', '-1', '-o', '5', '-p', String(port)];
  const { stdout } = await run(mbpoll!, [...fixed, '127.0.0.1', ...args], { timeout: 20_000 });
  return [...stdout.matchAll(/^\[\d+\]:\s+(\S+)/gm)].map(([, value]) => value!);
}

withMbpoll(`mbpoll reads every table${skipped}`, async (t) => {
  const { port } = await openListener(t, { units: [imageUnit(3)] });
  const unit = ['-a', '3'];
  t.deepEqual(await poll(port, ...unit, '-t', '4:hex', '-r', '2', '-c', '3'), [
    '0x1002',
    '0x1003',
    '0x1004',
  ]);
  t.deepEqual(await poll(port, ...unit, '-t', '3:float', '-B', '-r', '256', '-c', '1'), ['230.2']);
  t.deepEqual(await poll(port, ...unit, '-t', '0', '-r', '0', '-c', '4'), ['1', '0', '1', '0']);
  t.deepEqual(await poll(port, ...unit, '-t', '1', '-r', '0', '-c', '2'), ['0', '1']);
});

withMbpoll(`mbpoll writes coils and registers, one and several${skipped}`, async (t) => {
  const { port } = await openListener(t, { units: [imageUnit(1)] });
  const holding = ['-t', '4', '-r', '5'];
  const write = async (...args: string[]) => {
    const at = args.indexOf('--');
    const fixed = ['-m', 'tcp', '-0', '-1', '-o', '5', '-p', String(port)];
    const given = [...fixed, ...args.slice(0, at), '127.0.0.1', ...args.slice(at + 1)];
    await run(mbpoll!, given, { timeout: 20_000 });
  };
  await write(...holding, '--', '7');
  t.deepEqual(await poll(port, ...holding, '-c', '1'), ['7']);
  await write(...holding, '--', '11', '12', '13');
  t.deepEqual(await poll(port, ...holding, '-c', '3'), ['11', '12', '13']);
  await write('-t', '0', '-r', '1', '--', '1');
  await write('-t', '0', '-r', '2', '--', '0', '1', '1');
  t.deepEqual(await poll(port, '-t', '0', '-r', '0', '-c', '5'), ['1', '1', '0', '1', '1']);
});

withMbpoll(`mbpoll is told which address does not exist${skipped}`, async (t) => {
  const { port } = await openListener(t, { units: [imageUnit(1)] });
  const error = await t.throwsAsync(() => poll(port, '-t', '4', '-r', '15', '-c', '2'));
  t.regex(String((error as { stderr?: string }).stderr), /Illegal data address/);
});

test('modbus-serial reads and writes with every function that it has', async (t) => {
  const { client } = await openSerialClient(t);
  t.deepEqual((await client.readHoldingRegisters(0, 3)).data, [0x1000, 0x1001, 0x1002]);
  t.deepEqual((await client.readInputRegisters(0x100, 2)).data, [0x4366, 0x3333]);
  t.deepEqual((await client.readCoils(0, 3)).data.slice(0, 3), [true, false, true]);
  t.deepEqual((await client.readDiscreteInputs(0, 2)).data.slice(0, 2), [false, true]);
  await client.writeRegister(4, 0xbeef);
  await client.writeRegisters(5, [1, 2, 3]);
  t.deepEqual((await client.readHoldingRegisters(4, 4)).data, [0xbeef, 1, 2, 3]);
  await client.maskWriteRegister(4, 0xff00, 0x0012);
  t.deepEqual((await client.readHoldingRegisters(4, 1)).data, [0xbe12]);
  await client.writeCoil(1, true);
  await client.writeCoils(2, [false, true, true]);
  t.deepEqual((await client.readCoils(0, 5)).data.slice(0, 5), [true, true, false, true, true]);
  const { data } = await client.readDeviceIdentification(1, 0);
  t.deepEqual(Object.values(data), ['Riser', 'SIM-IMAGE', '1.0']);
});

test('modbus-serial is told why a request is refused', async (t) => {
  const { client } = await openSerialClient(t);
  const codeOf = async (asked: Promise<unknown>) =>
    await asked.then(
      () => 0,
      (error: { modbusCode?: number }) => error.modbusCode,
    );
  t.is(await codeOf(client.readHoldingRegisters(15, 2)), exceptions.illegalAddress);
  t.is(await codeOf(client.writeRegister(16, 1)), exceptions.illegalAddress);
  t.is(await codeOf(client.writeCoils(7, [true, true])), exceptions.illegalAddress);
  client.setID(77);
  t.is(await codeOf(client.readHoldingRegisters(0, 1)), exceptions.noPath);
});

test('reading 125 registers and 2000 bits works, one more is refused with exception 3', async (t) => {
  const { client } = await openListener(t, { units: [{ unit: 1, model: 'counter' }] });
  for (const code of [3, 4]) {
    t.is((await client.ask(request(1, 1, code, [0, 125]))).length, 9 + 250);
    t.is((await client.ask(request(1, 1, code, [0, 126]))).at(-1), exceptions.illegalValue);
    t.is((await client.ask(request(1, 1, code, [0, 0]))).at(-1), exceptions.illegalValue);
    t.is((await client.ask(request(1, 1, code, [0xffff, 1]))).length, 11);
    t.is((await client.ask(request(1, 1, code, [0xffff, 2]))).at(-1), exceptions.illegalAddress);
  }
  for (const code of [1, 2]) {
    t.is((await client.ask(request(1, 1, code, [0, 2000]))).length, 9 + 250);
    t.is((await client.ask(request(1, 1, code, [0, 2001]))).at(-1), exceptions.illegalValue);
  }
});

test('a malformed request is refused and changes nothing', async (t) => {
  const { client } = await openListener(t, { units: [imageUnit(1)] });
  const code = async (frame: Buffer) => {
    const answer = await client.ask(frame);
    t.is(answer[7]! & 0x80, 0x80);
    return answer[8];
  };
  t.is(await code(request(1, 1, 99, [])), exceptions.illegalFunction);
  t.is(await code(request(1, 1, 5, [0, 0x1234])), exceptions.illegalValue);
  t.is(await code(request(1, 1, 6, [0])), exceptions.illegalValue);
  // Two registers announced, one sent; and a byte count that says something else.
  t.is(await code(request(1, 1, 16, [0, 2], Buffer.from([2, 9, 9]))), exceptions.illegalValue);
  t.is(await code(request(1, 1, 16, [0, 1], Buffer.from([4, 9, 9]))), exceptions.illegalValue);
  t.is(await code(request(1, 1, 15, [0, 9], Buffer.from([1, 0xff]))), exceptions.illegalValue);
  // Functions that could write half of what they are asked to.
  t.is(
    await code(request(1, 1, 16, [14, 3], Buffer.from([6, 1, 1, 2, 2, 3, 3]))),
    exceptions.illegalAddress,
  );
  t.is(
    await code(request(1, 1, 23, [100, 1, 0, 1], Buffer.from([2, 9, 9]))),
    exceptions.illegalAddress,
  );
  const after = await client.ask(request(2, 1, 3, [0, 16]));
  t.is(after.readUInt16BE(9), 0x1000);
  t.is(after.readUInt16BE(9 + 28), 0x100e);
});

test('write then read answers what has just been written', async (t) => {
  const { client } = await openListener(t, { units: [imageUnit(1)] });
  const answer = await client.ask(request(1, 1, 23, [2, 3, 3, 1], Buffer.from([2, 0xab, 0xcd])));
  t.is(answer.subarray(8).toString('hex'), '061002abcd1004');
});

test('device identification gives single objects and refuses those that do not exist', async (t) => {
  const { client } = await openListener(t, { units: [{ unit: 1, model: 'meter' }] });
  const answer = await client.ask(request(1, 1, 43, [0x0e04], Buffer.from([1])));
  t.is(answer.subarray(16).toString('latin1'), 'SIM-METER');
  const refused = await client.ask(request(1, 1, 43, [0x0e04], Buffer.from([9])));
  t.is(refused[8], exceptions.illegalAddress);
  t.is((await client.ask(request(1, 1, 43, [0x0d01], Buffer.from([0]))))[8], 1);
});

test('the registers of one answer of a counter belong together, and no two answers are alike', async (t) => {
  const { client } = await openListener(t, { units: [{ unit: 1, model: 'counter' }] });
  const seen = new Set<number>();
  for (let n = 0; n < 50; n++) {
    const answer = await client.ask(request(n, 1, 3, [40, 10]));
    const count = (answer.readUInt16BE(9) - 40) & 0xffff;
    seen.add(count);
    for (let r = 0; r < 10; r++) t.is(answer.readUInt16BE(9 + r * 2), (count + 40 + r) & 0xffff);
  }
  t.is(seen.size, 50);
  await client.ask(request(1, 1, 6, [7, 0x4242]));
  t.is((await client.ask(request(2, 1, 3, [7, 1]))).readUInt16BE(9), 0x4242);
});

test('no counter falls when the clock of the gateway is set back', async (t) => {
  let wall = Date.UTC(2026, 10, 20);
  const runtime = { ...standaloneRuntime(), now: () => wall };
  const { client } = await openListener(t, { units: [{ unit: 1, model: 'meter' }] }, runtime);
  const energy = async () => (await client.ask(request(1, 1, 4, [16, 4]))).readBigUInt64BE(9);
  const before = await energy();
  wall -= 30 * 86_400_000;
  t.true((await energy()) >= before);
});

test('a pump is stopped by its coil and set to a speed by its register', async (t) => {
  const { client } = await openListener(t, { units: [{ unit: 1, model: 'pump', seed: 2 }] });
  const speed = async () => (await client.ask(request(1, 1, 3, [0, 1]))).readUInt16BE(9);
  t.true((await speed()) >= 600);
  await client.ask(request(1, 1, 6, [0, 1500]));
  t.is(await speed(), 1500);
  t.is((await client.ask(request(1, 1, 6, [0, 3001])))[8], exceptions.illegalValue);
  await client.ask(request(1, 1, 5, [0, 0]));
  t.is(await speed(), 0);
  await client.ask(request(1, 1, 5, [0, 0xff00]));
  t.is(await speed(), 1500);
});

test('a write to unit 0 reaches every unit and nobody answers', async (t) => {
  const { client } = await openListener(t, { units: [imageUnit(1), imageUnit(2)] });
  client.send(request(9, 0, 6, [0, 0x7777]));
  for (const unit of [1, 2]) {
    const answer = await client.ask(request(unit, unit, 3, [0, 1]));
    t.is(answer.readUInt16BE(0), unit);
    t.is(answer.readUInt16BE(9), 0x7777);
  }
});

test('requests that arrive together are answered in order, and split ones once they are complete', async (t) => {
  const { client } = await openListener(t, { units: [imageUnit(1)] });
  client.send(Buffer.concat([1, 2, 3].map((n) => request(n, 1, 3, [n, 1]))));
  for (const n of [1, 2, 3]) {
    const answer = await client.frame();
    t.is(answer.readUInt16BE(0), n);
    t.is(answer.readUInt16BE(9), 0x1000 + n);
  }
  const frame = request(4, 1, 3, [4, 1]);
  for (let at = 0; at < frame.length; at++) {
    client.send(frame.subarray(at, at + 1));
    await new Promise(setImmediate);
  }
  t.is((await client.frame()).readUInt16BE(9), 0x1004);
});

async function openSerialClient(t: ExecutionContext) {
  const { port } = await openListener(t, { units: [imageUnit(1)] });
  const client = new modbusSerial.default();
  client.on('error', () => {});
  await client.connectTCP('127.0.0.1', { port });
  t.teardown(() => client.destroy(() => {}));
  client.setID(1);
  client.setTimeout(5000);
  return { client };
}
