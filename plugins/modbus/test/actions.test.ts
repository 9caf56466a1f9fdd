import test, { type ExecutionContext } from 'ava';
import type { ActionOutput, Json } from '#driver';
import type { ActionScene } from '../actions/conversation.ts';
import { hostRanges, numberList } from '../actions/hosts.ts';
import { readIdentity } from '../actions/identity.ts';
import { pooled } from '../actions/pooled.ts';
import { readingsOf } from '../actions/readings-of-words.ts';
import { manualNumber, registerSpec } from '../actions/register-spec.ts';
import { runAction } from '../actions/run-action.ts';
import { FrameTrace, tracedLink } from '../frame-trace.ts';
import { tcpSettings } from '../settings.ts';
import { TcpLink } from '../tcp-link.ts';
import { fakeHost } from './fake-host.ts';
import { exception, frame, type PeerRequest, registers, startPeer } from './peer.ts';

const never = new AbortController().signal;

async function outputsOf(
  scene: ActionScene,
  name: string,
  args: Json,
  signal = never,
): Promise<readonly ActionOutput[]> {
  const outputs: ActionOutput[] = [];
  for await (const output of runAction(scene, name, args, signal)) outputs.push(output);
  return outputs;
}

const stray = (): ActionScene => ({ host: fakeHost(), device: () => undefined });
const rowsOf = (outputs: readonly ActionOutput[]) =>
  outputs.flatMap((output) => (output.kind === 'row' ? [output.row] : []));

/** Objects of FC43/14 in one answer. */
function page(more: number, next: number, objects: readonly (readonly [number, string])[]): Buffer {
  const head = [0x2b, 0x0e, 1, 1, more, next, objects.length];
  const body = objects.flatMap(([id, text]) => [id, text.length, ...Buffer.from(text)]);
  return Buffer.from([...head, ...body]);
}

/** The peer needs 12 bytes for a request; FC43 and FC17 are shorter, so they are padded by nobody. */
async function linkTo(t: ExecutionContext, answer: (request: PeerRequest) => void) {
  const peer = await startPeer(t, answer);
  const host = fakeHost();
  const trace = new FrameTrace(4);
  const settings = tcpSettings({ host: '127.0.0.1', port: peer.port, timeoutMs: 200 });
  const link = tracedLink(new TcpLink(host, settings, () => false), host, trace);
  t.teardown(() => link.close());
  await link.open(never);
  const device = (id: string) =>
    id === 'meter' ? { unit: 3, timeoutMs: 200, interRequestMs: 0 } : undefined;
  const scene: ActionScene = { host, link, trace, device };
  return { peer, scene };
}

const words = new Map([
  [69, 0x0000],
  [70, 0x4366],
  [71, 0x8000],
  [72, 0x1234],
  [73, 0x0000],
  [74, 0x0001],
]);

test('a /8 is refused in any case, and more than a /22 without --force', (t) => {
  t.throws(() => hostRanges(['10.0.0.0/8'], true), { message: /16777214 hosts.*at most 65536/ });
  t.throws(() => hostRanges(['10.0.0.0/21'], false), { message: /2046 hosts.*--force/ });
  t.is(hostRanges(['10.0.0.0/21'], true).size, 2_046);
  t.deepEqual(
    [...hostRanges(['192.168.1.77/30', '10.0.0.9-11', 'plc-1'], false).hosts()],
    ['192.168.1.77', '192.168.1.78', '10.0.0.9', '10.0.0.10', '10.0.0.11', 'plc-1'],
  );
  for (const wrong of ['1.2.3/24', '1.2.3.4/33', '1.2.3.999', 'a b', '10.0.0.9-3', '::1/64']) {
    t.throws(() => hostRanges([wrong], false), { message: /is no address/ }, wrong);
  }
  t.deepEqual(numberList('unit', ['1-3', '255', '2'], 255), [1, 2, 3, 255]);
  t.throws(() => numberList('unit', ['256'], 255), { message: /unit "256" is not right/ });
});

test('a register is written as in the manual or as it travels', (t) => {
  for (const text of ['4x:40071', '40071', '4x:71', 'holding:70', '400071']) {
    t.deepEqual(registerSpec(text), { table: 'holding', address: 70 }, text);
  }
  t.deepEqual(registerSpec('3x:30001'), { table: 'input', address: 0 });
  t.is(manualNumber({ table: 'holding', address: 70 }), '40071');
  t.is(manualNumber({ table: 'coil', address: 0 }), '00001');
  for (const wrong of ['4x:0', 'holding:65536', 'register:1', '50001', '3x:40001', '']) {
    t.throws(() => registerSpec(wrong), { message: /write 4x:40071/ }, wrong);
  }
});

