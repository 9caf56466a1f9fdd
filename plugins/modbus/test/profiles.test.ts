import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { parse } from 'yaml';
import type { Json, PointValue } from '#driver';
import { scaleByPower } from '../codec.ts';
import modbusTcp from '../index.ts';
import { fakeHost } from './fake-host.ts';
import { bits, type PeerRequest, registers, startPeer } from './peer.ts';

type Expected = string | number | boolean | null;
type Image = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Profile {
  readonly kind: string;
  readonly groups: Readonly<Record<string, { readonly intervalMs: number }>>;
  readonly defaults?: { readonly [key: string]: Json };
  readonly points: ReadonlyArray<{ readonly [key: string]: Json } & { readonly id: string }>;
  readonly tests?: ReadonlyArray<{
    readonly name: string;
    readonly raw: Image;
    readonly expect: Readonly<Record<string, Expected>>;
  }>;
  readonly [key: string]: unknown;
}

// What the gateway keeps of a point; the rest is the protocol's.
const gatewayKeys = [
  'id',
  'name',
  'class',
  'unit',
  'group',
  'offset',
  'range',
  'deadband',
  'counter',
];

function addressOf(profile: Profile, point: Profile['points'][number]): { [key: string]: Json } {
  const merged: { [key: string]: Json } = { ...profile.defaults, ...point };
  for (const key of gatewayKeys) delete merged[key];
  if (typeof merged.scale === 'number') delete merged.scale;
  return merged;
}

/** The static scale that the gateway applies: dividing by 10 or 100 leaves no binary dust. */
function scaled(value: PointValue | undefined, scale: Json | undefined): Expected {
  if (value === undefined) return null;
  const final =
    typeof scale === 'number' ? scaleByPower(value, Math.round(Math.log10(scale))) : value;
  return typeof final === 'bigint' ? String(final) : final;
}

function serve(image: Image): (request: PeerRequest) => void {
  const words = new Map<string, number>();
  for (const [table, stretches] of Object.entries(image)) {
    for (const [address, hex] of Object.entries(stretches)) {
      for (const [index, word] of hex.trim().split(/\s+/).entries()) {
        words.set(`${table} ${Number(address) + index}`, Number.parseInt(word, 16));
      }
    }
  }
  const tableOf = ['', 'coil', 'discrete', 'holding', 'input'];
  return (request) => {
    const word = (address: number) => words.get(`${tableOf[request.fc]} ${address}`) ?? 0;
    const answer =
      request.fc < 3 ? bits(request, (address) => word(address) === 1) : registers(request, word);
    request.socket.write(answer);
  };
}

function schemaOf(name: string) {
  const file = new URL(`../schema/${name}.schema.json`, import.meta.url);
  return new Ajv2020({ allErrors: true, strictTypes: false }).compile(
    JSON.parse(readFileSync(file, 'utf8')) as object,
  );
}

test('the schemas accept what is right and refuse an unknown or impossible key', (t) => {
  const link = schemaOf('link');
  t.true(link({ host: '10.0.0.7' }));
  t.true(link({ host: '10.0.0.7', port: 1502, window: 64, keepAliveMs: 0, maxTimeouts: 1 }));
  t.false(link({ port: 502 }));
  t.false(link({ host: 'a', window: 0 }));
  t.false(link({ host: 'a', retires: 1 }));
  const device = schemaOf('device');
  t.true(device({ unit: 0 }));
  t.true(device({ unit: 255, timeoutMs: 500, retries: 0, interRequestMs: 0 }));
  t.false(device({}));
  t.false(device({ unit: 256 }));
  t.false(device({ unit: 1, host: 'a' }));
  const point = schemaOf('point');
  t.true(point({ addr: '400017', type: 'int16', scale: { point: 'sf' }, bit: 0 }));
  t.false(point({ table: 'holding', type: 'int16' }));
  t.false(point({ addr: 1, tabel: 'holding' }));
  t.false(point({ addr: '50001' }));
  t.false(point({ addr: 1, notAvailable: ['8000'] }));
});

const folder = new URL('../../../config/profiles/', import.meta.url);
const profiles = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => {
    const profile = parse(readFileSync(new URL(name, folder), 'utf8')) as Profile;
    return { name, profile };
  })
  .filter(({ profile }) => profile.kind === 'modbus');

test('there are profiles to check', (t) => {
  t.true(profiles.length >= 3);
});

for (const { name, profile } of profiles) {
  test(`${name} has tests, and names only groups that it declares`, (t) => {
    t.true((profile.tests?.length ?? 0) > 0, 'a profile without tests is a guess');
    for (const { id, group } of profile.points) {
      t.true(typeof group === 'string' && group in profile.groups, `${id}: ${String(group)}`);
    }
    const point = schemaOf('point');
    for (const one of profile.points) {
      t.true(point(addressOf(profile, one)), `${one.id}: ${JSON.stringify(point.errors)}`);
    }
    const ids = new Set(profile.points.map(({ id }) => id));
    t.is(ids.size, profile.points.length);
  });

  for (const { name: title, raw, expect } of profile.tests ?? []) {
    test(`${name}: ${title}`, async (t) => {
      const peer = await startPeer(t, serve(raw));
      const driver = modbusTcp(fakeHost());
      t.teardown(() => driver.close());
      const points = profile.points.map((point) => ({
        pointId: point.id,
        address: addressOf(profile, point),
        everyMs: profile.groups[point.group as string]?.intervalMs ?? 0,
      }));
      const device = {
        id: 'device',
        address: { unit: 1 },
        options: { profile: profile as unknown as { [key: string]: Json }, points },
      };
      const link = { host: '127.0.0.1', port: peer.port };
      t.deepEqual(driver.validateDevice(device), []);
      t.deepEqual(driver.validateLink?.(link, [device]), []);
      await driver.addDevice(device, AbortSignal.timeout(5000));
      await driver.connect(link, AbortSignal.timeout(5000));
      const results = await driver.read('device', points, AbortSignal.timeout(10_000));
      const values = new Map(results.map(({ pointId, value }) => [pointId, value]));
      const scales = new Map(profile.points.map(({ id, scale }) => [id, scale]));
      for (const [id, wanted] of Object.entries(expect)) {
        t.true(values.has(id), `${id} is no point of the profile`);
        t.is(scaled(values.get(id), scales.get(id)), wanted, id);
      }
    });
  }
}
