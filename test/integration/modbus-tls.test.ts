import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createServer, type TlsOptions } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import type { Json } from '#driver';
import tls from '../../plugins/modbus/drivers/tls.ts';
import { fakeHost } from '../../plugins/modbus/test/fake-host.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { findPeer } from '../support/find-peer.ts';
import { hasLibmodbus, libmodbusProgram, startServer } from '../support/libmodbus-program.ts';

const missing = [
  ...(hasLibmodbus() ? [] : ['gcc with libmodbus']),
  ...(findPeer('openssl') === undefined ? ['openssl'] : []),
];
const run = missing.length === 0 ? test : test.skip;
const title = missing.length === 0 ? '' : ` (skipped: no ${missing.join(', ')})`;

/** TLS in front of a server of libmodbus, as a gateway for Modbus/TCP Security does it. */
async function secured(t: ExecutionContext, options: TlsOptions): Promise<number> {
  const program = libmodbusProgram('libmodbus-server');
  const { line } = await startServer(t, [program], 'word holding 12 4660\nserve\n');
  const server = createServer(options, (socket) => {
    const behind = connect(Number(line), '127.0.0.1');
    socket.on('error', () => behind.destroy());
    behind.on('error', () => socket.destroy());
    socket.pipe(behind).pipe(socket);
    t.teardown(() => socket.destroy());
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

/** The value of register 12, or the message of what went wrong. */
async function reading(t: ExecutionContext, config: Json): Promise<Json> {
  const host = fakeHost();
  const driver = tls(host);
  t.teardown(() => driver.close());
  const device = { id: 'peer', address: { unit: 1 }, options: { profile: {}, points: [] } };
  await driver.addDevice(device, AbortSignal.timeout(5000));
  try {
    await driver.connect(config, AbortSignal.timeout(5000));
    const point = { pointId: 'p', address: { table: 'holding', type: 'uint16', addr: 12 } };
    const [result] = await driver.read('peer', [point], AbortSignal.timeout(5000));
    return result?.value as number;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await driver.close();
    t.is(host.timers(), 0);
  }
}

const pem = (file: string) => readFileSync(file);

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  run(`${version}: both sides show a certificate, or there is no connection${title}`, async (t) => {
    const authority = new CertificateAuthority();
    t.teardown(() => authority.remove());
    const device = authority.issue({ name: 'device' });
    const gateway = authority.issue({ name: 'gateway' });
    const stranger = authority.issue({ name: 'stranger', foreign: true });
    const port = await secured(t, {
      cert: pem(device.certificate),
      key: pem(device.key),
      ca: pem(authority.ca()),
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    });
    const link = { host: '127.0.0.1', port, ca: authority.ca() };
    t.is(await reading(t, { ...link, ...gateway }), 4660);
    t.regex(
      String(await reading(t, link)),
      /^no TLS with 127\.0\.0\.1:\d+: the device [^\n]*client certificate/,
    );
    t.regex(String(await reading(t, { ...link, ...stranger })), /our client certificate/);
    t.regex(
      String(await reading(t, { ...link, ...gateway, ca: authority.ca(true) })),
      /authority of its certificate is not known \(set ca/,
    );
    t.regex(
      String(await reading(t, { ...link, ...gateway, serverName: 'other.example' })),
      /certificate is for another name/,
    );
    t.is(await reading(t, { ...link, ...gateway, serverName: 'localhost' }), 4660);
    t.regex(
      String(await reading(t, { ...link, ca: '/etc/riser/tls/none.pem' })),
      /^ca \/etc\/riser\/tls\/none\.pem cannot be read: there is no such file/,
    );
  });
}

run(`a device that only offers TLS 1.1, or none at all, is refused${title}`, async (t) => {
  const authority = new CertificateAuthority();
  t.teardown(() => authority.remove());
  const device = authority.issue({ name: 'device' });
  const port = await secured(t, {
    cert: pem(device.certificate),
    key: pem(device.key),
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  t.regex(
    String(await reading(t, { host: '127.0.0.1', port, ca: authority.ca() })),
    /^no TLS with/,
  );
  const { line } = await startServer(t, [libmodbusProgram('libmodbus-server')], 'serve\n');
  const plain = { host: '127.0.0.1', port: Number(line), connectTimeoutMs: 500 };
  t.regex(String(await reading(t, plain)), /^no TLS with/);
});
