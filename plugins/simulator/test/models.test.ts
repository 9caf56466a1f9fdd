import test from 'ava';
import { bandsOf, fitsBand, lanes, poisonWord, type Values, valuesAt } from '../bands.ts';
import { encodeField, type Field, fieldLength } from '../models/field.ts';
import { meterFields } from '../models/meter.ts';
import { pumpFields, pumpValues } from '../models/pump.ts';
import { hashedUnit, seededRandom } from '../prng.ts';

const day = Date.UTC(2026, 10, 20);
const models = [
  { model: 'meter', fields: meterFields },
  { model: 'pump', fields: pumpFields },
] as const;

test('no phase of a meter can be taken for another one, of this lane or any other', (t) => {
  for (const what of ['voltage', 'current']) {
    const bands = Array.from({ length: lanes }, (_, seed) => bandsOf('meter', seed)).flatMap(
      (all) => [1, 2, 3].map((phase) => all[`ac.l${phase}.${what}`]!),
    );
    let last = 0;
    for (const band of bands) {
      if (band.kind !== 'interval') return t.fail(what);
      t.true(band.min > last, `${what} ${band.min}`);
      last = band.max;
    }
  }
});

for (const { model, fields } of models) {
  test(`a ${model} says the same for the same seed and time`, (t) => {
    t.deepEqual(valuesAt(model, 5, day + 12_345), valuesAt(model, 5, day + 12_345));
    t.notDeepEqual(valuesAt(model, 5, day + 12_345), valuesAt(model, 5, day + 3_600_000));
    t.notDeepEqual(valuesAt(model, 5, day), valuesAt(model, 6, day));
  });

  test(`a ${model} stays in its bands over a day, for every lane`, (t) => {
    for (let seed = 0; seed < lanes; seed++) {
      const bands = bandsOf(model, seed);
      for (let time = day; time < day + 86_400_000; time += 97_300) {
        const wrong = Object.entries(valuesAt(model, seed, time)).find(
          ([point, value]) => bands[point] === undefined || !fitsBand(bands[point], value),
        );
        if (wrong !== undefined) t.fail(`seed ${seed} at ${time}: ${wrong.join(' ')}`);
      }
    }
    t.pass();
  });

  test(`no value of a ${model} can be taken for that of another lane`, (t) => {
    for (let a = 0; a < lanes; a++) {
      for (let b = a + 1; b < lanes; b++) {
        for (const [point, band] of Object.entries(bandsOf(model, a))) {
          const other = bandsOf(model, b)[point];
          if (band.kind !== 'interval' || !band.distinct || other?.kind !== 'interval') continue;
          if (band.min <= other.max && other.min <= band.max) {
            t.fail(`${point} of seeds ${a} and ${b} overlap`);
          }
        }
      }
    }
    t.pass();
  });

  test(`a poisoned register of a ${model} lies outside of every band`, (t) => {
    for (const field of fields.filter(({ type }) => type !== 'bit')) {
      for (let seed = 0; seed < lanes; seed++) {
        t.false(fitsBand(bandsOf(model, seed)[field.point]!, poisonedValue(field)), field.point);
      }
    }
  });

  test(`each field of a ${model} has a place of its own and a value`, (t) => {
    const values: Values = valuesAt(model, 1, day);
    const taken = new Set<string>();
    for (const field of fields) {
      t.true(field.point in values, field.point);
      for (let n = 0; n < fieldLength(field); n++) {
        const place = `${field.table} ${field.address + n}`;
        t.false(taken.has(place), place);
        taken.add(place);
      }
    }
    t.deepEqual(Object.keys(values).sort(), fields.map(({ point }) => point).sort());
    t.deepEqual(Object.keys(bandsOf(model, 1)).sort(), Object.keys(values).sort());
  });
}

test('counters never fall, not even before the devices were in service', (t) => {
  const points = { meter: 'energy.active.import', pump: 'operating.hours' } as const;
  for (const [model, point] of [
    ['meter', points.meter],
    ['pump', points.pump],
  ] as const) {
    let last = -1;
    for (const time of [0, Date.UTC(2025, 0, 1), day, day + 60_000, day + 7_200_000, day + 1e10]) {
      const value = Number(valuesAt(model, 3, time)[point]);
      t.true(value >= last, `${point} at ${time}`);
      last = value;
    }
  }
});

