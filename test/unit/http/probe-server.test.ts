import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { ProbeServer } from '../../../src/http/probe-server.ts';
import { ControlFake } from '../../support/control-fake.ts';
import { countingNotes } from '../../support/silent-notes.ts';

async function serve(t: ExecutionContext, control = new ControlFake()) {
  const { notes, calls } = countingNotes();
  const server = new ProbeServer({
    port: 0,
    control,
    metrics: async () => '# HELP riser_ready ready\nriser_ready 1\n',
    notes,
  });
  await server.start(AbortSignal.timeout(5_000));
  t.teardown(() => server.close());
  return { server, control, port: server.port!, calls };
}

/** Sends a request as it is and returns all of the answer. */
async function exchange(port: number, bytes: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.write(bytes);
  return await text(socket);
}

const get = (port: number, path: string, host: string, more = '') =>
  exchange(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`);

test('every probe answers on a healthy gateway', async (t) => {
  const { port } = await serve(t);
  for (const [path, expected] of [
    ['/livez', /\r\n\r\nlive\n$/],
    ['/readyz', /\r\n\r\nready\n$/],
    ['/healthz', /\r\n\r\nready\n$/],
    ['/metrics', /text\/plain; version=0\.0\.4.*riser_ready 1\n$/s],
    ['/status.txt', /riser 1\.0\.0 {2}gw-7f3a.*Needs attention \(2\)/s],
  ] as const) {
    const answer = await get(port, path, 'localhost');
    t.regex(answer, /^HTTP\/1\.1 200 /, path);
    t.regex(answer, expected);
  }
});

test('the state of the upstream fails no probe', async (t) => {
  const control = new ControlFake();
  const [uplink] = control.current.uplinks;
  control.current = { ...control.current, uplinks: [{ ...uplink!, state: 'waiting' }] };
  const { port } = await serve(t, control);
  for (const path of ['/livez', '/readyz', '/healthz']) {
    t.regex(await get(port, path, '127.0.0.1'), /^HTTP\/1\.1 200 /, path);
  }
});

test('a gateway that is not ready, or hangs, says so', async (t) => {
  const { port, control } = await serve(t);
  control.current = { ...control.current, ready: false, mode: 'starting' };
  t.regex(await get(port, '/readyz', '127.0.0.1'), /^HTTP\/1\.1 503 .*not ready: starting\n$/s);
  t.regex(await get(port, '/livez', '127.0.0.1'), /^HTTP\/1\.1 200 /);
  control.isLive = false;
  t.regex(await get(port, '/livez', '127.0.0.1'), /^HTTP\/1\.1 503 /);
});

for (const host of [
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  '127.0.0.2',
  'localhost@evil.example',
  '::1',
]) {
  test(`a request for the host ${host} gets 421 and nothing else`, async (t) => {
    const { port } = await serve(t);
    const answer = await get(port, '/status.txt', `${host}:${port}`);
    t.regex(answer, /^HTTP\/1\.1 421 .*\r\n\r\n$/s);
    t.notRegex(answer, /gw-7f3a/);
  });
}

test('a request without a host is refused, one for this machine is answered', async (t) => {
  const { port } = await serve(t);
  t.regex(await exchange(port, 'GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 421 /);
  for (const host of ['LOCALHOST', '127.0.0.1:9', '[::1]:9463']) {
    t.regex(await get(port, '/livez', host), /^HTTP\/1\.1 200 /, host);
  }
});

test('a page of another origin cannot read a probe', async (t) => {
  const { port } = await serve(t);
  for (const header of ['Origin: http://evil.example\r\n', 'Sec-Fetch-Site: cross-site\r\n']) {
    const answer = await get(port, '/status.txt', 'localhost', header);
    t.regex(answer, /^HTTP\/1\.1 403 .*\r\n\r\n$/s);
    t.notRegex(answer, /access-control/i);
  }
});

test('anything but GET and HEAD is refused, and no body is read', async (t) => {
  const { port } = await serve(t);
  const host = 'Host: localhost\r\n';
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.regex(await exchange(port, `${method} /livez HTTP/1.1\r\n${host}\r\n`), /^HTTP\/1\.1 405 /);
  }
  const declared = `GET /livez HTTP/1.1\r\n${host}Content-Length: 1000000000\r\n\r\n`;
  t.regex(await exchange(port, declared), /^HTTP\/1\.1 413 /);
  const head = await exchange(port, `HEAD /livez HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
  t.regex(head, /^HTTP\/1\.1 200 .*\r\n\r\n$/s);
});

test('an unknown path is 404 with the list of probes, and security headers are everywhere', async (t) => {
  const { port } = await serve(t);
  const answer = await get(port, '/api/v1/status', 'localhost');
  t.regex(answer, /^HTTP\/1\.1 404 .*\/livez\n.*\/status\.txt\n$/s);
  t.regex(answer, /content-security-policy: default-src 'none'/);
  t.regex(answer, /x-content-type-options: nosniff/);
});

test('metrics that fail are 500 without the reason, which is noted', async (t) => {
  const { notes, calls } = countingNotes();
  const server = new ProbeServer({
    port: 0,
    control: new ControlFake(),
    metrics: () => {
      throw new Error('CANARY-2');
    },
    notes,
  });
  await server.start(AbortSignal.timeout(5_000));
  t.teardown(() => server.close());
  const answer = await get(server.port!, '/metrics', 'localhost');
  t.regex(answer, /^HTTP\/1\.1 500 /);
  t.notRegex(answer, /CANARY/);
  t.is(calls.get('partFailed')?.length, 1);
});

test('a port that is taken is told by its number', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => void other.close());
  const { port } = other.address() as AddressInfo;
  const server = new ProbeServer({
    port,
    control: new ControlFake(),
    metrics: async () => '',
    notes: countingNotes().notes,
  });
  const error = await t.throwsAsync(server.start(AbortSignal.timeout(5_000)), {
    code: 'PORT_IN_USE',
  });
  t.true(error?.message.includes(String(port)));
  await t.notThrowsAsync(server.close());
});

test('port -1 opens nothing, and close may come twice', async (t) => {
  const server = new ProbeServer({
    port: -1,
    control: new ControlFake(),
    metrics: async () => '',
    notes: countingNotes().notes,
  });
  await server.start(AbortSignal.timeout(5_000));
  t.is(server.port, undefined);
  await server.close();
  await server.close();
});

test('close ends a connection with half a request', async (t) => {
  t.timeout(10_000, 'it waits for the client instead');
  const { server, port } = await serve(t);
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  const closed = once(socket.resume(), 'close');
  socket.write('GET /livez HTTP/1.1\r\n');
  // An answer to a second client proves that the first bytes of this one have arrived.
  await get(port, '/livez', 'localhost');
  await server.close();
  await closed;
  t.pass();
});
