import test from 'ava';
import type { Json, PointValue } from '#driver';
import { byteOrders, places } from '../byte-order.ts';
import { asNumber, type Decoded, decoderOf, scaleByPower } from '../codec.ts';
import { encode, encodePart } from '../encode.ts';
import { isPart, type PointType, parsePoint, registersOf } from '../point.ts';

const holding = { table: 'holding', addr: 0 };

function decode(keys: { [key: string]: Json }, hex: string): Decoded {
  return decoderOf(parsePoint('p', { ...holding, ...keys }))(Buffer.from(hex, 'hex'), 0);
}

/** A small generator, so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('40001, 400001 and holding 0 are the same register', (t) => {
  const same = { table: 'holding', address: 0 } as const;
  for (const keys of [
    { addr: '40001' },
    { addr: '400001' },
    { table: 'holding', addr: 0 },
    { table: 'holding', addr: 1, addressBase: 1 },
  ]) {
    t.like(parsePoint('p', { ...keys, type: 'int16' }), same);
  }
  t.like(parsePoint('p', { addr: '0x9C41', table: 'holding', type: 'int16' }), { address: 40001 });
  t.like(parsePoint('p', { addr: '300012', type: 'int16' }), { table: 'input', address: 11 });
  t.like(parsePoint('p', { addr: '00017' }), { table: 'coil', address: 16, type: 'bool' });
  t.like(parsePoint('p', { addr: '10001' }), { table: 'discrete', address: 0 });
  t.like(parsePoint('p', { addr: '465536', type: 'int16' }), { address: 65535 });
});

const wrong: ReadonlyArray<readonly [keys: { [key: string]: Json }, key: string, words: RegExp]> = [
  [{ addr: '40000', table: 'holding' }, 'addr', /counts from 1/],
  [{ addr: '20001' }, 'addr', /"40040"/],
  [{ addr: '40001', table: 'input' }, 'addr', /lies in table holding/],
  [{ addr: 70000 }, 'addr', /outside 0 to 65535/],
  [{ addr: 0, addressBase: 1 }, 'addr', /outside 1 to 65536/],
  [{ addr: 65535, type: 'float32' }, 'addr', /past the last address/],
  [{ addr: 1.5 }, 'addr', /not an address/],
  [{ addr: '4x40071' }, 'addr', /not an address/],
  [{ addr: '0x9C41' }, 'table', /needs a table/],
  [{ half: 'low' }, 'half', /is for texts/],
  [{ type: 'int8h', bit: 3 }, 'bit', /integer type/],
  [{ type: 'date-ti081', enum: { 0: 'off' } }, 'enum', /names numbers/],
  [{ addr: 5, table: 'holdings' }, 'table', /not one of/],
  [{ type: undefined as unknown as Json }, 'type', /missing/],
  [{ type: 'string' }, 'len', /needs its length/],
  [{ type: 'float32', len: 4 }, 'len', /has 2 registers/],
  [{ type: 'int32', order: 'ABCDEFGH' }, 'order', /8 bytes/],
  [{ type: 'int32', notAvailable: ['0x8000'] }, 'notAvailable', /0x00008000/],
  [{ type: 'int16', notAvailable: [65536] }, 'notAvailable', /does not fit/],
  [{ type: 'float32', bit: 3 }, 'bit', /integer type/],
  [{ type: 'uint16', bit: 16 }, 'bit', /0 to 15/],
  [{ type: 'uint16', mask: 0x1_0000 }, 'mask', /wider/],
  [{ type: 'uint16', shift: 4 }, 'shift', /mask/],
  [{ type: 'bytes', len: 2, enum: { 0: 'off' } }, 'enum', /names numbers/],
  [{ type: 'float32', flags: { 0: 'fan' } }, 'flags', /integer type/],
];

for (const [index, [keys, key, words]] of wrong.entries()) {
  test(`a wrong ${key} is refused with a hint (${index})`, (t) => {
    const source = { table: 'holding', addr: 0, type: 'uint16', ...keys };
    if ('addr' in keys && !('table' in keys) && typeof keys.addr === 'string') {
      delete (source as { table?: string }).table;
    }
    const error = t.throws(() => parsePoint('p', source));
    t.is((error as unknown as { key: string }).key, key);
    t.regex(error.message, words);
  });
}

test('each order is its own inverse, so that writing cannot differ from reading', (t) => {
  for (const order of byteOrders) {
    for (const size of [2, 4, 8] as const) {
      const found = places(order, size);
      for (const [index, place] of (found ?? []).entries()) t.is(found![place], index);
    }
  }
});

test('each order puts the bytes where its letters say', (t) => {
  const value = 0x01020304;
  for (const [order, hex] of [
    ['ABCD', '01020304'],
    ['CDAB', '03040102'],
    ['BADC', '02010403'],
    ['DCBA', '04030201'],
    ['BA', '02010403'],
  ] as const) {
    t.deepEqual(decode({ type: 'uint32', order }, hex), { value });
  }
  for (const [order, hex] of [
    ['ABCD', '0001020304050607'],
    ['CDAB', '0607040502030001'],
    ['GHEFCDAB', '0607040502030001'],
    ['BADCFEHG', '0100030205040706'],
    ['DCBA', '0706050403020100'],
  ] as const) {
    t.deepEqual(decode({ type: 'uint64', order }, hex), { value: 0x01020304050607 });
  }
  t.deepEqual(decode({ type: 'uint16', order: 'CDAB' }, '0102'), { value: 0x0102 });
  t.deepEqual(decode({ type: 'uint16', order: 'DCBA' }, '0102'), { value: 0x0201 });
});

const samples: Readonly<Record<PointType, (next: () => number) => PointValue>> = {
  bool: (next) => next() < 0.5,
  int8h: (next) => Math.floor(next() * 256) - 128,
  int8l: (next) => Math.floor(next() * 256) - 128,
  uint8h: (next) => Math.floor(next() * 256),
  uint8l: (next) => Math.floor(next() * 256),
  int16: (next) => Math.floor(next() * 65536) - 32768,
  uint16: (next) => Math.floor(next() * 65536),
  int32: (next) => Math.floor(next() * 2 ** 32) - 2 ** 31,
  uint32: (next) => Math.floor(next() * 2 ** 32),
  int64: (next) => (BigInt(Math.floor(next() * 2 ** 53)) << 10n) - (1n << 62n) - 1n,
  uint64: (next) => (BigInt(Math.floor(next() * 2 ** 53)) << 10n) | (1n << 63n),
  float16: (next) => Number((next() * 500).toPrecision(3)),
  float32: (next) => Number(((next() - 0.5) * 10 ** Math.floor(next() * 12 - 4)).toPrecision(6)),
  float64: (next) => (next() - 0.5) * 1e300,
  bcd16: (next) => Math.floor(next() * 10000),
  bcd32: (next) => Math.floor(next() * 1e8),
  mod10k: (next) => Math.floor(next() * 1e8),
  'date-ti081': (next) => new Date(1e12 + next() * 3e12).toISOString().slice(0, -1),
  'date-unix': (next) =>
    new Date(Math.ceil(next() * 0xffff_ffff) * 1000).toISOString().replace('.000', ''),
  string: (next) => `S/N ${Math.floor(next() * 1e9)} öä`,
  bytes: (next) => Buffer.from(`${Math.floor(next() * 1e9)}`.padEnd(30, 'x')).toString('hex'),
};

/** A register of which only the part is changed, as FC 22 does it. */
function around(point: ReturnType<typeof parsePoint>, value: PointValue, next: () => number) {
  const { and, or } = encodePart(point, value);
  const before = Math.floor(next() * 65536);
  const after = (before & and) | (or & ~and & 0xffff);
  const register = Buffer.alloc(2);
  register.writeUInt16BE(after);
  return register;
}

