import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type {
  Capability,
  Driver,
  DriverFactory,
  DriverHost,
  Json,
  PointRequest,
  PointResult,
  WriteResult,
} from '#driver';
import createDriver from '../../plugins/_template/index.ts';
import { answerLine, numberOf } from '../../plugins/_template/test/device.ts';
import { freePort } from '../support/free-port.ts';
import type { DriverBench, Rule } from './driver-bench.ts';
import { contractRules, kitOf } from './driver-contract.ts';
import { foreignUses } from './driver-sources.ts';
import { notJsonSafe } from './json-safe.ts';
import { startTcpPeer, type Wire } from './tcp-peer.ts';

/** A kit that lets everything pass proves nothing: each sabotage has to be seen by its rule. */

const wire: Wire = {
  split(bytes) {
    const end = bytes.lastIndexOf('\n') + 1;
    const lines = bytes.subarray(0, end).toString('latin1').split('\n').slice(0, -1);
    return { requests: lines.map((line) => Buffer.from(line)), rest: bytes.subarray(end) };
  },
  answer: (request, salt) => Buffer.from(answerLine(request.toString('latin1'), salt)),
};

const point = (item: string): PointRequest => ({ pointId: item, address: { item } });
const linkTo = (port: number): Json => ({ host: '127.0.0.1', port, timeoutMs: 120 });

const bench: DriverBench = {
  folder: path.resolve('plugins/_template'),
  driver: 'template',
  device: (n) => ({
    id: `room-${n}`,
    address: { prefix: `room${n}.` },
    options: { profile: {}, points: [{ ...point('temp'), everyMs: 1_000 }] },
  }),
  expected: (n, pointId, salt) => numberOf(n, pointId, salt),
  badPoints: [point('nobody')],
  oddPoints: [{ request: point('broken'), expected: 'flagged' }],
  nowhere: async () => linkTo(await freePort()),
  startPeer: (t) => startTcpPeer(t, wire, linkTo),
};

type Sabotage = (driver: Driver, host: DriverHost) => Partial<Driver>;

/** The template's driver with some methods replaced. */
const sabotaged =
  (sabotage: Sabotage): DriverFactory =>
  (host) => {
    const driver = createDriver(host);
    const wrong = sabotage(driver, host);
    return new Proxy(driver, {
      get(target, key) {
        const method: unknown = Reflect.get(wrong, key) ?? Reflect.get(target, key);
        return typeof method === 'function' ? method.bind(target) : method;
      },
    });
  };

const changed =
  (change: (result: PointResult, host: DriverHost) => PointResult | undefined): Sabotage =>
  (driver, host) => ({
    read: async (...call) =>
      (await driver.read(...call)).flatMap((result) => change(result, host) ?? []),
  });

const heldHeap: unknown[] = [];

/** Each way to break the contract, with the rule that has to see it. */
const sabotages: ReadonlyArray<readonly [rule: string, what: string, sabotage: Sabotage]> = [
  [
    'C1',
    'keeps a timer each time it is connected',
    (driver, host) => ({
      connect: async (...call) => {
        host.setTimeout(() => undefined, 2_000);
        await driver.connect(...call);
      },
    }),
  ],
  ['C2', 'says nothing of a link that leads nowhere', () => ({ connect: async () => undefined })],
  ['C3', 'does not end the open read when it is closed', () => ({ close: async () => undefined })],
  [
    'C4',
    'does not look at the signal',
    (driver) => ({
      read: async (device, points) => {
        const [first] = points;
        if (first === undefined) return [];
        const { signal } = new AbortController();
        const once = () => driver.read(device, points, signal);
        return await once().catch(once);
      },
    }),
  ],
  ['C5', 'leaves out what failed', changed((result) => (result.error ? undefined : result))],
  ['C6', 'passes old values on', passesOldValues()],
  [
    'C7',
    'calls silence a defect of its own',
    (driver) => ({
      read: (...call) =>
        driver.read(...call).catch(() => Promise.reject({ kind: 'internal', message: 'what?' })),
    }),
  ],
  ['C8', 'forgets to remove', () => ({ removeDevice: async () => undefined })],
  ['C9', 'always wants a reopening', () => ({ reconfigure: async () => 'reopen' as const })],
  [
    'C12',
    'asks the device how it is',
    (driver) => ({
      health: () => {
        driver.read('room-0', [point('temp')], new AbortController().signal).catch(() => undefined);
        return { status: 'ok' };
      },
    }),
  ],
  [
    'C14',
    'hands out an Error',
    changed((result) =>
      result.error === undefined
        ? result
        : { ...result, error: Object.assign(new Error('no'), { kind: 'refused' as const }) },
    ),
  ],
  [
    'C15',
    'takes NaN for 0',
    changed((result) =>
      result.error === undefined
        ? result
        : { pointId: result.pointId, time: result.time, quality: 'good', value: 0 },
    ),
  ],
  ['C16', 'has a clock of its own', changed((result) => ({ ...result, time: Date.now() }))],
  [
    'C17',
    'asks over a second connection at the same time',
    (driver, host) => {
      const other = createDriver(host);
      return {
        connect: async (...call) => {
          await Promise.all([driver.connect(...call), other.connect(...call)]);
          for (let n = 0; n < 4; n += 1) await other.addDevice(bench.device(n), call[1]);
        },
        close: async () => {
          await Promise.all([driver.close(), other.close()]);
        },
        read: async (...call) =>
          (await Promise.all([driver.read(...call), other.read(...call)]))[0],
      };
    },
  ],
  [
    'C20',
    'remembers all results',
    changed((result) => {
      heldHeap.push({ ...result });
      return result;
    }),
  ],
];

