import test from 'ava';
import type { Bus } from '../../../src/model/bus-events.ts';
import type { Device } from '../../../src/model/device.ts';
import { GatewayError } from '../../../src/model/errors.ts';
import type { RawResult } from '../../../src/model/field.ts';
import { deviceId, linkId, pointId, tenantId } from '../../../src/model/ids.ts';
import type { NewBatch } from '../../../src/model/outbox.ts';
import type { Point } from '../../../src/model/point.ts';
import { Recorder } from '../../../src/record/recorder.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { silentNotes } from '../../support/silent-notes.ts';

const acme = tenantId('acme');
const meter = deviceId('meter');

function pointOf(name: string, more: Partial<Point> = {}): Point {
  return {
    id: pointId(meter, name),
    name,
    device: meter,
    tenant: acme,
    class: 'measurement',
    lane: 'live',
    group: 'fast',
    address: null,
    ...more,
  };
}

function deviceOf(points: readonly Point[]): Device {
  return {
    id: meter,
    tenant: acme,
    link: linkId('net'),
    address: null,
    profileOptions: {},
    groups: [{ name: 'fast', intervalMs: 1000 }],
    points,
  };
}

/** An outbox that says yes or no as told, and keeps what it took. */
class Disk {
  readonly taken: NewBatch[] = [];
  appends = 0;
  refuse = false;
  /** A value that makes a batch impossible to store. */
  poison: string | undefined;

  async append(batches: readonly NewBatch[]): Promise<[]> {
    this.appends += 1;
    if (this.refuse) throw new Error('no space');
    const { poison } = this;
    if (poison !== undefined && batches.some(({ data }) => data.includes(poison))) {
      throw new GatewayError('INTERNAL', 'this batch is malformed');
    }
    this.taken.push(...batches);
    return [];
  }
}

function bench(points: readonly Point[]) {
  const clock = new ManualClock();
  const disk = new Disk();
  const told: (readonly unknown[])[] = [];
  const bus: Bus = {
    on: () => () => {},
    emit: (...event) => void told.push(event),
  };
  const recorder = new Recorder({
    outbox: disk,
    clock,
    bus,
    notes: silentNotes(),
    gatewayTenant: acme,
    lingerMs: { alarm: 0, live: 100, bulk: 1000 },
  });
  recorder.configure([deviceOf(points)]);
  return { clock, disk, recorder, told };
}

const good = (name: string, value: RawResult['value'] & {}, time = 1000): RawResult => ({
  pointId: name,
  time,
  value,
  quality: 'good',
});
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('accept resolves only after the commit', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  let done = false;
  const accepted = recorder.accept([{ device: meter, results: [good('a', 1)] }]).then(() => {
    done = true;
  });

  await settled();
  t.false(done);
  t.is(disk.taken.length, 0);

  clock.advance(100);
  await accepted;
  t.is(disk.taken.length, 1);
});

test('observers hear of a reading after its commit and not before', async (t) => {
  const { clock, disk, recorder, told } = bench([pointOf('a')]);
  disk.refuse = true;
  const accepted = recorder.accept([{ device: meter, results: [good('a', 1)] }]);
  clock.advance(100);
  await settled();
  t.deepEqual(told, []);

  disk.refuse = false;
  clock.advance(5_000);
  await accepted;
  t.is(told.length, 1);
  t.like(told[0], { 0: 'readings-committed', 1: [{ point: 'meter/a', value: 1 }] });
});

test('what the disk refuses is offered again, in order, and nothing is lost', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  disk.refuse = true;
  const first = recorder.accept([{ device: meter, results: [good('a', 1)] }]);
  clock.advance(100);
  await settled();
  const second = recorder.accept([{ device: meter, results: [good('a', 2)] }]);
  clock.advance(100);
  await settled();
  t.is(disk.taken.length, 0);

  disk.refuse = false;
  for (let i = 0; i < 5; i += 1) {
    clock.advance(5_000);
    await settled();
  }
  await Promise.all([first, second]);
  t.deepEqual(
    disk.taken.map(({ data }) => JSON.parse(data).r[0][2]),
    [1, 2],
  );
});

test('a batch that can never be stored does not block those behind it', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  disk.refuse = true;
  const accepted: Promise<void>[] = [];
  for (const value of [1, 666, 3]) {
    accepted.push(recorder.accept([{ device: meter, results: [good('a', value)] }]));
    clock.advance(100);
    await settled();
  }
  disk.refuse = false;
  disk.poison = '666';
  for (let i = 0; i < 5; i += 1) {
    clock.advance(5_000);
    await settled();
  }
  await Promise.all(accepted);
  t.deepEqual(
    disk.taken.map(({ data }) => JSON.parse(data).r[0][2]),
    [1, 3],
  );
});

test('readings of several devices and moments share one batch with one dictionary', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a'), pointOf('b')]);
  const accepted = Promise.all([
    recorder.accept([{ device: meter, results: [good('a', 1, 5000), good('b', 2, 5010)] }]),
    recorder.accept([{ device: meter, results: [good('a', 3, 4990)] }]),
  ]);
  clock.advance(100);
  await accepted;

  t.deepEqual(JSON.parse(disk.taken[0]!.data), {
    n: 3,
    t0: 4990,
    points: ['meter/a', 'meter/b'],
    r: [
      [0, 10, 1],
      [1, 20, 2],
      [0, 0, 3],
    ],
  });
  t.is(disk.taken[0]!.n, 3);
});

