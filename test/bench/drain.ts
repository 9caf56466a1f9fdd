import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { findPeer } from '../support/find-peer.ts';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { type BenchResult, ratioOf } from './bench-result.ts';
import { type BenchScope, inScope } from './bench-scope.ts';
import { CountingSubscriber } from './counting-subscriber.ts';
import { eventsPerBatch, fillOutbox } from './outbox-file.ts';
import { type Figures, interleaved, watched } from './rounds.ts';

export const name = 'drain';
export const description =
  'a backlog of 300 000 events (100 a batch) after the broker is back, against the bridge of Mosquitto with 100 000 messages of 250 bytes';

const backlog = 300_000;
const bridged = 100_000;
/** How many events the time to recover is stated for. */
const recovered = 100_000;
/** How long the broker is seen to be away. */
const awayMs = 1_500;
const limitMs = 60_000;
const messageBytes = 250;

/**
 * An upstream that comes back with the subscriber already there: the sender is held meanwhile, so
 * that no message can pass before anybody counts. Resolves when it may go on.
 */
async function comeBack(
  scope: BenchScope,
  upstream: Mosquitto,
  sender: number,
  filter: string,
): Promise<CountingSubscriber> {
  process.kill(sender, 'SIGSTOP');
  await upstream.start();
  const counter = new CountingSubscriber(upstream.port, filter);
  scope.teardown(() => counter.close());
  await counter.start();
  process.kill(sender, 'SIGCONT');
  return counter;
}

/** Rate and recovery of so many messages, each with so many events. */
async function drained(
  scope: BenchScope,
  upstream: Mosquitto,
  sender: number,
  expected: { readonly filter: string; readonly messages: number; readonly events: number },
): Promise<Figures> {
  return await watched(async () => {
    const { filter, messages, events } = expected;
    const counter = await comeBack(scope, upstream, sender, filter);
    const backAt = performance.now();
    const recoveredAt = await counter.reached(recovered / events, limitMs);
    const last = await counter.reached(messages, limitMs);
    const { first } = counter.span;
    return {
      perSecond: (messages * events * 1_000) / (last - first),
      reconnect: (first - backAt) / 1_000,
      recovery: (recoveredAt - backAt) / 1_000,
      afterConnect: (recoveredAt - first) / 1_000,
    };
  });
}

async function ours(): Promise<Figures> {
  return await inScope(async (scope) => {
    const upstream = await startMosquitto();
    scope.teardown(() => upstream.stop());
    await upstream.kill();
    const site = new TestSite(scope);
    site.write('riser.yaml', {
      gateway: { id: 'gw-test', tenant: 'acme' },
      uplink: { url: `mqtt://127.0.0.1:${upstream.port}` },
      log: { level: 'error' },
    });
    site.write('tenants.d/tenants.yaml', { schema: 'riser.tenants/1', tenants: [{ id: 'acme' }] });
    await fillOutbox(site.state, backlog);
    const gateway = new GatewayProcess(scope, site);
    await gateway.start();
    await delay(awayMs);
    const { outbox } = await gateway.status();
    if (outbox.pending < backlog) throw new Error(`only ${outbox.pending} events are there`);
    const figures = await drained(scope, upstream, gateway.pid, {
      filter: 'riser/1/acme/gw-test/live',
      messages: backlog / eventsPerBatch,
      events: eventsPerBatch,
    });
    await gateway.until(({ outbox }) => outbox.pending === 0);
    return figures;
  });
}

async function bridge(): Promise<Figures> {
  return await inScope(async (scope) => {
    const upstream = await startMosquitto();
    scope.teardown(() => upstream.stop());
    await upstream.kill();
    const edge = await startMosquitto({
      config: [
        'connection up',
        `address 127.0.0.1:${upstream.port}`,
        'topic t/# out 1',
        'cleansession false',
        'restart_timeout 1',
        'notifications false',
        'try_private false',
      ],
    });
    scope.teardown(() => edge.stop());
    await publishAll(edge.port);
    await delay(awayMs);
    return await drained(scope, upstream, edge.pid, {
      filter: 't/#',
      messages: bridged,
      events: 1,
    });
  });
}

/** Hands the bridge its backlog, each message acked. */
async function publishAll(port: number): Promise<void> {
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  const payload = Buffer.alloc(messageBytes, 'x');
  let next = 0;
  const publish = async () => {
    while (next < bridged) {
      next += 1;
      await client.publishAsync('t/readings', payload, { qos: 1 });
    }
  };
  try {
    await Promise.all(Array.from({ length: 100 }, publish));
  } finally {
    await client.endAsync();
  }
}

export async function run(): Promise<readonly BenchResult[]> {
  if (findPeer('mosquitto') === undefined) {
    return [{ name: 'drain', unit: 'events/s', note: 'mosquitto is not installed' }];
  }
  const { own, peer } = await interleaved({ own: ours, peer: bridge });
  const back = 'broker back → 100 000 events there';
  return [
    own.line('ours: drain', 'perSecond', 'events/s', { target: { atLeast: 200_000 } }),
    peer.line('bridge of Mosquitto: drain', 'perSecond', 'events/s'),
    {
      name: 'ours / bridge: drain',
      value: ratioOf(own.rounds('perSecond'), peer.rounds('perSecond')),
      unit: '×',
      target: { atLeast: 5 },
      foreign: own.foreign,
    },
    own.line(`ours: ${back}`, 'recovery', 's', { target: { atMost: 2 } }),
    own.line('ours: … of that until reconnected', 'reconnect', 's', {
      note: 'the pause before the next try is random on purpose, 1 s at least',
    }),
    own.line('ours: … after reconnecting', 'afterConnect', 's'),
    peer.line(`bridge: ${back}`, 'recovery', 's'),
    peer.line('bridge: … of that until reconnected', 'reconnect', 's', {
      note: 'restart_timeout 1',
    }),
    peer.line('bridge: … after reconnecting', 'afterConnect', 's'),
    {
      name: `ours / bridge: ${back}`,
      value: ratioOf(own.rounds('recovery'), peer.rounds('recovery')),
      unit: '×',
      target: { atMost: 0.2 },
      foreign: own.foreign,
    },
  ];
}