test('what is encoded decodes to the same value, for every type and order', (t) => {
  const next = random(4711);
  let checked = 0;
  for (const [type, sample] of Object.entries(samples)) {
    for (const order of byteOrders) {
      const size = registersOf[type as PointType] * 2;
      if (size > 0 && places(order, size as 2 | 4 | 8) === null) continue;
      const len = size === 0 ? { len: 15 } : {};
      const point = parsePoint('p', { ...holding, type, order, ...len });
      for (let round = 0; round < 60; round++) {
        const value = sample(next);
        const wire = isPart(point) ? around(point, value, next) : encode(point, value);
        t.is(wire.length, point.count * 2);
        const decoded = decoderOf(point)(Buffer.concat([Buffer.alloc(4, 0xee), wire]), 4);
        const expected = typeof value === 'bigint' ? asNumber(value) : value;
        t.deepEqual(decoded, { value: expected }, `${type} ${order} ${wire.toString('hex')}`);
        checked += 1;
      }
    }
  }
  t.true(checked > 7500);
});

test('a part of a register is changed without touching the rest', (t) => {
  const part = (keys: { [key: string]: Json }, value: PointValue) =>
    encodePart(parsePoint('p', { ...holding, type: 'uint16', ...keys }), value);
  t.deepEqual(part({ bit: 9 }, true), { and: 0xfdff, or: 0x0200 });
  t.deepEqual(part({ bit: 9 }, false), { and: 0xfdff, or: 0 });
  t.deepEqual(part({ bit: 9, order: 'BA' }, true), { and: 0xfffd, or: 0x0002 });
  t.deepEqual(part({ mask: 0x0f00, shift: 8 }, 5), { and: 0xf0ff, or: 0x0500 });
  t.deepEqual(part({ flags: { 3: 'fan', 0: 'hot' } }, 'fan'), { and: 0xfff6, or: 8 });
  t.deepEqual(part({ type: 'int8h' }, -2), { and: 0x00ff, or: 0xfe00 });
  t.throws(() => part({ mask: 0x0f00, shift: 8 }, 16), { message: /does not fit/ });
  t.throws(() => part({ type: 'int8l' }, 128), { message: /does not fit/ });
  t.throws(() => part({ flags: { 3: 'fan' } }, 'pump'), { message: /no flag "pump"/ });
  t.throws(() => part({}, 1), { message: /not a part/ });
});

