import { readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { parse } from 'yaml';
import { bandsOf, fitsBand, type LiveModel, valuesAt } from '../bands.ts';
import { meterFields } from '../models/meter.ts';
import { pumpFields } from '../models/pump.ts';
import { openListener } from './open-site.ts';
import { type RawClient, request } from './raw-client.ts';

interface ProfilePoint {
  readonly id: string;
  readonly addr: number;
  readonly table?: Table;
  readonly type?: string;
  readonly order?: string;
  readonly len?: number;
  readonly scale?: number;
  readonly range?: readonly [number, number];
  readonly enum?: Readonly<Record<string, string>>;
  readonly notAvailable?: ReadonlyArray<string | number>;
}

interface Profile {
  readonly defaults: { readonly table: Table; readonly order?: string };
  readonly points: readonly ProfilePoint[];
}

type Table = 'coil' | 'discrete' | 'input' | 'holding';
type Value = number | boolean | string | null;

const functions = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;
const registers: Readonly<Record<string, number>> = { uint64: 4, float32: 2, int32: 2, uint32: 2 };
const seeds = [1, 7, 30, 4095];

for (const { model, fields } of [
  { model: 'meter', fields: meterFields },
  { model: 'pump', fields: pumpFields },
] as const) {
  const profile = readProfile(`riser-sim-${model}`);

  test(`profile riser.sim-${model} describes each point of the ${model} and no other`, (t) => {
    t.deepEqual(profile.points.map(({ id }) => id).sort(), fields.map(({ point }) => point).sort());
  });

  test(`each point of profile riser.sim-${model}, read from the wire, is what the ${model} says`, async (t) => {
    for (const seed of seeds) {
      const { client } = await openListener(t, { units: [{ unit: 1, model, seed }] });
      for (const point of profile.points) await checkPoint(t, client, model, seed, profile, point);
      client.close();
    }
  });

  test(`the ranges and names of profile riser.sim-${model} leave no value of the ${model} out`, (t) => {
    for (const seed of seeds) {
      for (const point of profile.points) {
        const band = bandsOf(model, seed)[point.id]!;
        const [min, max] = point.range ?? [-Infinity, Infinity];
        if (band.kind === 'interval') t.true(band.min >= min && band.max <= max, point.id);
        if (point.enum === undefined || band.kind !== 'one-of') continue;
        for (const value of band.values) t.true(String(value) in point.enum, point.id);
      }
    }
  });
}

async function checkPoint(
  t: ExecutionContext,
  client: RawClient,
  model: LiveModel,
  seed: number,
  profile: Profile,
  point: ProfilePoint,
): Promise<void> {
  const what = `${point.id} of seed ${seed}`;
  const before = Date.now() - 100;
  const value = await read(client, profile, point);
  const after = Date.now() + 100;
  t.true(fitsBand(bandsOf(model, seed)[point.id]!, value), `${what}: ${value}`);
  const possible: Value[] = [];
  for (let time = before; time <= after + 100; time += 100) {
    possible.push(valuesAt(model, seed, time)[point.id]!);
  }
  const same = (wanted: Value) =>
    typeof value === 'number' && typeof wanted === 'number'
      ? Math.abs(value - wanted) < 1e-4
      : value === wanted;
  t.true(possible.some(same), `${what}: ${value} instead of ${possible.join(' or ')}`);
}

/** Reads and decodes as the profile says, with nothing of the simulator's own encoding. */
async function read(client: RawClient, profile: Profile, point: ProfilePoint): Promise<Value> {
  const table = point.table ?? profile.defaults.table;
  const bits = table === 'coil' || table === 'discrete';
  const count = bits ? 1 : (point.len ?? registers[point.type!] ?? 1);
  const answer = await client.ask(request(1, 1, functions[table], [point.addr, count]));
  if (answer[7] !== functions[table]) throw new Error(`${point.id}: exception ${answer[8]}`);
  if (bits) return answer[9] === 1;
  const words = Buffer.from(answer.subarray(9));
  const sentinels = (point.notAvailable ?? []).map(Number);
  if (words.length === 2 && sentinels.includes(words.readUInt16BE())) return null;
  return decode(words, point, point.order ?? profile.defaults.order ?? 'ABCD');
}

function decode(words: Buffer, point: ProfilePoint, order: string): number | string {
  const bytes =
    order === 'CDAB' && words.length === 4
      ? Buffer.concat([words.subarray(2), words.subarray(0, 2)])
      : words;
  const scaled = (raw: number) => raw * (point.scale ?? 1);
  switch (point.type ?? '') {
    case 'uint16':
      return scaled(bytes.readUInt16BE());
    case 'int16':
      return scaled(bytes.readInt16BE());
    case 'uint32':
      return scaled(bytes.readUInt32BE());
    case 'int32':
      return scaled(bytes.readInt32BE());
    case 'uint64':
      return scaled(Number(bytes.readBigUInt64BE()));
    case 'float32':
      return scaled(bytes.readFloatBE());
    case 'string':
      return bytes.toString('ascii').replace(/\0+$/, '');
    default:
      throw new Error(`this test cannot decode ${point.type}`);
  }
}

function readProfile(name: string): Profile {
  const file = new URL(`../../../config/profiles/${name}.yaml`, import.meta.url);
  return parse(readFileSync(file, 'utf8')) as Profile;
}
