import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type ExecutionContext } from 'ava';
import { controlRoutes } from '../../../src/http/control-routes.ts';
import { ControlServer } from '../../../src/http/control-server.ts';
import { openApiDocument } from '../../../src/http/openapi.ts';
import { components } from '../../../src/http/schemas.ts';
import { GatewayError } from '../../../src/model/errors.ts';
import type { LatestValue } from '../../../src/model/field.ts';
import { ControlFake, envelope, latest } from '../../support/control-fake.ts';
import { countingNotes } from '../../support/silent-notes.ts';

async function socketFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'riser-http-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function serve(t: ExecutionContext, control = new ControlFake()) {
  const socketPath = path.join(await socketFolder(t), 'control.sock');
  const { notes, calls } = countingNotes();
  const server = new ControlServer({
    socketPath,
    control,
    metrics: async () => 'riser_ready 1\n',
    notes,
    version: '1.0.0',
  });
  await server.start(AbortSignal.timeout(10_000));
  t.teardown(() => server.close());
  return { server, control, socketPath, calls };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly body: AnswerBody;
}

/** Members of all answers that these tests look at. */
interface AnswerBody {
  readonly code: string;
  readonly errors: readonly { readonly pointer: string }[];
  readonly values: readonly LatestValue[];
  readonly next?: string;
  readonly findings: readonly unknown[];
  readonly events: readonly unknown[];
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  const answer = await text(response);
  const type = response.headers['content-type'] ?? '';
  return {
    status: response.statusCode ?? 0,
    type,
    text: answer,
    body: /[/+]json/.test(type) ? JSON.parse(answer) : {},
  };
}

function ask(
  socketPath: string,
  url: string,
  options: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { method = 'GET', body, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({
      socketPath,
      path: url.startsWith('/api') ? url : `/api/v1${url}`,
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      agent: false,
    });
    outgoing.once('error', reject);
    outgoing.once('response', (response) => resolve(answerOf(response)));
    outgoing.end(body);
  });
}

const post = (socketPath: string, url: string, body: string) =>
  ask(socketPath, url, { method: 'POST', body });

/** Sends bytes and waits until the other side hangs up. */
async function raw(socketPath: string, bytes: string, end = false): Promise<string> {
  const socket = connect({ path: socketPath });
  await once(socket, 'connect');
  socket.on('error', () => {});
  if (end) socket.end(bytes);
  else socket.write(bytes);
  return await text(socket);
}

/** What comes until the other side hangs up, politely or not. */
async function untilClosed(socket: Socket): Promise<string> {
  let seen = '';
  socket.on('data', (chunk) => {
    seen += String(chunk);
  });
  await new Promise((resolve) => socket.once('close', resolve));
  return seen;
}

test('every JSON route answers what its schema says', async (t) => {
  const { socketPath } = await serve(t);
  const queryOf: Record<string, string> = {
    '/outbox/peek': '?tenant=acme-de&lane=live',
    '/values': '?device=meter-1&limit=2',
  };
  const bodyOf: Record<string, string> = {
    '/read': '{"device":"ahu-03","points":[]}',
    '/config/apply': '{}',
  };
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  let checked = 0;
  for (const route of controlRoutes.filter(({ answer }) => answer.type === 'application/json')) {
    const answer = await ask(socketPath, route.path + (queryOf[route.path] ?? ''), {
      method: route.method,
      ...(bodyOf[route.path] === undefined ? {} : { body: bodyOf[route.path]! }),
    });
    t.is(answer.status, 200, `${route.path}: ${answer.text}`);
    t.is(answer.type, 'application/json; charset=utf-8');
    const matches = ajv.compile({ ...route.answer.schema, components: { schemas: components } });
    t.true(matches(answer.body), `${route.path}: ${JSON.stringify(matches.errors)}`);
    checked += 1;
  }
  t.is(checked, 12);
});

test('docs/reference/openapi.json is what the routes say', async (t) => {
  const file = new URL('../../../docs/reference/openapi.json', import.meta.url);
  const packageFile = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { version: string };
  const expected: object = JSON.parse(JSON.stringify(openApiDocument(version)));
  if (process.env.RISER_UPDATE === '1') await writeFile(file, JSON.stringify(expected, null, 2));
  t.deepEqual(
    JSON.parse(await readFile(file, 'utf8')),
    expected,
    'RISER_UPDATE=1 npx ava test/unit/http/control-server.test.ts writes it anew; biome formats it',
  );
});

