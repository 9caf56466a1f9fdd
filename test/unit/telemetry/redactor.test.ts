import test from 'ava';
import { GatewayError } from '../../../src/model/errors.ts';
import { isSensitiveName, Redactor } from '../../../src/telemetry/redactor.ts';

const canary = 'CANARY-7f3a-pass/w@rd';
const written = (value: unknown, redactor = new Redactor()) =>
  JSON.stringify(redactor.value(value)) ?? '';

test('a secret is masked by the name of its field at any depth', (t) => {
  const text = written({
    a: { b: { c: [{ uplink: { password: canary } }, { 'x-api-key': canary }] } },
    clientSecret: { value: canary },
    headers: { Authorization: `Bearer ${canary}`, cookie: `sid=${canary}` },
    tls: new Map([['privateKey', canary]]),
    rawHeaders: ['Host', 'x', 'Authorization', canary],
  });
  t.false(text.includes('CANARY'), text);
  t.true(text.includes('"Host"'));
});

test('a secret in an error, its stack, its cause and its facts is masked', (t) => {
  const redactor = new Redactor();
  redactor.register(canary);
  const cause = Object.assign(new Error(`login with ${canary} failed`), {
    options: { url: `mqtts://gw:${canary}@broker.example:8883/x` },
  });
  const error = new GatewayError('UPSTREAM_REFUSED', `refused: ${canary}`, {
    cause: new AggregateError([cause], `all failed: ${canary}`, { cause }),
    facts: { user: canary },
  });
  const text = written({ err: error }, redactor);
  t.false(text.includes('CANARY'), text);
  t.true(text.includes('UPSTREAM_REFUSED'));
  t.true(text.includes('broker.example:8883'));
});

for (const [what, text] of Object.entries({
  'user info of a URL': `connect mqtts://gw:${canary}@broker.example failed`,
  'a parameter of a URL': 'GET https://x.example/a?unit=1&access_token=CANARY&b=2',
  'a bearer token': 'authorization: Bearer CANARY.abc.def rejected',
  'an assignment': 'cannot parse "password": "CANARY", line 3',
  'a private key': '-----BEGIN EC PRIVATE KEY-----\nCANARY\n-----END EC PRIVATE KEY-----',
  'a private key cut off': '-----BEGIN PRIVATE KEY-----\nCANARY',
})) {
  test(`${what} in a text is masked without knowing it`, (t) => {
    const clean = new Redactor().text(text);
    t.false(clean.includes('CANARY'), clean);
    t.true(clean.includes('***'));
  });
}

test('a known secret is masked wherever it stands, encoded or not', (t) => {
  const redactor = new Redactor();
  redactor.register(`${canary}\n`);
  const text = written(
    {
      [canary]: 1,
      plain: `x${canary}y`,
      encoded: encodeURIComponent(canary),
      base64: Buffer.from(canary).toString('base64'),
    },
    redactor,
  );
  t.false(text.includes('CANARY'), text);
  t.false(text.includes(Buffer.from(canary).toString('base64')), text);
});

test('a very short secret does not turn the log into stars', (t) => {
  const redactor = new Redactor();
  redactor.register('1');
  redactor.register('');
  t.is(redactor.text('unit 1 of 11'), 'unit 1 of 11');
});

test('what is no secret stays readable', (t) => {
  const facts = {
    url: 'mqtt://broker.example:1883/a?unit=1',
    keepaliveS: 30,
    device: 'meter-1',
    monkey: 'yes',
    text: 'Put the secret where the text says, then run "riser config apply".',
    hasPassword: true,
    n: 0,
    value: null,
  };
  t.deepEqual(new Redactor().value(facts), facts);
});

test('names are judged by their words', (t) => {
  for (const name of ['password', 'mqttPassword', 'x-api-key', 'sessionToken', 'KEY', 'set_cookie'])
    t.true(isSensitiveName(name), name);
  for (const name of ['mqttAuth', 'device_pin', 'X-Auth', 'signingKey', 'wifi-psk'])
    t.true(isSensitiveName(name), name);
  for (const name of ['keepalive', 'monkey', 'author', 'pinned', 'spinner', 'code', 'reason'])
    t.false(isSensitiveName(name), name);
});

test('whatever goes in, a finite plain tree comes out', (t) => {
  const circle: Record<string, unknown> = {
    n: 1n,
    f: () => 1,
    u: undefined,
    bytes: Buffer.alloc(9),
  };
  circle.self = circle;
  circle.hostile = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('no');
      },
    },
  );
  circle.getter = Object.defineProperty({}, 'x', {
    enumerable: true,
    get() {
      throw new Error('no');
    },
  });
  circle.proto = JSON.parse('{"__proto__":{"polluted":true}}');
  let deep: object = {};
  for (let n = 0; n < 10_000; n += 1) deep = { deep };
  circle.deep = deep;
  circle.list = Array.from({ length: 100_000 }, (_, n) => n);
  circle.when = new Date(Number.NaN);
  circle.number = Number.NaN;

  const text = written(circle);
  t.true(text.length < 5_000, String(text.length));
  t.true(text.includes('[circular]'));
  t.true(text.includes('[9 bytes]'));
  t.true(text.includes('[99950 more]'));
  t.is(({} as { polluted?: boolean }).polluted, undefined);
});

test('a text made to be slow is not', (t) => {
  const redactor = new Redactor();
  const texts = [
    'a://'.repeat(10_000),
    'secret'.repeat(10_000),
    '?token'.repeat(10_000),
    '-----BEGIN PRIVATE KEY-----'.repeat(1_000),
    `${'a'.repeat(20_000)}=`,
    'bearer '.repeat(5_000),
  ];
  const begun = process.cpuUsage();
  for (const text of texts) redactor.text(text);
  const { user } = process.cpuUsage(begun);
  // Bounded by the work, not by the machine: an exponential expression would take minutes.
  t.true(user < 5_000_000, `${user} µs`);
});