const wanted = { pointId: 'power', address: { item: 'power' }, value: 1, verify: true };
const isWrite = (request: Buffer) => request.includes('power');

/** What the template does not offer: once as it should be, and once wrong. */
const offers: ReadonlyArray<readonly [rule: string, what: Capability, Sabotage, wrong: Sabotage]> =
  [
    ['C10', 'write', writing(1), writing(2)],
    ['C11', 'subscribe', subscribing(1), subscribing(2)],
    ['C18', 'discover', discovering(2), discovering(5)],
  ];

/** A driver whose write is a request for the power, sent so many times when nothing answers. */
function writing(tries: number): Sabotage {
  return (driver) => ({
    write: async (id, { pointId, address }, signal): Promise<WriteResult> => {
      for (let n = 0; n < tries; n += 1) {
        const read = driver.read(id, [{ pointId, address }], signal);
        if (
          await read.then(
            () => true,
            () => false,
          )
        )
          return { outcome: 'done' };
      }
      return { outcome: 'unknown' };
    },
  });
}

/** A driver that tells the end of a subscription so many times. */
function subscribing(ends: number): Sabotage {
  return (driver) => {
    const onEnds: Array<() => void> = [];
    return {
      subscribe: async (id, points, sink, signal) => {
        sink.readings(await driver.read(id, points, signal));
        onEnds.push(() => sink.onEnd({ kind: 'closed', message: 'the link was closed' }));
        return { leaseSeconds: 60, [Symbol.asyncDispose]: async () => undefined };
      },
      close: async () => {
        for (let n = 0; n < ends; n += 1) for (const onEnd of onEnds) onEnd();
        onEnds.length = 0;
        await driver.close();
      },
    };
  };
}

/** A driver that finds so many devices, whatever it was told. */
function discovering(found: number): Sabotage {
  return () => ({
    async *discover(_options, signal) {
      for (let n = 0; n < found && !signal.aborted; n += 1) {
        yield { key: `d${n}`, name: `Device ${n}`, address: { prefix: `room${n}.` } };
      }
    },
  });
}

/** Answers a read that failed with what the last good one gave. */
function passesOldValues(): Sabotage {
  return (driver) => {
    let last: readonly PointResult[] | undefined;
    return {
      read: async (...call) => {
        try {
          last = await driver.read(...call);
        } catch (error) {
          if (last === undefined) throw error;
        }
        return last;
      },
    };
  };
}

for (const [id, what, sabotage] of sabotages) {
  test.serial(`a driver that ${what} does not pass ${id}`, async (t) => {
    const kit = kitOf('sabotaged', sabotaged(sabotage), bench);
    const rules = contractRules.filter((rule) => rule.id === id);
    t.true(rules.length > 0);
    let seen = 0;
    for (const rule of rules) if (!(await passes(t, rule, kit))) seen += 1;
    t.true(seen > 0, `no rule ${id} saw it`);
    heldHeap.length = 0;
  });
}

for (const [id, capability, right, wrong] of offers) {
  test.serial(`only a driver that can really ${capability} passes ${id}`, async (t) => {
    const write = { write: { ...wanted, commandId: 'c1' }, isWrite };
    const kitFor = (sabotage: Sabotage) => {
      const kit = kitOf('offering', sabotaged(sabotage), { ...bench, write });
      return { ...kit, description: { ...kit.description, capabilities: [capability] } };
    };
    const rule = contractRules.find((one) => one.id === id)!;
    t.true(rule.concerns?.(kitFor(right)));
    t.true(await passes(t, rule, kitFor(right)), 'the right one');
    t.false(await passes(t, rule, kitFor(wrong)), 'the wrong one');
    t.false(
      await passes(
        t,
        rule,
        kitFor(() => ({})),
      ),
      'one without the method',
    );
  });
}

test('the sources of a driver are seen to use only its host', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-sources-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const uses = (code: string) => {
    writeFileSync(path.join(folder, 'part.ts'), code);
    return foreignUses(folder, './index.ts').length;
  };
  writeFileSync(
    path.join(folder, 'index.ts'),
    "import { a } from './part.ts';\nexport default a;\n",
  );
  const foreign = [
    'console.log(1);',
    'process.exit(1);',
    'const at = Date.now();',
    'const at = new Date();',
    'setTimeout(f, 1);',
    'await import("../outside.ts");',
    "import { x } from '#driver';",
    "import { readFileSync } from 'fs';",
    "import { spawn } from 'node:child_process';",
  ];
  for (const code of foreign) t.true(uses(code) > 0, code);
  const own = [
    'host.setTimeout(f, 1);',
    '// console.log is not for drivers',
    '/* Date.now() neither */',
    "import type { Driver } from '#driver';",
    "const url = 'http://device'; host.log.info({}, url);",
    'new Date(host.now());',
  ];
  for (const code of own) t.is(uses(code), 0, code);
});

/** Whether a rule lets a driver pass, without failing the test that asks. */
async function passes(t: ExecutionContext, rule: Rule, kit: ReturnType<typeof kitOf>) {
  const attempt = await t.try(async (inner) => {
    // AVA has no teardown inside of a try; the one of the test around it is as good.
    const context = new Proxy(inner, {
      get: (target, key) =>
        key === 'teardown' ? t.teardown.bind(t) : Reflect.get(target, key, target),
    });
    await rule.run(context, kit);
    inner.pass();
  });
  const { passed } = attempt;
  attempt.discard();
  return passed;
}

test('only plain data passes for plain data', (t) => {
  t.deepEqual(notJsonSafe({ a: [1, 'x', true, null, 2n], b: undefined }), []);
  for (const value of [Number.NaN, new Date(), new Map(), () => 1, Symbol('s'), new Error('e')]) {
    t.is(notJsonSafe({ value }).length, 1, String(value));
  }
});
