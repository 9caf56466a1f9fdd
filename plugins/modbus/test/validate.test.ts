import test from 'ava';
import type { ConfigIssue, DeviceConfig, Json } from '#driver';
import modbusTcp from '../index.ts';
import { fakeHost } from './fake-host.ts';

type Points = Readonly<Record<string, { [key: string]: Json }>>;

const driver = modbusTcp(fakeHost());
const link = { host: '192.0.2.1' };

function device(
  points: Points,
  more: Partial<DeviceConfig> & { everyMs?: number } = {},
): DeviceConfig {
  const { everyMs = 1000, ...rest } = more;
  return {
    id: 'meter',
    address: { unit: 1 },
    options: {
      profile: {},
      points: Object.entries(points).map(([pointId, keys]) => ({
        pointId,
        address: { table: 'holding', type: 'uint16', ...keys },
        everyMs,
      })),
    },
    ...rest,
  };
}

function briefly(issues: readonly ConfigIssue[]): string[] {
  return issues.map(({ path, code, severity = 'error' }) => `${severity} ${code ?? ''} ${path}`);
}

test('a sound device has no issues', (t) => {
  const points: Points = {
    a: { addr: 0 },
    b: { addr: 1, type: 'float32', scale: { point: 'sf' } },
    sf: { addr: 3, type: 'int16' },
    run: { addr: 4, bit: 0 },
    fault: { addr: 4, bit: 1 },
    word: { addr: 4 },
    other: { addr: 0, table: 'input' },
    coil: { addr: 0, table: 'coil' },
  };
  t.deepEqual(driver.validateDevice(device(points)), []);
  t.deepEqual(driver.validateLink?.(link, [device(points)]), []);
});

test('each wrong point is told with its place, and the others are still looked at', (t) => {
  const points: Points = {
    far: { addr: 65535, type: 'int32' },
    order: { addr: 10, type: 'int32', order: 'GHEFCDAB' },
    long: { addr: 20, type: 'string', len: 50 },
    sentinel: { addr: 100, type: 'int32', notAvailable: ['0x8000'] },
    scaled: { addr: 110, scale: { point: 'nowhere' } },
    text: { addr: 111, scale: { point: 'name' } },
    name: { addr: 120, type: 'string', len: 4 },
    g1: { addr: 200, readGroup: 'clock' },
    g2: { addr: 290, readGroup: 'clock' },
  };
  const limited = device(points);
  const options = { ...limited.options, profile: { limits: { maxRegisters: 40 } } };
  t.deepEqual(briefly(driver.validateDevice({ ...limited, options })), [
    'error BAD_POINT /points/far/addr',
    'error BAD_POINT /points/order/order',
    'error BAD_POINT /points/sentinel/notAvailable',
    'error POINT_TOO_LONG /points/long/len',
    'error READ_GROUP_TOO_LONG /points/g1/readGroup',
    'error SCALE_POINT_UNKNOWN /points/scaled/scale',
    'error SCALE_POINT_TYPE /points/text/scale',
  ]);
});

test('registers with two meanings are an error, a point written down twice is a warning', (t) => {
  const points: Points = {
    float: { addr: 0, type: 'float32' },
    inside: { addr: 1 },
    signed: { addr: 10, type: 'int16' },
    unsigned: { addr: 10 },
    once: { addr: 20 },
    again: { addr: 20 },
  };
  const issues = driver.validateDevice(device(points));
  t.deepEqual(briefly(issues), [
    'error POINTS_OVERLAP /points/inside/addr',
    'error POINTS_OVERLAP /points/unsigned/addr',
    'warning POINTS_OVERLAP /points/again/addr',
  ]);
  t.regex(issues[0]!.message, /inside \(uint16\) and float \(float32, 2 from 0 on\)/);
});

test('a unit id that no device can have is told', (t) => {
  for (const address of [{}, { unit: 256 }, { unit: -1 }, { unit: 1.5 }, { unit: '1' }]) {
    t.deepEqual(briefly(driver.validateDevice(device({}, { address }))), [
      'error BAD_UNIT /address/unit',
    ]);
  }
  t.deepEqual(driver.validateDevice(device({}, { address: { unit: 0 } })), []);
});

test('two devices with one unit id on a link are told', (t) => {
  const issues = driver.validateLink?.(link, [
    device({}),
    device({}, { id: 'pump' }),
    device({}, { id: 'fan', address: { unit: 2 } }),
  ]);
  t.deepEqual(briefly(issues ?? []), ['error DUPLICATE_UNIT /devices/pump/address/unit']);
});

test('polls that need more time than the link has are refused with an interval that fits', (t) => {
  // 20 points too far apart to be merged: 20 requests of 10 ms.
  const points = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`p${index}`, { addr: index * 100 }]),
  );
  const issuesAt = (everyMs: number, more: { [key: string]: Json } = {}) =>
    driver.validateLink?.({ ...link, ...more }, [device(points, { everyMs })]) ?? [];
  t.deepEqual(issuesAt(1000), []);
  t.deepEqual(briefly(issuesAt(250)), ['warning LINK_LOAD_HIGH /link']);
  t.deepEqual(briefly(issuesAt(150)), ['error LINK_OVERLOADED /link']);
  t.regex(issuesAt(150)[0]!.message, /133 %.*shortest interval possible is 0\.3 s/);
  t.deepEqual(issuesAt(300), [], 'the interval that was proposed fits');
  t.deepEqual(briefly(issuesAt(1000, { interRequestMs: 50 })), ['error LINK_OVERLOADED /link']);
  t.deepEqual(issuesAt(150, { window: 4 }), []);
  t.deepEqual(issuesAt(0), [], 'points on demand cost nothing');
});

test('a link without a host is told', (t) => {
  t.deepEqual(briefly(driver.validateLink?.({}, []) ?? []), ['error BAD_LINK /link/host']);
});