test('one byte of a register is a number of its own', (t) => {
  t.deepEqual(decode({ type: 'int8h' }, 'fe07'), { value: -2 });
  t.deepEqual(decode({ type: 'uint8l' }, 'fe07'), { value: 7 });
  t.deepEqual(decode({ type: 'uint8h', order: 'BA' }, 'fe07'), { value: 7 });
  t.like(decode({ type: 'int8h', notAvailable: ['0x80'] }, '8001'), { missing: 'not-available' });
  t.deepEqual(decode({ type: 'uint8l', enum: { 2: 'eco' } }, '0102'), { value: 'eco' });
});

test('dates of devices are told as ISO 8601, and none that does not exist', (t) => {
  // 20 November 2026, a Friday (6), 14:30:05.250.
  const ti081 = (hex: string) => decode({ type: 'date-ti081' }, hex);
  t.deepEqual(ti081('001a0bd40e1e1482'), { value: '2026-11-20T14:30:05.250' });
  t.like(ti081('001a0bd40e9e1482'), { missing: 'not-available' });
  t.like(ti081('001a021f0e1e1482'), { missing: 'not-a-number' });
  t.like(ti081('0000000000000000'), { missing: 'not-a-number' });
  t.like(ti081('ffffffffffffffff'), { missing: 'not-a-number' });
  t.deepEqual(decode({ type: 'date-unix' }, '65937530'), { value: '2024-01-02T02:30:08Z' });
  t.like(decode({ type: 'date-unix' }, '00000000'), { missing: 'not-available' });
  const point = parsePoint('p', { ...holding, type: 'date-ti081' });
  t.throws(() => encode(point, '2026-11-20'), { message: /is not like/ });
});