test('an action is streamed line by line, and called off when its client leaves', async (t) => {
  const { socketPath, control } = await serve(t);
  const calledOff = Promise.withResolvers<void>();
  control.onAction = ({ action }, signal) => ({
    plugin: 'bus',
    name: action,
    columns: [],
    pauses: 0,
    outputs: (async function* () {
      yield { kind: 'row', row: { n: 1 } } as const;
      if (action === 'fail') throw new GatewayError('ACTION_FAILED', 'nothing answered');
      if (action === 'short') return;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      calledOff.resolve();
    })(),
  });
  const linesOf = async (action: string) => {
    const { text } = await post(socketPath, '/actions', JSON.stringify({ plugin: 'bus', action }));
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string; code?: string });
  };
  t.deepEqual(
    (await linesOf('short')).map(({ kind }) => kind),
    ['begin', 'row', 'end'],
  );
  t.is((await linesOf('fail')).at(-1)?.code, 'ACTION_FAILED');

  const body = '{"plugin":"bus","action":"long"}';
  const socket = connect({ path: socketPath });
  socket.write(
    `POST /api/v1/actions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, 'data');
  socket.destroy();
  await t.notThrowsAsync(calledOff.promise);
});

test('only owner and group may open the socket', async (t) => {
  const { socketPath } = await serve(t);
  t.is((await stat(socketPath)).mode & 0o777, 0o660);
});

test('a page of values ends where the next one begins', async (t) => {
  const { socketPath, control } = await serve(t);
  const seen: string[] = [];
  const sizes: number[] = [];
  let next: string | undefined;
  do {
    const url: string = `/values?limit=3${next === undefined ? '' : `&after=${encodeURIComponent(next)}`}`;
    const { body } = await ask(socketPath, url);
    seen.push(...body.values.map(({ point }) => point));
    sizes.push(body.values.length);
    next = body.next;
  } while (next !== undefined);
  t.deepEqual(sizes, [3, 3, 1]);
  t.deepEqual(
    seen,
    control.latestValues.map(({ point }) => String(point)),
  );
});

test('points are read by their name or by their whole id', async (t) => {
  const { socketPath, control } = await serve(t);
  const answer = await post(
    socketPath,
    '/read',
    '{"device":"meter-1","points":["ac.l1.voltage","meter-1/ac.l1.current"]}',
  );
  t.deepEqual(
    answer.body.values.map(({ value }) => value),
    [230.5, 0],
  );
  t.deepEqual(control.reads[0]?.points, ['ac.l1.voltage', 'ac.l1.current']);
});

test('a problem names its code, what is wrong and what to do', async (t) => {
  const { socketPath } = await serve(t);
  const answer = await post(socketPath, '/read', '{"device":"boiler"}');
  t.is(answer.type, 'application/problem+json; charset=utf-8');
  t.deepEqual(answer.body, {
    type: 'urn:riser:problem:device-unknown',
    title: 'Device unknown',
    status: 404,
    detail: 'there is no device "boiler"',
    code: 'DEVICE_UNKNOWN',
    remedy: 'Use an id that "riser status" lists.',
  });
});

const refused: readonly [what: string, url: string, body: string | undefined, pointer: string][] = [
  ['an unknown key', '/read', '{"device":"a","registers":[1]}', '#/registers'],
  ['a missing key', '/read', '{}', '#/device'],
  ['a number for a text', '/read', '{"device":1}', '#/device'],
  ['a text for a list', '/read', '{"device":"a","points":"x"}', '#/points'],
  ['a body where none belongs', '/config/apply', '{"force":true}', '#/force'],
  ['an unknown parameter', '/values?dev=a', undefined, '?dev'],
  ['a parameter of a route without any', '/status?x=1', undefined, '?x'],
  ['an empty number', '/outbox/dead-letters?limit=', undefined, '?limit'],
  ['a negative number', '/outbox/dead-letters?limit=-1', undefined, '?limit'],
  ['a number beyond its limit', '/outbox/dead-letters?limit=501', undefined, '?limit'],
  ['a wildcard as tenant', '/outbox/peek?tenant=%2B&lane=live', undefined, '?tenant'],
  ['an unknown lane', '/outbox/peek?tenant=acme-de&lane=fast', undefined, '?lane'],
  ['a parameter given twice', '/values?device=a&device=b', undefined, '?device'],
];
for (const [what, url, body, pointer] of refused) {
  test(`${what} is refused with a pointer to it`, async (t) => {
    const { socketPath } = await serve(t);
    const answer = await (body === undefined ? ask(socketPath, url) : post(socketPath, url, body));
    t.is(answer.status, 400, answer.text);
    t.is(answer.body.code, 'REQUEST_INVALID');
    t.is(answer.body.errors[0]?.pointer, pointer);
  });
}

test('all errors of a request are told at once', async (t) => {
  const { socketPath } = await serve(t);
  const { body } = await post(socketPath, '/read', '{"device":"A B","points":[1],"x":2}');
  t.is(body.errors.length, 3);
});

const bombs: readonly [what: string, body: string][] = [
  ['nested deeper than 32 levels', `{"device":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
  ['with a key that names the prototype', '{"device":"a","__proto__":{"x":1}}'],
  ['with an escaped key that names the prototype', '{"device":"a","\\u005f_proto__":{"x":1}}'],
  ['with a constructor key in an inner object', '{"device":"a","points":[{"constructor":1}]}'],
  ['with a key given twice', '{"device":"meter-1","device":"ahu-03"}'],
  ['with a number that becomes Infinity', '{"device":1e999}'],
  ['that is not JSON', '{"device":'],
  ['that is not an object', '[1]'],
];
for (const [what, body] of bombs) {
  test(`a body ${what} is refused`, async (t) => {
    const { socketPath, control } = await serve(t);
    const answer = await post(socketPath, '/read', body);
    t.is(answer.status, 400, answer.text);
    t.is(answer.body.code, 'REQUEST_INVALID');
    t.deepEqual(control.reads, []);
  });
}

test('a key that names the prototype is refused as such, however it is written', async (t) => {
  const { socketPath } = await serve(t);
  for (const key of ['__proto__', '\\u005f_proto__', 'constr\\u0075ctor', 'prototype']) {
    const { text } = await post(socketPath, '/read', `{"device":"a","${key}":{}}`);
    t.regex(text, /The body is refused: the key .* is not allowed/, key);
  }
});

test('a body that is nested too deep is refused for its depth, before anything walks down into it', async (t) => {
  const { socketPath } = await serve(t);
  const { text } = await post(socketPath, '/read', `{"x":${'['.repeat(32)}${']'.repeat(32)}}`);
  t.regex(text, /nested deeper than 32 levels/);
});

test('a body of 1 MB is refused before it is read', async (t) => {
  const { socketPath } = await serve(t);
  const answer = await raw(
    socketPath,
    'POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{',
  );
  t.regex(answer, /^HTTP\/1\.1 413 /);
  t.regex(answer, /REQUEST_TOO_LARGE/);
});

test('a body that is not declared as JSON is refused', async (t) => {
  const { socketPath } = await serve(t);
  const answer = await ask(socketPath, '/read', {
    method: 'POST',
    body: 'device=meter-1',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  t.is(answer.status, 415);
  t.is(answer.body.code, 'MEDIA_TYPE_UNSUPPORTED');
});

test('headers of 100 kB, a header __proto__ and bytes that are no HTTP leave the server standing', async (t) => {
  const { socketPath } = await serve(t);
  const get = 'GET /api/v1/version HTTP/1.1\r\nHost: x\r\n';
  t.regex(
    await raw(socketPath, `${get}X-Long: ${'a'.repeat(100_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  );
  t.regex(
    await raw(socketPath, `${get}__proto__: x\r\nConnection: close\r\n\r\n`),
    /^HTTP\/1\.1 400 .*__proto__/s,
  );
  t.regex(await raw(socketPath, '\u0000\u0001garbage\r\n\r\n'), /^HTTP\/1\.1 400 /);
  t.is((await ask(socketPath, '/version')).status, 200);
});

test('a client that sends its headers a byte at a time is cut', async (t) => {
  // Twice the limit; without its own check Node would look only every 30 s.
  t.timeout(25_000);
  const { socketPath } = await serve(t);
  const socket = connect({ path: socketPath });
  socket.on('error', () => {});
  socket.write('GET /api/v1/version HTTP/1.1\r\n');
  const drip = setInterval(() => socket.write('X'), 500);
  t.teardown(() => clearInterval(drip));
  // Whether the answer is seen is a race with the bytes that were still sent.
  const answer = await untilClosed(socket);
  t.true(answer === '' || answer.startsWith('HTTP/1.1 408 '), answer);
});

test('a client that never sends anything is cut', async (t) => {
  t.timeout(25_000);
  const { socketPath } = await serve(t);
  const socket = connect({ path: socketPath });
  socket.on('error', () => {});
  await once(socket.resume(), 'close');
  t.pass();
});

test('an unknown route is a problem as well', async (t) => {
  const { socketPath } = await serve(t);
  for (const [method, url] of [
    ['GET', '/nothing'],
    ['DELETE', '/status'],
    ['GET', '/api/v2/status'],
    ['GET', '/api/v1/%2e%2e/etc/passwd'],
  ] as const) {
    const answer = await ask(socketPath, url, { method });
    t.is(answer.status, 404, url);
    t.is(answer.body.code, 'ROUTE_UNKNOWN');
  }
});

test('an unexpected error is told without its text, and noted', async (t) => {
  const control = new ControlFake();
  control.status = () => {
    throw new Error('password=CANARY-1');
  };
  const { socketPath, calls } = await serve(t, control);
  const answer = await ask(socketPath, '/status');
  t.is(answer.status, 500);
  t.is(answer.body.code, 'INTERNAL');
  t.notRegex(answer.text, /CANARY/);
  t.is(calls.get('partFailed')?.length, 1);
});

test('a client that leaves stops the read that it asked for', async (t) => {
  const control = new ControlFake();
  const asked = Promise.withResolvers<AbortSignal>();
  control.beforeRead = async (signal) => {
    asked.resolve(signal);
    await once(signal, 'abort');
  };
  const { socketPath } = await serve(t, control);
  const socket = connect({ path: socketPath });
  socket.write(
    'POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"device":"meter-1"}',
  );
  const signal = await asked.promise;
  t.false(signal.aborted);
  socket.destroy();
  if (!signal.aborted) await once(signal, 'abort');
  // Not the deadline of the read, which would end it as well.
  t.is((signal.reason as Error).message, 'the client left');
});

test('a gateway that is not ready says so with 503, whatever its upstream does', async (t) => {
  const { socketPath, control } = await serve(t);
  control.current = {
    ...control.current,
    uplinks: [{ ...control.current.uplinks[0]!, state: 'waiting' }],
  };
  t.is((await ask(socketPath, '/ready')).status, 200);
  control.current = { ...control.current, ready: false, mode: 'starting' };
  const answer = await ask(socketPath, '/ready');
  t.is(answer.status, 503);
  t.deepEqual(answer.body, { ready: false, mode: 'starting' });
});

test('a configuration with errors is 422 with its findings', async (t) => {
  const { socketPath, control } = await serve(t);
  const finding = {
    severity: 'error' as const,
    code: 'E1203',
    file: 'devices.d/plant.yaml',
    line: 4,
    column: 13,
    pointer: '/devices/0/driver',
    message: 'unknown driver',
  };
  control.applied = { ...control.applied, applied: false, findings: [finding] };
  const answer = await ask(socketPath, '/config/apply', { method: 'POST' });
  t.is(answer.status, 422);
  t.is(answer.body.code, 'CONFIG_INVALID');
  t.deepEqual(answer.body.findings, [finding]);
});

test('a peek shows envelopes as they travel and where to go on', async (t) => {
  const { socketPath } = await serve(t);
  const first = await ask(socketPath, '/outbox/peek?tenant=acme-de&lane=live&limit=2');
  t.is(first.text, `{"events":[${envelope(1)},${envelope(3)}],"next":4}`);
  const second = await ask(socketPath, '/outbox/peek?tenant=acme-de&lane=live&after=4');
  t.is(second.body.events.length, 1);
  const unknown = await ask(socketPath, '/outbox/peek?tenant=globex&lane=live');
  t.is(unknown.body.code, 'STREAM_UNKNOWN');
});

test('an export holds every envelope once, and one page in memory', async (t) => {
  const control = new ControlFake();
  const all = Array.from({ length: 1_000 }, (_, index) => envelope(index * 2 + 1));
  control.envelopes = new Map([
    ['acme-de/live', all],
    ['acme-de/alarm', [envelope(1, 'alarm', {})]],
  ]);
  const { socketPath } = await serve(t, control);
  const answer = await ask(socketPath, '/outbox/export');
  t.is(answer.type, 'application/x-ndjson');
  t.is(answer.text, `${[...all, envelope(1, 'alarm', {})].join('\n')}\n`);

  // A client that does not read stops the export from fetching more.
  control.envelopes.set(
    'acme-de/live',
    all.map((text) => text.replace('}]}', `}]${' '.repeat(20_000)}}`).padEnd(20_000)),
  );
  control.peeks = 0;
  const socket = connect({ path: socketPath });
  socket.write('GET /api/v1/outbox/export HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'readable');
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.true(control.peeks < 10, `${control.peeks} pages were fetched for a client that does not read`);
  socket.destroy();
});

test('an export ends with the page that holds what was stored when it began, whatever comes meanwhile', async (t) => {
  const control = new ControlFake();
  const stored = Array.from({ length: 20 }, (_, index) => envelope(index * 2 + 1));
  control.envelopes = new Map([['acme-de/live', stored]]);
  const peek = control.peek.bind(control);
  control.peek = async (...args) => {
    for (let more = 0; more < 50 && stored.length < 1_000; more += 1) {
      stored.push(envelope(stored.length * 2 + 1));
    }
    return await peek(...args);
  };
  const { socketPath } = await serve(t, control);
  const { text } = await ask(socketPath, '/outbox/export');
  t.is(text.split('\n').length - 1, 32);
});

test('an export that fails half-way ends without its last chunk', async (t) => {
  const control = new ControlFake();
  const peek = control.peek.bind(control);
  control.envelopes.set(
    'acme-de/live',
    Array.from({ length: 100 }, (_, index) => envelope(index * 2 + 1)),
  );
  control.peek = async (...args) => {
    if (args[2] > 50) throw new Error('the disk is gone');
    return await peek(...args);
  };
  const { socketPath } = await serve(t, control);
  const answer = await raw(
    socketPath,
    'GET /api/v1/outbox/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  );
  t.regex(answer, /^HTTP\/1\.1 200 /);
  t.false(answer.endsWith('\r\n0\r\n\r\n'));
});

/** Opens a watch and waits until it is subscribed. */
async function openWatch(socketPath: string, query = ''): Promise<Socket> {
  const socket = connect({ path: socketPath });
  socket.on('error', () => {});
  socket.write(`GET /api/v1/watch${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await once(socket, 'readable');
  return socket;
}

/** Reads until a text has come. */
async function readUntil(socket: Socket, wanted: string): Promise<string> {
  let seen = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    seen += String(chunk);
    if (seen.includes(wanted)) return seen;
  }
  return seen;
}

test('a watcher is told what is committed, of its devices only', async (t) => {
  const { socketPath, control } = await serve(t);
  const all = await openWatch(socketPath);
  const one = await openWatch(socketPath, '?device=pv-roof&device=ahu-03');
  t.is(control.listeners.size, 1, 'the gateway is asked once for all watchers');

  control.commit(latest('meter-1', 'ac.l1.voltage', 231), latest('pv-roof', 'ac.power', 4100));
  control.commit(latest('pv-roof', 'ac.power', 4000));

  const seenByAll = await readUntil(all, '4000');
  const seenByOne = await readUntil(one, '4000');
  t.regex(seenByAll, /event: values\ndata: \{"values":\[\{"point":"meter-1/);
  t.notRegex(seenByOne, /meter-1/);
  t.regex(seenByOne, /4100.*4000/s);

  all.destroy();
  one.destroy();
  while (control.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  t.is(control.listeners.size, 0, 'nobody watches: a commit costs nothing');
});

test('the 33rd watcher is refused, and a place is free again when one leaves', async (t) => {
  // A watch that is not refused never ends.
  t.timeout(20_000);
  const { socketPath, control } = await serve(t);
  const watchers = await Promise.all(Array.from({ length: 32 }, () => openWatch(socketPath)));
  const refusedWatch = await ask(socketPath, '/watch');
  t.is(refusedWatch.status, 503);
  t.is(refusedWatch.body.code, 'TOO_MANY_CLIENTS');

  for (const watcher of watchers) watcher.destroy();
  while (control.listeners.size > 0) await new Promise((resolve) => setImmediate(resolve));
  const again = await openWatch(socketPath);
  control.commit(latest('meter-1', 'ac.l1.voltage', 231));
  t.regex(await readUntil(again, '231'), /event: values/);
  again.destroy();
});

test('a watcher that does not read is cut, and the others are served', async (t) => {
  const { socketPath, control } = await serve(t);
  const slow = await openWatch(socketPath);
  const quick = await openWatch(socketPath);
  const big = Array.from({ length: 500 }, (_, i) => latest('meter-1', `p${i}`, 'x'.repeat(200)));
  for (let i = 0; i < 60; i += 1) {
    control.commit(...big, latest('meter-1', `mark-${i}.`, i));
    t.regex(await readUntil(quick, `mark-${i}.`), /mark-/);
  }
  // Not compared as texts: a difference of six megabytes takes minutes to print.
  t.false((await readUntil(slow, 'mark-59.')).includes('mark-59.'));
  quick.destroy();
});

test('a watch of a device that does not exist is refused', async (t) => {
  const { socketPath } = await serve(t);
  t.is((await ask(socketPath, '/watch?device=boiler')).body.code, 'DEVICE_UNKNOWN');
});

test('close ends watchers and reads, removes the socket, and may come twice', async (t) => {
  const control = new ControlFake();
  control.beforeRead = async (signal) => {
    await once(signal, 'abort');
    throw signal.reason;
  };
  const { server, socketPath } = await serve(t, control);
  const watcher = await openWatch(socketPath);
  const reading = post(socketPath, '/read', '{"device":"meter-1"}').catch(() => undefined);
  while (control.reads.length === 0) await new Promise((resolve) => setImmediate(resolve));

  await Promise.all([server.close(), server.close()]);

  t.regex(await readUntil(watcher, 'stops'), /the gateway stops/);
  await reading;
  await t.throwsAsync(stat(socketPath), { code: 'ENOENT' });
  await t.notThrowsAsync(
    new ControlServer({
      socketPath,
      control,
      metrics: async () => '',
      notes: countingNotes().notes,
      version: '1',
    }).close(),
  );
});

test('a second daemon on the same socket is told of the first, which goes on', async (t) => {
  const { socketPath, control } = await serve(t);
  const second = new ControlServer({
    socketPath,
    control,
    metrics: async () => '',
    notes: countingNotes().notes,
    version: '1',
  });
  await t.throwsAsync(second.start(AbortSignal.timeout(5_000)), {
    code: 'PORT_IN_USE',
    message: /another riser daemon is running/,
  });
  await second.close();
  t.is((await ask(socketPath, '/version')).status, 200);
});

test('the socket of a killed daemon is taken over', async (t) => {
  const socketPath = path.join(await socketFolder(t), 'control.sock');
  const program = `require('node:net').createServer().listen(${JSON.stringify(socketPath)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.true((await stat(socketPath)).isSocket());

  const server = new ControlServer({
    socketPath,
    control: new ControlFake(),
    metrics: async () => '',
    notes: countingNotes().notes,
    version: '1',
  });
  t.teardown(() => server.close());
  await server.start(AbortSignal.timeout(5_000));
  t.is((await ask(socketPath, '/version')).status, 200);
});

test('a file that is not a socket is never removed', async (t) => {
  const socketPath = path.join(await socketFolder(t), 'control.sock');
  await writeFile(socketPath, 'precious');
  const server = new ControlServer({
    socketPath,
    control: new ControlFake(),
    metrics: async () => '',
    notes: countingNotes().notes,
    version: '1',
  });
  await t.throwsAsync(server.start(AbortSignal.timeout(5_000)), {
    code: 'PORT_IN_USE',
    message: /is not a socket/,
  });
  t.is(await readFile(socketPath, 'utf8'), 'precious');
});

test('a socket path that Linux cannot take, or whose folder is missing, is explained', async (t) => {
  const start = (socketPath: string) =>
    new ControlServer({
      socketPath,
      control: new ControlFake(),
      metrics: async () => '',
      notes: countingNotes().notes,
      version: '1',
    }).start(AbortSignal.timeout(5_000));
  await t.throwsAsync(start(`/tmp/${'ü'.repeat(52)}`), {
    code: 'CONFIG_INVALID',
    message: /has 109 bytes, Linux takes at most 107/,
  });
  await t.throwsAsync(start('/tmp/no-such-folder-of-riser/control.sock'), {
    code: 'CONTROL_UNREACHABLE',
    message: /its folder does not exist/,
  });
});

test('each request is noted with its route, not with its address', async (t) => {
  const { socketPath, calls } = await serve(t);
  await ask(socketPath, '/values?device=meter-1');
  t.like(calls.get('requestServed')?.[0], { method: 'GET', route: '/api/v1/values', status: 200 });
});
