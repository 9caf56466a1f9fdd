import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { type BrokerLimits, EmbeddedBroker } from '../../../src/uplink/embedded-broker.ts';
import { freePort } from '../../support/free-port.ts';
import { readingsBatch } from '../../support/memory-outbox.ts';
import { acme, gateway, until, uplinkUnderTest } from '../../support/uplink-under-test.ts';

const root = 'riser/1/acme/gw-test';

async function started(t: ExecutionContext, limits: Partial<BrokerLimits> = {}) {
  const broker = new EmbeddedBroker({ gateway, port: 0, limits });
  await broker.start();
  t.teardown(() => broker.close());
  return broker;
}

/** The client and how its connection began: connected, or refused with a code. */
async function client(t: ExecutionContext, broker: EmbeddedBroker, options: IClientOptions) {
  const made: MqttClient = connect(broker.url, { reconnectPeriod: 0, ...options });
  t.teardown(() => void made.end(true));
  const outcome = await new Promise<string | number>((resolve) => {
    made.once('connect', () => resolve('connected'));
    made.once('error', (error) => resolve((error as { code?: number }).code ?? error.message));
    made.once('close', () => resolve('closed'));
  });
  made.on('error', () => {});
  return { client: made, outcome };
}

/** Not once(): a connection that is cut off says so by an error first. */
const closeOf = (made: MqttClient) =>
  new Promise<boolean>((resolve) => {
    made.once('close', () => resolve(true));
    setTimeout(() => resolve(false), 5_000).unref();
  });

test('the uplink delivers to it, and a receiver with its own credentials sees the events', async (t) => {
  const broker = await started(t);
  const { client: receiver } = await client(t, broker, broker.credentialsFor('receiver'));
  const topics: string[] = [];
  receiver.on('message', (topic) => topics.push(topic));
  await receiver.subscribeAsync('riser/1/#', { qos: 1 });

  const { outbox, uplink } = await uplinkUnderTest(t, 'embedded', {
    brokerUrl: broker.urlFor('gateway'),
  });
  await outbox.append([readingsBatch(acme), readingsBatch(acme)]);
  await until(() => outbox.pending() === 0);
  t.is(uplink.status()[0]?.protocol, 'mqtt3.1.1');
  t.false(uplink.status()[0]?.url?.includes('@'));
  await until(() => topics.filter((topic) => topic === `${root}/live`).length === 2);

  await receiver.publishAsync(`${root}/live/ack`, '{"epoch":"epoch1","seq":2}', {
    qos: 1,
    retain: true,
  });
  await until(() => uplink.status()[0]?.ackLevel === 'cloud');
});

test('nobody comes in without the password of a role, nor as somebody else', async (t) => {
  const broker = await started(t);
  const gatewayCredentials = broker.credentialsFor('gateway');
  const viewer = broker.credentialsFor('viewer');
  for (const options of [
    {},
    { username: 'gateway' },
    { username: 'gateway', password: viewer.password },
    { username: 'gateway', password: viewer.password, clientId: 'gw-test.acme' },
    { username: 'viewer' },
    { username: 'viewer', password: '' },
    { username: 'viewer', password: gatewayCredentials.password },
    { username: 'constructor', password: viewer.password },
    { username: 'receiver', password: viewer.password },
    // The client id of the gateway, to take its connection over.
    { ...viewer, clientId: 'gw-test.acme' },
    { ...gatewayCredentials, clientId: 'somebody' },
    // A will that speaks for somebody else after the connection has gone.
    { ...viewer, will: { topic: `${root}/state`, payload: Buffer.from('x'), qos: 0 as const } },
    {
      ...gatewayCredentials,
      will: { topic: '$SYS/x', payload: Buffer.from('x'), qos: 0 as const },
    },
  ] satisfies IClientOptions[]) {
    const { outcome } = await client(t, broker, options);
    t.is(outcome, 5, JSON.stringify(options));
  }
  t.is((await client(t, broker, viewer)).outcome, 'connected');
});

test('each role subscribes and publishes to its own topics only', async (t) => {
  const broker = await started(t);
  const { client: viewer } = await client(t, broker, broker.credentialsFor('viewer'));
  for (const filter of ['#', '+/1/#', '$SYS/#', 'riser/+/#', '$SYS/+/heartbeat']) {
    await t.throwsAsync(viewer.subscribeAsync(filter), undefined, filter);
  }
  await t.notThrowsAsync(viewer.subscribeAsync('riser/1/acme/#'));
  for (const [role, topic] of [
    ['viewer', `${root}/live`],
    ['receiver', `${root}/live`],
    ['receiver', `${root}/state`],
    ['receiver', 'riser/1/acme/elsewhere/live/ack'],
    ['receiver', '$SYS/x'],
  ] as const) {
    const { client: hostile } = await client(t, broker, broker.credentialsFor(role));
    const closed = closeOf(hostile);
    hostile.publish(topic, 'x', { qos: 1 }, () => {});
    t.true(await closed, `${role} ${topic}`);
  }
});

test('a command is not retained, and a session that outlives its connection is not kept', async (t) => {
  const broker = await started(t);
  const options = { ...broker.credentialsFor('receiver'), clean: false, clientId: 'r-1' };
  const { client: first } = await client(t, broker, options);
  await first.subscribeAsync('riser/1/#', { qos: 1 });
  await first.publishAsync(`${root}/cmd/replay`, '{"id":"1"}', { qos: 1, retain: true });
  await first.endAsync(true);
  const { client: second } = await client(t, broker, options);
  const topics: string[] = [];
  second.on('message', (topic) => topics.push(topic));
  await second.subscribeAsync(`${root}/live/ack`, { qos: 1 });
  await second.publishAsync(`${root}/live/ack`, '{}', { qos: 1 });
  await until(() => topics.length > 0);
  t.deepEqual(topics, [`${root}/live/ack`]);
});

test('too large a packet, too many connections and a silent one are cut off', async (t) => {
  const broker = await started(t, { clients: 3, connectMs: 150 });
  const { client: receiver } = await client(t, broker, broker.credentialsFor('receiver'));
  const closed = closeOf(receiver);
  receiver.publish(`${root}/live/ack`, Buffer.alloc(300_000), { qos: 0 });
  t.true(await closed);

  const port = Number(new URL(broker.url).port);
  const silent = Array.from({ length: 5 }, () => {
    const socket = connectSocket({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    return once(socket.resume(), 'close');
  });
  await Promise.all(silent);
  t.is((await client(t, broker, broker.credentialsFor('viewer'))).outcome, 'connected');
});

test('a port that is taken is an error with a remedy, and leaves nothing open', async (t) => {
  const port = await freePort();
  const first = new EmbeddedBroker({ gateway, port });
  await first.start();
  t.teardown(() => first.close());
  const second = new EmbeddedBroker({ gateway, port });
  await t.throwsAsync(second.start(), { code: 'PORT_IN_USE' });
  await second.close();
  t.is(first.url, `mqtt://127.0.0.1:${port}`);
});