test('a text may use one byte of each register and keep its blanks', (t) => {
  t.deepEqual(decode({ type: 'string', len: 2, half: 'low' }, '00410042'), { value: 'AB' });
  t.deepEqual(decode({ type: 'string', len: 2, half: 'high' }, '41004200'), { value: 'AB' });
  t.deepEqual(decode({ type: 'string', len: 2, half: 'low', order: 'BA' }, '41004200'), {
    value: 'AB',
  });
  t.deepEqual(decode({ type: 'string', len: 2, trim: false }, '20414200'), { value: ' AB' });
  for (const half of ['high', 'low'] as const) {
    const point = parsePoint('p', { ...holding, type: 'string', len: 4, half });
    t.deepEqual(decoderOf(point)(encode(point, 'ABC'), 0), { value: 'ABC' });
    t.throws(() => encode(point, 'ABCDE'), { message: /does not fit/ });
  }
});

test('texts come in every encoding, without padding', (t) => {
  for (const encoding of ['ascii', 'utf8', 'latin1', 'utf16'] as const) {
    for (const order of ['AB', 'BA'] as const) {
      const point = parsePoint('p', { ...holding, type: 'string', len: 12, encoding, order });
      t.deepEqual(decoderOf(point)(encode(point, 'SDM630-V2'), 0), { value: 'SDM630-V2' });
    }
  }
  t.deepEqual(decode({ type: 'string', len: 3 }, '414220200042'), { value: 'AB' });
  t.deepEqual(decode({ type: 'string', len: 2 }, '41071b42'), { value: 'AB' });
  t.like(decode({ type: 'string', len: 2 }, '00000000'), { missing: 'not-available' });
});

test('a 32-bit float is told by its shortest decimal', (t) => {
  t.deepEqual(decode({ type: 'float32' }, '43663333'), { value: 230.2 });
  t.deepEqual(decode({ type: 'float32' }, '4364cccd'), { value: 228.8 });
  t.deepEqual(decode({ type: 'float32' }, 'c4bb8000'), { value: -1500 });
  t.deepEqual(decode({ type: 'float32' }, '4640e47f'), { value: 12345.124 });
  t.deepEqual(decode({ type: 'float32' }, '00000001'), { value: 1e-45 });
  t.deepEqual(decode({ type: 'float32' }, '7f7fffff'), { value: 3.4028235e38 });
  const next = random(99);
  for (let round = 0; round < 20000; round++) {
    const bits = Buffer.alloc(4);
    bits.writeUInt32BE(Math.floor(next() * 2 ** 32));
    const exact = bits.readFloatBE();
    if (!Number.isFinite(exact)) continue;
    const { value } = decode({ type: 'float32' }, bits.toString('hex')) as { value: number };
    t.is(Math.fround(value), exact);
  }
});

test('64 bits beyond 2^53 stay exact', (t) => {
  t.deepEqual(decode({ type: 'uint64' }, 'fffffffffffffffe'), { value: 18446744073709551614n });
  t.deepEqual(decode({ type: 'int64' }, '8000000000000000'), { value: -9223372036854775808n });
  t.deepEqual(decode({ type: 'uint64' }, '001fffffffffffff'), { value: Number.MAX_SAFE_INTEGER });
  t.deepEqual(decode({ type: 'int64' }, 'fffffffffffffffb'), { value: -5 });
});