test('230.5 is found among the orders of its registers, and the wrong ones are not marked', (t) => {
  const float = readingsOf(Buffer.from('43668000', 'hex')).find(({ type }) => type === 'float32');
  t.is(float?.values.ABCD, 230.5);
  t.deepEqual(float?.plausible, ['ABCD']);
  t.deepEqual(
    readingsOf(Buffer.from('0000000000000000', 'hex')).flatMap(({ plausible }) => plausible),
    [],
  );
});

test('read shows a register as every type, and its neighbours', async (t) => {
  const { scene } = await linkTo(t, (request) =>
    request.socket.write(registers(request, (address) => words.get(address) ?? 0)),
  );
  const outputs = await outputsOf(scene, 'read', { target: 'meter', register: '4x:40071' });
  t.deepEqual(
    outputs.filter(({ kind }) => kind === 'note'),
    [
      {
        kind: 'note',
        level: 'info',
        text: 'unit 3 on link test, holding registers, address 70 (40071 in manuals that count from 1), raw 0x4366 0x8000 0x1234 0x0000',
      },
    ],
  );
  const rows = rowsOf(outputs);
  t.deepEqual([...new Set(rows.map(({ address }) => address))], [69, 70, 71]);
  const float = rows.find(({ address, type }) => address === 70 && type === 'float32');
  t.is(float?.ABCD, 230.5);
  t.is(float?.plausible, 'ABCD');
});

test('read asks for less when the device refuses more, and says what it refused at last', async (t) => {
  const { scene } = await linkTo(t, (request) =>
    request.socket.write(
      request.count > 1 || request.address !== 70 ? exception(request, 2) : registers(request),
    ),
  );
  const args = { target: 'meter', register: 'holding:70' };
  t.deepEqual(
    rowsOf(await outputsOf(scene, 'read', args)).map(({ type }) => type),
    ['uint16', 'int16'],
  );
  await t.throwsAsync(outputsOf(scene, 'read', { target: 'meter', register: 'holding:9' }), {
    message: /does not have this address \(address 9 in holding registers, exception 2\)/,
  });
});

test('a device that nobody knows, and a host that is none, are named', async (t) => {
  const { scene } = await linkTo(t, () => undefined);
  await t.throwsAsync(outputsOf(scene, 'read', { target: 'x', register: '40001' }), {
    message: 'link test has no device x',
  });
  await t.throwsAsync(outputsOf(stray(), 'identify', { target: 'a b' }), {
    message: /"a b" is no host/,
  });
  await t.throwsAsync(outputsOf(stray(), 'trace', {}), { message: /--link/ });
});

test('an identity is read in several answers', async (t) => {
  const answers = [
    page(0xff, 1, [[0, 'Acme']]),
    page(0, 0, [
      [1, 'PM-5'],
      [2, 'v2\u0000'],
    ]),
  ];
  const asked: string[] = [];
  const { objects, oddities } = await readIdentity(async (pdu) => {
    asked.push(pdu.toString('hex'));
    return pdu[0] === 0x11 ? Buffer.from([0x91, 1]) : (answers.shift() ?? Buffer.alloc(0));
  });
  t.deepEqual(asked, ['2b0e0100', '2b0e0101', '11']);
  t.deepEqual([...objects.values()], ['Acme', 'PM-5', 'v2']);
  t.deepEqual(oddities, []);
});

test('a device that announces more for ever is left after 32 answers at most', async (t) => {
  let asked = 0;
  const forEver = await readIdentity(async (pdu) => {
    if (pdu[0] === 0x11) throw new Error('no answer');
    asked += 1;
    return page(0xff, (pdu[3] ?? 0) + 1, [[pdu[3] ?? 0, 'x']]);
  });
  t.is(asked, 32);
  t.is(forEver.oddities.length, 1);
  asked = 0;
  const standing = await readIdentity(async (pdu) => {
    asked += 1;
    return pdu[0] === 0x11 ? Buffer.from([0x11, 250]) : page(0xff, 0, [[0, 'x']]);
  });
  t.is(asked, 2);
  t.deepEqual(standing.oddities, ['it announces more and begins anew']);
  t.deepEqual([...standing.objects.keys()], [0]);
});

