import { copyFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { SystemClock } from '../../src/kernel/system-clock.ts';
import type { Clock } from '../../src/model/clock.ts';
import type { SecretRef } from '../../src/model/site.ts';
import { CertificateAuthority, type CertificateFiles } from '../support/certificates.ts';
import { findPeer } from '../support/find-peer.ts';
import { freePort } from '../support/free-port.ts';
import { readingsBatch } from '../support/memory-outbox.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { acme, type Setup, until, uplinkUnderTest } from '../support/uplink-under-test.ts';

const missing = (['mosquitto', 'openssl'] as const).filter((name) => findPeer(name) === undefined);
const serial = missing.length > 0 ? test.serial.skip : test.serial;
const title = (text: string) =>
  missing.length > 0 ? `${text} (${missing.join(' and ')} not installed)` : text;

const dayMs = 86_400_000;

function authority(t: ExecutionContext): CertificateAuthority {
  const made = new CertificateAuthority();
  t.teardown(() => made.remove());
  return made;
}

async function secure(
  t: ExecutionContext,
  ca: CertificateAuthority,
  server: CertificateFiles,
  config: readonly string[] = [],
  port?: number,
): Promise<Mosquitto> {
  const broker = await startMosquitto({
    tls: { ca: ca.ca(), ...server },
    config,
    ...(port === undefined ? {} : { port }),
  });
  t.teardown(() => broker.stop());
  return broker;
}

const resolveSecret = async (ref: SecretRef) =>
  'file' in ref ? await readFile(ref.file, 'utf8') : '';

/** A gateway that buffers, says one sentence, and comes by itself when the cause is mended. */
async function staysAway(
  t: ExecutionContext,
  url: string,
  expected: { readonly code: string; readonly condition: string; readonly text: RegExp },
  setup: Setup,
) {
  const under = await uplinkUnderTest(t, url, { resolveSecret, ...setup });
  await under.outbox.append([readingsBatch(acme)]);
  await until(() => under.uplink.status()[0]?.state === 'waiting');
  const status = under.uplink.status()[0];
  t.is(status?.code, expected.code);
  t.regex(status?.detail ?? '', expected.text);
  t.false(status?.detail?.includes('\n'));
  t.true(under.conditions.has(expected.condition as never, 'acme'));
  t.is(under.outbox.pending(), 1);
  t.log(status?.detail);
  return under;
}

serial(title('a broker with a good certificate is taken, in TLS 1.3 and in 1.2'), async (t) => {
  const ca = authority(t);
  const server = ca.issue({ name: 'good' });
  for (const config of [[], ['tls_version tlsv1.2']]) {
    const broker = await secure(t, ca, server, config);
    const { outbox } = await uplinkUnderTest(t, broker.url, { settings: { tls: { ca: ca.ca() } } });
    await outbox.append([readingsBatch(acme)]);
    await until(() => outbox.pending() === 0);
  }
  t.pass();
});

serial(
  title('a certificate of an unknown authority is refused until its authority is in the file'),
  async (t) => {
    const ca = authority(t);
    const broker = await secure(t, ca, ca.issue({ name: 'foreign-leaf', foreign: true }));
    const file = `${ca.folder}/trusted.pem`;
    copyFileSync(ca.ca(), file);
    const { outbox, conditions } = await staysAway(
      t,
      broker.url,
      {
        code: 'UPSTREAM_TLS',
        condition: 'upstream-tls',
        text: /issued by "test foreign", which this gateway does not trust\. Put .*uplink\.tls\.ca/,
      },
      { settings: { tls: { ca: file } } },
    );
    copyFileSync(ca.ca(true), file);
    await until(() => outbox.pending() === 0 && !conditions.has('upstream-tls', 'acme'));
  },
);

serial(
  title('an expired certificate is named with its date; a renewed one is taken'),
  async (t) => {
    const ca = authority(t);
    const expired = ca.issue({
      name: 'expired',
      notBefore: new Date('2026-01-02T00:00:00Z'),
      notAfter: new Date('2026-03-04T00:00:00Z'),
    });
    const broker = await secure(t, ca, expired);
    const synced = new (class extends SystemClock {
      override synced(): boolean {
        return true;
      }
    })('boot-1');
    const { outbox } = await staysAway(
      t,
      broker.url,
      {
        code: 'UPSTREAM_TLS',
        condition: 'upstream-tls',
        text: /localhost expired on 2026-03-04\. Renew/,
      },
      { settings: { tls: { ca: ca.ca() } }, clock: synced },
    );
    await broker.stop();
    await secure(t, ca, ca.issue({ name: 'renewed' }), [], broker.port);
    await until(() => outbox.pending() === 0);
  },
);

serial(
  title('a certificate that is not valid yet points to the clock of the gateway'),
  async (t) => {
    const ca = authority(t);
    const broker = await secure(
      t,
      ca,
      ca.issue({ name: 'early', notBefore: new Date(Date.now() + 10 * dayMs) }),
    );
    await staysAway(
      t,
      broker.url,
      {
        code: 'UPSTREAM_TLS',
        condition: 'upstream-tls',
        text: /valid only from .*clock is probably not set/,
      },
      { settings: { tls: { ca: ca.ca() } } },
    );
  },
);

serial(title('a certificate for another name is refused, unless that name is set'), async (t) => {
  const ca = authority(t);
  const broker = await secure(t, ca, ca.issue({ name: 'other', names: 'DNS:broker.example.com' }));
  await staysAway(
    t,
    broker.url,
    {
      code: 'UPSTREAM_TLS',
      condition: 'upstream-tls',
      text: /is for broker\.example\.com, not for localhost\. .*serverName/,
    },
    { settings: { tls: { ca: ca.ca() } } },
  );
  const { outbox } = await uplinkUnderTest(t, broker.url, {
    settings: { tls: { ca: ca.ca(), serverName: 'broker.example.com' } },
  });
  await outbox.append([readingsBatch(acme)]);
  await until(() => outbox.pending() === 0);
});

serial(
  title('a broker that wants a client certificate: missing, foreign, good, soon to expire'),
  async (t) => {
    const ca = authority(t);
    const broker = await secure(t, ca, ca.issue({ name: 'mutual' }), ['require_certificate true']);
    const tls = { ca: ca.ca() };
    await staysAway(
      t,
      broker.url,
      {
        code: 'UPSTREAM_REFUSED',
        condition: 'upstream-refused',
        text: /asks for a client certificate, and none is configured/,
      },
      { settings: { tls } },
    );
    const foreign = ca.issue({ name: 'foreign-client', foreign: true });
    await staysAway(
      t,
      broker.url,
      {
        code: 'UPSTREAM_REFUSED',
        condition: 'upstream-refused',
        text: /refuses the client certificate/,
      },
      {
        settings: { tls: { ...tls, certificate: foreign.certificate, key: { file: foreign.key } } },
      },
    );
    const good = ca.issue({ name: 'gw', notAfter: new Date(Date.now() + 9.5 * dayMs) });
    const { outbox, conditions } = await uplinkUnderTest(t, broker.url, {
      resolveSecret,
      settings: { tls: { ...tls, certificate: good.certificate, key: { file: good.key } } },
    });
    await outbox.append([readingsBatch(acme)]);
    await until(() => outbox.pending() === 0);
    const [expiring] = conditions.list().filter(({ code }) => code === 'certificate-expiring');
    t.regex(expiring?.text ?? '', /gw\.crt expires on .*, in 9 days/);
  },
);

serial(
  title('TLS on a port without it, and no TLS on a port with it, are told apart'),
  async (t) => {
    const ca = authority(t);
    const plain = await startMosquitto();
    t.teardown(() => plain.stop());
    await staysAway(
      t,
      plain.url.replace('mqtt:', 'mqtts:'),
      {
        code: 'UPSTREAM_TLS',
        condition: 'upstream-tls',
        text: /does not speak TLS|broke the TLS handshake off/,
      },
      { settings: { tls: { ca: ca.ca() } } },
    );
    const secured = await secure(t, ca, ca.issue({ name: 'good' }));
    await staysAway(
      t,
      secured.url.replace('mqtts:', 'mqtt:'),
      {
        code: 'UPSTREAM_PROTOCOL',
        condition: 'upstream-unreachable',
        text: /mqtts:\/\/ if that port/,
      },
      {},
    );
  },
);

serial(title('nothing listening, and a name that does not exist, say so'), async (t) => {
  const port = await freePort();
  await staysAway(
    t,
    `mqtt://127.0.0.1:${port}`,
    {
      code: 'UPSTREAM_UNREACHABLE',
      condition: 'upstream-unreachable',
      text: /Nothing listens on 127\.0\.0\.1:\d+/,
    },
    {},
  );
  await staysAway(
    t,
    'mqtt://broker.invalid:1883',
    {
      code: 'UPSTREAM_UNREACHABLE',
      condition: 'upstream-unreachable',
      text: /broker\.invalid cannot be resolved/,
    },
    {},
  );
});

serial(title('nothing is sent to a peer that has not proved who it is'), async (t) => {
  const bytes: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      bytes.push(chunk);
      socket.end('not TLS at all');
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const clock: Clock = new SystemClock('boot-1');
  const { uplink } = await uplinkUnderTest(t, `mqtts://127.0.0.1:${port}`, {
    clock,
    settings: { username: 'gateway', password: { file: '/dev/null' } },
    resolveSecret: async () => 'very-secret-password',
  });
  await until(() => uplink.status()[0]?.state === 'waiting');
  t.false(Buffer.concat(bytes).includes('very-secret-password'));
});
