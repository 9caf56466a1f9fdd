import test from 'ava';
import { GatewayError } from '../../../src/model/errors.ts';
import { readBrokerUrl } from '../../../src/uplink/broker-address.ts';
import { explain, SessionError, type SessionTrouble } from '../../../src/uplink/explain.ts';
import type { Attempt } from '../../../src/uplink/failure.ts';

function attempt(changes: Partial<Attempt> & { wall?: number; synced?: boolean } = {}): Attempt {
  const { wall = Date.UTC(2026, 10, 20), synced = true, ...rest } = changes;
  return {
    host: 'broker.example.com',
    port: 8883,
    secure: true,
    clientCertificate: false,
    clock: { wall: () => wall, synced: () => synced },
    ...rest,
  };
}

const system = (code: string) => Object.assign(new Error(code.toLowerCase()), { code });

const troubles: readonly SessionTrouble[] = [
  'dial-timeout',
  'handshake',
  'closed-early',
  'connack-timeout',
  'not-mqtt',
  'too-large',
  'no-qos1',
  'subscribe-timeout',
  'closed',
  'silent',
  'ack-timeout',
];
const codes = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ETIMEDOUT', 'ECONNRESET', 'EFOO'],
  ...['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_REVOKED'],
  ...['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'ERR_SSL_FOO'],
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
];

test('every failure is one sentence about the broker and one about what to do', (t) => {
  const failures = [
    ...codes.map((code) => system(code)),
    ...troubles.map((kind) => new SessionError(kind)),
    ...[1, 2, 3, 4, 5, 0x84, 0x86, 0x87, 0x8a, 0x97, 0xff].map(
      (code) => new SessionError('connack', code),
    ),
    ...[0, 0x87, 0x8b, 0x8e, 0x93, 0x95, 0x97].map((code) => new SessionError('disconnect', code)),
    'not even an error',
  ];
  for (const error of failures) {
    for (const secure of [true, false]) {
      const { message, remedy } = explain(error, attempt({ secure }));
      t.regex(message, /broker\.example\.com/);
      t.notRegex(message, /[\n.]$/);
      t.regex(remedy, /^[A-Z].*\.$/);
      t.true(message.length < 250 && remedy.length < 200, message);
    }
  }
});

test('an expired certificate makes the clock suspect only when the clock is', (t) => {
  const expired = system('CERT_HAS_EXPIRED');
  t.notRegex(explain(expired, attempt()).message, /clock/);
  t.regex(explain(expired, attempt({ synced: false })).message, /not synchronised and shows 2026/);
  const dead = attempt({ wall: Date.UTC(2000, 0, 1) });
  t.regex(explain(expired, dead).remedy, /^Set the clock/);
});

test('a connection closed before the answer points to the client certificate with TLS only', (t) => {
  const early = new SessionError('closed-early');
  t.is(explain(early, attempt()).condition, 'upstream-refused');
  t.regex(explain(early, attempt({ clientCertificate: true })).message, /refuses the client cert/);
  t.is(explain(early, attempt({ secure: false })).condition, 'upstream-unreachable');
});

test('a second gateway with the same id is named', (t) => {
  t.regex(
    explain(new SessionError('disconnect', 0x8e), attempt()).remedy,
    /second gateway with the same gateway\.id/,
  );
});

test('a secret that cannot be read is a condition of its own', (t) => {
  const error = new GatewayError('SECRET_UNRESOLVED', 'no file');
  t.is(explain(error, attempt()).condition, 'secret-unresolved');
});

test('a broker is addressed by mqtt:// or mqtts://, and shown without its password', (t) => {
  t.like(readBrokerUrl('mqtt://broker'), { host: 'broker', port: 1883, secure: false });
  t.like(readBrokerUrl('mqtts://[::1]:99'), { host: '::1', port: 99, secure: true });
  const address = readBrokerUrl('mqtts://me:p%40ss@broker');
  t.like(address, { username: 'me', password: 'p@ss', shown: 'mqtts://broker:8883' });
  for (const text of ['', 'broker', 'http://broker', 'mqtt://', 'ws://broker']) {
    t.throws(() => readBrokerUrl(text), { code: 'UPSTREAM_PROTOCOL' }, text);
  }
});