test('the energy that a meter counts in an hour agrees with the power it shows', (t) => {
  const energy = (time: number) => Number(valuesAt('meter', 9, time)['energy.active.import']);
  const watts = Number(valuesAt('meter', 9, day)['ac.total.power.active']);
  const counted = energy(day + 3_600_000) - energy(day);
  t.true(Math.abs(counted / watts - 1) < 0.2, `${counted} W.h at ${watts} W`);
});

test('one of eight pumps has no temperature sensor and says so', (t) => {
  t.is(valuesAt('pump', 7, day).temperature, null);
  t.true(fitsBand(bandsOf('pump', 7).temperature!, null));
  t.false(fitsBand(bandsOf('pump', 6).temperature!, null));
});

test('a pump that is stopped stands still', (t) => {
  const values = pumpValues(4, day, { running: false });
  t.like(values, { speed: 0, flow: 0, pressure: 0, running: false });
});

test('the word order, the scale and the sentinel of a field are those of its entry', (t) => {
  const registers = Buffer.alloc(20);
  const at = { point: 'x', table: 'input', address: 2 } as const;
  const words = (field: Field, value: number | string | null) => {
    registers.fill(0);
    encodeField(field, value, registers);
    return registers.subarray(4, 4 + fieldLength(field) * 2).toString('hex');
  };
  t.is(words({ ...at, type: 'float32' }, 230.2), '43663333');
  t.is(words({ ...at, type: 'float32', wordOrder: 'low-first' }, 230.2), '33334366');
  t.is(words({ ...at, type: 'int32', scale: 0.1 }, -1500), 'ffffc568');
  t.is(words({ ...at, type: 'uint64' }, 10_000_000_001), '00000002540be401');
  t.is(
    words({ ...at, type: 'uint64', wordOrder: 'low-first' }, 10_000_000_001),
    'e401540b00020000',
  );
  t.is(words({ ...at, type: 'int16', scale: 0.1, notAvailable: 0x8000 }, null), '8000');
  t.is(words({ ...at, type: 'string', length: 3 }, 'SIM'), '53494d000000');
  t.throws(() => words({ ...at, type: 'uint16' }, null), { message: /always available/ });
});

test('chance is the same for the same seed and spreads over its whole range', (t) => {
  const [a, b] = [seededRandom(7), seededRandom(7)];
  const drawn = Array.from({ length: 1000 }, () => a());
  t.deepEqual(
    drawn,
    Array.from({ length: 1000 }, () => b()),
  );
  t.true(drawn.every((n) => n >= 0 && n < 1));
  const mean = drawn.reduce((sum, n) => sum + n, 0) / drawn.length;
  t.true(mean > 0.45 && mean < 0.55);
  t.not(hashedUnit(1, 2), hashedUnit(1, 3));
  t.not(hashedUnit(1, 2), hashedUnit(2, 2));
});

test('a seed that is none is refused with the range', (t) => {
  for (const seed of [-1, 4096, 1.5, Number.NaN]) {
    t.throws(() => bandsOf('meter', seed), { message: /0 to 4095/ });
  }
});

function poisonedValue(field: Field): number | string {
  const bytes = Buffer.alloc(16);
  for (let at = 0; at < bytes.length; at += 2) bytes.writeUInt16BE(poisonWord, at);
  const scale = field.scale ?? 1;
  switch (field.type) {
    case 'uint16':
    case 'bit':
      return bytes.readUInt16BE() * scale;
    case 'int16':
      return bytes.readInt16BE() * scale;
    case 'uint32':
      return bytes.readUInt32BE() * scale;
    case 'int32':
      return bytes.readInt32BE() * scale;
    case 'uint64':
      return Number(bytes.readBigUInt64BE()) * scale;
    case 'float32':
      return bytes.readFloatBE();
    case 'string':
      return bytes.toString('latin1');
  }
}