test('an identity of lies about its length has no objects', async (t) => {
  for (const bytes of ['2b0e', '2b0e01010000ff00ff41', '2b0e0101000001', 'ffff', '']) {
    const { objects, oddities } = await readIdentity(async () => Buffer.from(bytes, 'hex'));
    t.is(objects.size, 0, bytes);
    t.true(oddities.length <= 1, bytes);
  }
});

test('the trace keeps the last exchanges with their verdicts', async (t) => {
  const { scene } = await linkTo(t, (request) => {
    if (request.address === 1) request.socket.write(exception(request, 2));
    else if (request.address === 2) request.socket.write(frame(request, [3, 9, 0]));
    else if (request.address !== 3) request.socket.write(registers(request));
  });
  for (const address of [9, 8, 0, 1, 2, 3]) {
    const pdu = Buffer.from([3, 0, address, 0, 1]);
    const ask = { unit: 3, pdu, timeoutMs: 50, interRequestMs: 0, signal: never };
    await scene.link?.request(ask).catch(() => undefined);
  }
  const rows = rowsOf(await outputsOf(scene, 'trace', { target: 'meter' }));
  t.deepEqual(
    rows.map(({ request }) => request),
    ['0300000001', '0300010001', '0300020001', '0300030001'],
  );
  t.is(rows[0]?.answer, '03020000');
  t.is(rows[1]?.verdict, 'exception 2');
  t.regex(String(rows[2]?.verdict), /answered with/);
  t.is(rows[3]?.verdict, 'timeout');
  t.is(rowsOf(await outputsOf(scene, 'trace', { unit: 4 })).length, 0);
});

test('probe finds the longest request and the holes, and writes them as a profile', async (t) => {
  const { peer, scene } = await linkTo(t, (request) => {
    const last = request.address + request.count - 1;
    const overHole = request.address <= 21 && last >= 20;
    request.socket.write(
      request.count > 30 || overHole ? exception(request, 2) : registers(request),
    );
  });
  const args = { target: 'meter', count: 80 };
  const yaml = rowsOf(await outputsOf(scene, 'probe', args)).map((row) => row.yaml);
  t.deepEqual(yaml, ['limits:', '  maxRegisters: 30', 'holes:', '  - [20, 21]']);
  t.true(peer.requests.length <= 200);
});

test('a probe of a device that refuses everything ends after 200 requests and says so', async (t) => {
  const { peer, scene } = await linkTo(t, (request) => request.socket.write(exception(request, 2)));
  const outputs = await outputsOf(scene, 'probe', { target: 'meter', count: 1_000 });
  t.true(peer.requests.length <= 201);
  t.true(outputs.some((output) => output.kind === 'note' && output.level === 'warning'));
});

test('the plan comes before anything is sent or opened', async (t) => {
  const peer = await startPeer(t, () => t.fail('something was sent'));
  const target = `127.0.0.1:${peer.port}`;
  const all: readonly (readonly [string, Json])[] = [
    ['scan', { mode: 'tcp', targets: ['127.0.0.1'], ports: [String(peer.port)] }],
    ['identify', { target }],
    ['read', { target, register: '40001' }],
    ['probe', { target }],
  ];
  for (const [name, args] of all) {
    for await (const output of runAction(stray(), name, args, never)) {
      t.is(output.kind, 'plan', name);
      break;
    }
  }
  t.is(peer.accepted, 0);
});

test('a scan that is called off begins nothing more and leaves no connection', async (t) => {
  const peer = await startPeer(t, () => undefined);
  const stop = new AbortController();
  const scene = stray();
  const units = ['1-200'];
  const args = { mode: 'tcp', targets: ['127.0.0.1'], ports: [String(peer.port)], units };
  const scanned = outputsOf(scene, 'scan', args, stop.signal);
  while (peer.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  stop.abort(new Error('enough'));
  t.deepEqual(rowsOf(await scanned), []);
  t.is(peer.requests.length, 1);
  t.is((scene.host as ReturnType<typeof fakeHost>).timers(), 0);
});

test('so many jobs run at a time and no more, and a failure ends the rest', async (t) => {
  let running = 0;
  let most = 0;
  const work = async (job: number) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    if (job === 900) throw new Error('broken');
    return [job];
  };
  const jobs = Array.from({ length: 1_000 }, (_, index) => index);
  const found: number[] = [];
  for await (const job of pooled(jobs.slice(0, 200), 64, work, never)) found.push(job);
  t.is(found.length, 200);
  t.is(most, 64);
  await t.throwsAsync(
    async () => {
      for await (const job of pooled(jobs, 64, work, never)) found.push(job);
    },
    { message: 'broken' },
  );
  t.true(found.length < 200 + 1_000);
});