test('readings of two tenants are committed in the same moment and never in one batch', async (t) => {
  const { clock, disk, recorder } = bench([]);
  const zeta = tenantId('zeta');
  const pump = deviceId('pump');
  recorder.configure([
    deviceOf([pointOf('a')]),
    {
      ...deviceOf([pointOf('a', { id: pointId(pump, 'a'), device: pump, tenant: zeta })]),
      id: pump,
      tenant: zeta,
    },
  ]);
  const accepted = recorder.accept([
    { device: meter, results: [good('a', 1)] },
    { device: pump, results: [good('a', 2)] },
  ]);
  clock.advance(100);
  await accepted;
  t.deepEqual(
    disk.taken.map(({ tenant, data }) => [tenant, JSON.parse(data).points]),
    [
      ['acme', ['meter/a']],
      ['zeta', ['pump/a']],
    ],
  );
});

test('an alarm does not wait for the readings', async (t) => {
  const { clock, disk, recorder } = bench([
    pointOf('a'),
    pointOf('fault', { class: 'alarm', lane: 'alarm' }),
  ]);
  const accepted = recorder.accept([
    { device: meter, results: [good('a', 1), good('fault', true)] },
  ]);
  clock.advance(0);
  await settled();
  t.deepEqual(
    disk.taken.map(({ lane }) => lane),
    ['alarm'],
  );
  clock.advance(100);
  await accepted;
});

test('a full batch does not wait at all', async (t) => {
  const points = Array.from({ length: 501 }, (_, i) => pointOf(`p${i}`));
  const { clock, disk, recorder } = bench(points);
  const accepted = recorder.accept([
    { device: meter, results: points.map(({ name }) => good(name, 1)) },
  ]);
  await settled();
  t.deepEqual(
    disk.taken.map(({ n }) => n),
    [500],
  );
  clock.advance(100);
  await accepted;
  t.deepEqual(
    disk.taken.map(({ n }) => n),
    [500, 1],
  );
});

test('a point that did not answer is null with its reason, never zero', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  const accepted = recorder.accept([
    {
      device: meter,
      results: [
        { pointId: 'a', time: 7, quality: 'bad', error: { kind: 'timeout', message: 'no answer' } },
      ],
    },
  ]);
  clock.advance(100);
  await accepted;
  t.deepEqual(JSON.parse(disk.taken[0]!.data).r, [[0, 0, null, 'timeout']]);
});

test('a value outside its range is told as uncertain and does not move the counter', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('kwh', { class: 'counter', range: [0, 1e6] })]);
  for (const value of [10, 4e9, 11]) {
    const accepted = recorder.accept([{ device: meter, results: [good('kwh', value)] }]);
    clock.advance(100);
    await accepted;
  }
  t.deepEqual(
    disk.taken.map(({ data }) => JSON.parse(data).r[0].slice(2)),
    [[10], [4e9, 'out-of-range'], [11]],
  );
});

test('text of a device cannot break the JSON of a batch', async (t) => {
  const nasty = '"},"r":[]\n\u001b[31m\ud800 <img onerror=x>';
  const { clock, disk, recorder } = bench([pointOf('name')]);
  const accepted = recorder.accept([{ device: meter, results: [good('name', nasty)] }]);
  clock.advance(100);
  await accepted;
  t.is(JSON.parse(disk.taken[0]!.data).r[0][2], nasty.toWellFormed());
});

test('a result of an unknown point is refused and hurts nobody', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  const accepted = recorder.accept([
    { device: meter, results: [good('ghost', 1), good('a', 2)] },
    { device: deviceId('ghost'), results: [good('a', 3)] },
  ]);
  clock.advance(100);
  await accepted;
  t.deepEqual(JSON.parse(disk.taken[0]!.data).points, ['meter/a']);
});

test('a new configuration keeps what is known of an unchanged point', async (t) => {
  const unchanged = pointOf('a', { deadband: { abs: 5 } });
  const { clock, disk, recorder } = bench([unchanged]);
  const first = recorder.accept([{ device: meter, results: [good('a', 1)] }]);
  clock.advance(100);
  await first;

  recorder.configure([deviceOf([{ ...unchanged }, pointOf('b')])]);
  await recorder.accept([{ device: meter, results: [good('a', 2)] }]);
  t.is(disk.taken.length, 1);
  t.is(recorder.values('meter')[0]!.value, 2);
});

test('conflated readings are declared by an event', async (t) => {
  const { clock, disk, recorder } = bench([pointOf('a')]);
  recorder.dropped(linkId('net'), 3);
  recorder.dropped(linkId('net'), 4);
  clock.advance(10_000);
  await settled();
  t.is(disk.taken[0]!.type, 'riser.dropped.v1');
  t.deepEqual(JSON.parse(disk.taken[0]!.data), { links: [{ link: 'net', count: 7 }] });
});

test('a value grows stale after three intervals', async (t) => {
  const { clock, recorder } = bench([pointOf('a')]);
  const accepted = recorder.accept([{ device: meter, results: [good('a', 1)] }]);
  clock.advance(100);
  await accepted;
  t.false(recorder.values()[0]!.stale);
  clock.advance(4_000);
  t.true(recorder.values()[0]!.stale);
});

test('closing commits what is on its way, and refuses what comes later', async (t) => {
  const { disk, recorder } = bench([pointOf('a')]);
  const accepted = recorder.accept([{ device: meter, results: [good('a', 1)] }]);
  await recorder.close();
  await accepted;
  t.is(disk.taken.length, 1);
  await t.throwsAsync(recorder.accept([{ device: meter, results: [good('a', 2)] }]), {
    code: 'OUTBOX_UNAVAILABLE',
  });
  await t.notThrowsAsync(recorder.close());
});