test('a raw value that stands for "no value" is no value, in every order', (t) => {
  const missing = { missing: 'not-available' as const };
  t.like(decode({ type: 'int16', notAvailable: [0x8000] }, '8000'), missing);
  t.like(decode({ type: 'int16', notAvailable: [-32768] }, '8000'), missing);
  t.like(decode({ type: 'int16', order: 'BA', notAvailable: ['0x8000'] }, '0080'), missing);
  t.deepEqual(decode({ type: 'int16', order: 'BA', notAvailable: ['0x8000'] }, '8000'), {
    value: 128,
  });
  t.like(decode({ type: 'int32', order: 'CDAB', notAvailable: [0x80000000] }, '00008000'), missing);
  t.like(decode({ type: 'uint64', notAvailable: ['0xFFFFFFFFFFFFFFFF'] }, 'f'.repeat(16)), missing);
  t.like(decode({ type: 'float32', notAvailable: ['nan'] }, '7fc00000'), missing);
  t.like(decode({ type: 'float32', notAvailable: ['inf'] }, 'ff800000'), missing);
  t.like(decode({ type: 'uint16', bit: 0, notAvailable: [0xffff] }, 'ffff'), missing);
});

test('what is no number is told as such and never as zero', (t) => {
  const missing = { missing: 'not-a-number' as const };
  t.like(decode({ type: 'float32' }, '7fc00000'), missing);
  t.like(decode({ type: 'float32', notAvailable: ['nan'] }, '7f800000'), missing);
  t.like(decode({ type: 'float64' }, '7ff8000000000000'), missing);
  t.like(decode({ type: 'float16' }, '7e00'), missing);
  t.like(decode({ type: 'bcd16' }, '12a4'), missing);
  t.like(decode({ type: 'mod10k' }, '27100000'), missing);
});

test('bits, masks, states and flags are taken out of a register', (t) => {
  t.deepEqual(decode({ type: 'uint16', bit: 9 }, '0200'), { value: true });
  t.deepEqual(decode({ type: 'uint32', order: 'CDAB', bit: 31 }, '00008000'), { value: true });
  t.deepEqual(decode({ type: 'bool' }, '0002'), { value: true });
  t.deepEqual(decode({ type: 'uint16', mask: 0x0f00, shift: 8 }, 'a5c3'), { value: 5 });
  const states = { type: 'uint16', enum: { 0: 'off', 2: 'running' } };
  t.deepEqual(decode(states, '0002'), { value: 'running' });
  t.like(decode(states, '0007'), { value: 7, doubt: 'unknown-state' });
  t.deepEqual(decode({ type: 'int16', enum: { '-1': 'none' } }, 'ffff'), { value: 'none' });
  t.deepEqual(decode({ type: 'uint16', mask: 0xf0, shift: 4, enum: { 3: 'eco' } }, '0035'), {
    value: 'eco',
  });
  const asFloat = { type: 'float32', enum: { 2: '9600' }, notAvailable: ['nan'] };
  t.deepEqual(decode(asFloat, '40000000'), { value: '9600' });
  t.like(decode(asFloat, '40200000'), { value: 2.5, doubt: 'unknown-state' });
  t.like(decode(asFloat, '7fc00000'), { missing: 'not-available' });
  const flags = { type: 'uint16', flags: { 3: 'fan', 0: 'overheated' } };
  t.deepEqual(decode(flags, '0009'), { value: 'overheated,fan' });
  t.deepEqual(decode(flags, '0000'), { value: '' });
  t.like(decode(flags, '0041'), { value: 'overheated,bit 6', doubt: 'unknown-state' });
});

test('a power of ten leaves no binary dust and loses no digits', (t) => {
  t.is(scaleByPower(229, -1), 22.9);
  t.is(scaleByPower(5003, -2), 50.03);
  t.is(scaleByPower(-7, 3), -7000);
  t.is(scaleByPower(12345678901, 8), 1234567890100000000n);
  t.is(scaleByPower(18446744073709551615n, 1), 184467440737095516150n);
  t.is(scaleByPower(18446744073709551600n, -2), 184467440737095516n);
});
