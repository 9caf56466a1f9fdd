import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import type { Driver, DriverFactory, PointRequest, PointResult } from '#driver';

const attempt = (what: () => unknown) => {
  try {
    what();
    return 'allowed';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'refused';
  }
};

const frame = (body: Buffer) => {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  return Buffer.concat([head, body]);
};

/** Everything that a plugin can do wrong, chosen by `fault` in the address of the device. */
const faults: Readonly<Record<string, () => unknown>> = {
  hang() {
    for (;;) Math.random();
  },
  'throw-sync'() {
    throw new Error('thrown on the spot');
  },
  'throw-later'() {
    setTimeout(() => {
      throw new Error('thrown later');
    }, 1);
  },
  'reject-unowned'() {
    // Never given to anybody: that is the fault.
    const lost = [Promise.reject(new Error('nobody waits for this'))];
    return lost.length;
  },
  exit: () => process.exit(3),
  abort: () => process.abort(),
  oom() {
    const kept: number[][] = [];
    for (;;) kept.push(new Array(100_000).fill(kept.length));
  },
  'external-memory'() {
    const kept = (globalThis as { kept?: Buffer[] }).kept ?? [];
    (globalThis as { kept?: Buffer[] }).kept = kept;
    for (let i = 0; i < 8; i += 1) kept.push(Buffer.alloc(64 * 1_048_576, 1));
  },
  garbage: () =>
    writeSync(3, Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 131) & 255))),
  'half-frame': () => writeSync(3, Buffer.from([200, 0, 0, 0, 123])),
  'four-gigabytes': () => writeSync(3, Buffer.from([255, 255, 255, 255])),
  'foreign-batch'() {
    const message = { t: 'readings', batch: 99, link: 'x', groups: [], dropped: 0 };
    writeSync(3, frame(Buffer.from(JSON.stringify(message))));
  },
  stdout() {
    const line = `${'x'.repeat(200)}\n`;
    for (let i = 0; i < 50_000; i += 1) writeSync(1, line);
  },
};

const factory: DriverFactory = (host): Driver => {
  const fault = new Map<string, string>();
  return {
    connect: () => Promise.resolve(),
    close: () => Promise.resolve(),
    validateDevice: () => [],
    addDevice(device) {
      fault.set(device.id, (device.address as { fault: string }).fault);
      return Promise.resolve();
    },
    removeDevice: () => Promise.resolve(),
    reconfigure(change) {
      const { device } = change;
      if (device === undefined) return Promise.resolve('applied' as const);
      const { fault: next } = device.address as { fault: string };
      if (next === 'refuse-change') return Promise.reject(new Error('this change is refused'));
      fault.set(device.id, next);
      return Promise.resolve('applied' as const);
    },
    async read(deviceId, points: readonly PointRequest[]) {
      const name = fault.get(deviceId) ?? 'none';
      const time = host.now();
      const good = (value: number | string) =>
        points.map(({ pointId }): PointResult => ({ pointId, time, value, quality: 'good' }));
      switch (name) {
        case 'never':
          return new Promise<never>(() => undefined);
        case 'silent':
          return Promise.reject({ kind: 'timeout', message: 'no answer' });
        case 'not-a-number':
          return good(Number.NaN);
        case 'forbidden': {
          const said = {
            read: attempt(() => readFileSync('/etc/passwd')),
            write: attempt(() => writeFileSync('/tmp/riser-forbidden', 'x')),
            spawn: attempt(() => execFileSync('/bin/true')),
            secret: process.env.RISER_TEST_SECRET ?? 'none',
          };
          return good(JSON.stringify(said));
        }
        default:
          faults[name]?.();
          return good(1);
      }
    },
    health: () => ({ status: 'ok' }),
  };
};

// biome-ignore lint/style/noDefaultExport: a plugin is loaded by its default export
export default factory;
