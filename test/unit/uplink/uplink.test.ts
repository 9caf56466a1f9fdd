import test from 'ava';
import type { IPublishPacket } from 'mqtt-packet';
import { deviceId, type PointId, tenantId } from '../../../src/model/ids.ts';
import { BadBroker, type Behaviour } from '../../support/bad-broker.ts';
import { readingsBatch } from '../../support/memory-outbox.ts';
import { acme, until, uplinkSettings, uplinkUnderTest } from '../../support/uplink-under-test.ts';

const root = 'riser/1/acme/gw-test';
const live = `${root}/live`;

async function broker(t: { teardown(fn: () => Promise<void>): void }, behaviour: Behaviour = {}) {
  const started = await new BadBroker(behaviour).start();
  t.teardown(() => started.stop());
  return started;
}

const on = (packets: readonly IPublishPacket[], topic: string) =>
  packets.filter((packet) => packet.topic === topic);
const sequences = (packets: readonly IPublishPacket[], topic = live) =>
  on(packets, topic).map(({ payload }) => Number(JSON.parse(payload.toString()).sequence));
const firsts = (numbers: readonly number[]) => [...new Set(numbers)];
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);
const isEvents = ({ topic }: IPublishPacket) => /\/(alarm|live|bulk)$/.test(topic);

test('what is in the outbox arrives in order, is acked, and its latency is noted', async (t) => {
  const peer = await broker(t);
  const { outbox, uplink, calls } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(50).map(() => readingsBatch(acme, { n: 2 })));

  await until(() => outbox.pending() === 0);

  t.deepEqual(
    sequences(peer.received),
    upTo(50).map((index) => index * 2 - 1),
  );
  const [status] = uplink.status();
  t.is(status?.state, 'connected');
  t.is(status?.protocol, 'mqtt5');
  t.is(status?.acked, 100);
  const latencies = (calls.get('acked') as { latencyMs: number }[]).map((note) => note.latencyMs);
  t.true(latencies.length === 50 && latencies.every((ms) => ms > 0 && ms < 10_000));
});

test('a refused connection is tried again until it is mended, and noted once', async (t) => {
  let refused = true;
  const peer = await broker(t, {
    connack: () => (refused ? { reasonCode: 0x86, returnCode: 4 } : {}),
  });
  const { outbox, conditions, uplink, calls } = await uplinkUnderTest(t, peer.url);
  await outbox.append([readingsBatch(acme)]);

  await peer.until(() => peer.connects.length >= 4);
  t.deepEqual(
    conditions.list().map(({ code }) => code),
    ['upstream-refused'],
  );
  t.is(uplink.status()[0]?.code, 'UPSTREAM_REFUSED');
  t.regex(uplink.status()[0]?.detail ?? '', /user name or password.*uplink\.username/);
  t.is(calls.get('uplinkDown')?.length, 1);

  refused = false;
  await until(() => outbox.pending() === 0 && conditions.list().length === 0);
  t.is(uplink.status()[0]?.state, 'connected');
});

test('a broker that never acks is left, and gets the same bytes again', async (t) => {
  const peer = await broker(t, {
    publish: (packet, connection) => {
      if (!isEvents(packet)) connection.ack(packet.messageId);
    },
  });
  const { outbox, uplink } = await uplinkUnderTest(t, peer.url, {
    limits: { connector: { ackMs: 300 } },
  });
  await outbox.append([readingsBatch(acme, { n: 3 }), readingsBatch(acme)]);

  await peer.until(() => peer.connections.length >= 3);
  t.is(outbox.acked('uplink', 1), 0);
  t.is(uplink.status()[0]?.acked, 0);
  const bodies = on(peer.received, live).map(({ payload }) => payload.toString());
  t.true(bodies.length >= 4);
  t.deepEqual(firsts(bodies.map((_, index) => index)).length, bodies.length);
  t.is(new Set(bodies).size, 2);
  t.true(on(peer.received, live).every(({ dup }) => dup === false));

  delete peer.behaviour.publish;
  await until(() => outbox.pending() === 0);
});

test('acks that come twice or for nothing move nothing that was not acked', async (t) => {
  const peer = await broker(t, {
    publish: (packet, connection) => {
      connection.ack(60_000);
      connection.ack(packet.messageId);
      connection.ack(packet.messageId);
    },
  });
  const { outbox } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(40).map(() => readingsBatch(acme)));

  await until(() => outbox.pending() === 0);
  t.deepEqual(firsts(sequences(peer.received)), upTo(40));
});

test('a broker that closes after each seventh publish gets everything in order', async (t) => {
  let count = 0;
  const peer = await broker(t, {
    publish: (packet, connection) => {
      count += 1;
      if (count % 7 === 0) connection.close();
      else connection.ack(packet.messageId);
    },
  });
  const { outbox, uplink } = await uplinkUnderTest(t, peer.url, { settings: { window: 4 } });
  await outbox.append(upTo(40).map(() => readingsBatch(acme)));

  await until(() => outbox.pending() === 0);
  t.deepEqual(firsts(sequences(peer.received)), upTo(40));
  t.true((uplink.status()[0]?.reconnects ?? 0) >= 5);
  const bodies = new Map<number, Set<string>>();
  for (const { payload } of on(peer.received, live)) {
    const { sequence } = JSON.parse(payload.toString());
    bodies.set(sequence, (bodies.get(sequence) ?? new Set()).add(payload.toString()));
  }
  t.true([...bodies.values()].every((same) => same.size === 1));
});

test('something that is not MQTT is named as such', async (t) => {
  const peer = await broker(t, { greeting: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') });
  const { uplink } = await uplinkUnderTest(t, peer.url);

  await until(() => uplink.status()[0]?.state === 'waiting');
  t.is(uplink.status()[0]?.code, 'UPSTREAM_PROTOCOL');
  t.regex(uplink.status()[0]?.detail ?? '', /not MQTT.*another service/);
});

test('garbage in the middle of a connection ends it, and the next one goes on', async (t) => {
  let once = true;
  const peer = await broker(t, {
    publish: (packet, connection) => {
      if (once && packet.topic === live) {
        once = false;
        connection.raw(Buffer.from([0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
      } else connection.ack(packet.messageId);
    },
  });
  const { outbox } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(5).map(() => readingsBatch(acme)));

  await until(() => outbox.pending() === 0);
  t.is(peer.connections.length, 2);
});

for (const [how, answer] of [
  ['with a code of its own version', { returnCode: 1, reasonCode: 1 }],
  ['with code 0x84', { reasonCode: 0x84 }],
  ['by closing', 'close'],
] as const) {
  test(`a broker that refuses MQTT 5 ${how} is spoken to in 3.1.1, then at once`, async (t) => {
    const peer = await broker(t, {});
    peer.behaviour.connack = ({ protocolVersion }) => {
      if (protocolVersion !== 5) return {};
      if (answer === 'close') {
        setImmediate(() => peer.dropSilent());
        return false;
      }
      return answer;
    };
    const { outbox, uplink } = await uplinkUnderTest(t, peer.url);
    await outbox.append([readingsBatch(acme)]);

    await until(() => outbox.pending() === 0);
    t.is(uplink.status()[0]?.protocol, 'mqtt3.1.1');
    t.deepEqual(
      peer.connects.map(({ protocolVersion }) => protocolVersion),
      [5, 4],
    );

    peer.connections[0]?.close();
    await peer.until(() => peer.connections.length === 2);
    t.deepEqual(
      peer.connects.map(({ protocolVersion }) => protocolVersion),
      [5, 4, 4],
    );
  });
}

test('a receive maximum of 2 is never exceeded, by births and answers either', async (t) => {
  const peer = await broker(t, {
    connack: () => ({ properties: { receiveMaximum: 2 } }),
    publish: (packet, connection) => {
      setTimeout(() => connection.ack(packet.messageId), 2);
    },
  });
  const { outbox } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(20).map(() => readingsBatch(acme)));
  await peer.until(() => on(peer.received, live).length > 3);
  peer.say(`${root}/cmd/replay`, '{"id":"a"}');
  peer.say(`${root}/cmd/replay`, '{"id":"b"}');

  await until(() => outbox.pending() === 0);
  await peer.until(
    () => peer.received.filter(({ topic }) => topic.includes('/result/')).length === 2,
  );
  t.is(peer.connections[0]?.mostOutstanding, 2);
});

test('slow acks never let more than the window out', async (t) => {
  const peer = await broker(t, {
    publish: (packet, connection) => {
      setTimeout(() => connection.ack(packet.messageId), 5);
    },
  });
  const { outbox } = await uplinkUnderTest(t, peer.url, { settings: { window: 3 } });
  await outbox.append(upTo(30).map(() => readingsBatch(acme)));

  await until(() => outbox.pending() === 0);
  t.is(peer.connections[0]?.mostOutstanding, 3);
});

test('a batch larger than the broker takes is set aside, and its gap takes its place', async (t) => {
  const peer = await broker(t, { connack: () => ({ properties: { maximumPacketSize: 2_000 } }) });
  const { outbox } = await uplinkUnderTest(t, peer.url);
  await outbox.append([
    readingsBatch(acme, { n: 2 }),
    readingsBatch(acme, { n: 3, pad: 3_000 }),
    readingsBatch(acme),
  ]);

  await until(() => outbox.pending() === 0);
  const [letter] = await outbox.deadLetters(10);
  t.is(letter?.sequence, 3);
  t.regex(letter?.reason ?? '', /larger than the 2000 bytes/);
  const types = on(peer.received, live).map(({ payload }) => JSON.parse(payload.toString()).type);
  t.deepEqual(firsts(types as never), ['riser.readings.v1', 'riser.gap.v1'] as never);
  t.true(peer.received.every(({ length }) => (length ?? 0) < 2_000));
});

test('a broker for which everything is too large fills no dead letters', async (t) => {
  const peer = await broker(t, { connack: () => ({ properties: { maximumPacketSize: 200 } }) });
  const { outbox, conditions } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(5).map(() => readingsBatch(acme)));

  await until(() => conditions.has('upstream-rejects', 'acme'));
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.is(outbox.stats().deadLetters, 0);
  t.is(on(peer.received, live).length, 0);
  t.is(outbox.pending(), 5);
});

for (const [code, what] of [
  [0x87, 'rights'],
  [0x97, 'quota'],
] as const) {
  test(`a refusal for ${what} keeps everything, says so, and passes when it is lifted`, async (t) => {
    let allowed = false;
    const peer = await broker(t, {
      publish: (packet, connection) => {
        connection.ack(packet.messageId, allowed || packet.topic !== live ? 0 : code);
      },
    });
    const { outbox, conditions, calls } = await uplinkUnderTest(t, peer.url);
    await outbox.append(upTo(5).map(() => readingsBatch(acme)));
    await outbox.append([readingsBatch(acme, { lane: 'alarm' })]);

    await until(() => (calls.get('uplinkRejected')?.length ?? 0) >= 3);
    t.true(conditions.has('upstream-rejects', 'acme'));
    t.is(outbox.stats().deadLetters, 0);
    t.is(outbox.acked('uplink', 1), 0);
    t.is(outbox.acked('uplink', 2), 1);

    allowed = true;
    await until(() => outbox.pending() === 0 && !conditions.has('upstream-rejects', 'acme'));
    t.deepEqual(firsts(sequences(peer.received)), upTo(5));
  });
}

test('a batch whose payload is refused is set aside, and those behind it move up', async (t) => {
  const peer = await broker(t, {
    publish: (packet, connection) => {
      const bad =
        packet.topic === live &&
        JSON.parse(packet.payload.toString()).type === 'riser.readings.v1' &&
        sequences([packet])[0] === 3;
      connection.ack(packet.messageId, bad ? 0x99 : 0);
    },
  });
  const { outbox } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(10).map(() => readingsBatch(acme)));

  await until(() => outbox.pending() === 0);
  t.deepEqual(
    (await outbox.deadLetters(10)).map(({ sequence }) => sequence),
    [3],
  );
});

test('a broker that refuses every payload fills no dead letters', async (t) => {
  const peer = await broker(t, {
    publish: (packet, connection) => {
      connection.ack(packet.messageId, isEvents(packet) ? 0x99 : 0);
    },
  });
  const { outbox, calls } = await uplinkUnderTest(t, peer.url);
  await outbox.append(upTo(10).map(() => readingsBatch(acme)));
  await outbox.append([readingsBatch(acme, { lane: 'bulk' })]);

  await until(() => (calls.get('uplinkRejected')?.length ?? 0) >= 6);
  t.is(outbox.stats().deadLetters, 0);
  t.is(outbox.pending(), 11);
});

test('a broker that reads nothing any more is noticed by its silence', async (t) => {
  const peer = await broker(t, { deaf: true });
  const { outbox, uplink } = await uplinkUnderTest(t, peer.url, {
    settings: { keepaliveS: 1 },
    limits: { connector: { connackMs: 4_000 } },
  });
  await outbox.append([readingsBatch(acme)]);

  await until(() => uplink.status()[0]?.state === 'waiting');
  t.regex(uplink.status()[0]?.detail ?? '', /stopped answering; the connection is dead/);

  delete peer.behaviour.deaf;
  await until(() => outbox.pending() === 0);
});

test('alarms go first, and live and bulk share what is left 80 to 20', async (t) => {
  const peer = await broker(t);
  const early = await broker(t, { connack: () => false });
  const { outbox, uplink, tenants } = await uplinkUnderTest(t, early.url);
  await outbox.append(upTo(100).map(() => readingsBatch(acme, { lane: 'bulk' })));
  await outbox.append(upTo(100).map(() => readingsBatch(acme, { lane: 'live' })));
  await outbox.append(upTo(5).map(() => readingsBatch(acme, { lane: 'alarm' })));

  await uplink.reconfigure(uplinkSettings(peer.url, { window: 4 }), tenants);
  await until(() => outbox.pending() === 0);

  const order = peer.received.filter(isEvents).map(({ topic }) => topic.split('/').at(-1));
  t.deepEqual(order.slice(0, 5), ['alarm', 'alarm', 'alarm', 'alarm', 'alarm']);
  const shared = order.slice(5, 105);
  const liveShare = shared.filter((lane) => lane === 'live').length;
  t.true(liveShare >= 76 && liveShare <= 84, `${liveShare} of 100`);
});

test('what is left of an older epoch goes before a newer one', async (t) => {
  const peer = await broker(t);
  const early = await broker(t, { connack: () => false });
  const { outbox, uplink, tenants } = await uplinkUnderTest(t, early.url);
  await outbox.append(upTo(30).map(() => readingsBatch(acme)));
  await outbox.renewEpoch(acme, 'live');
  await outbox.append(upTo(30).map(() => readingsBatch(acme)));

  await uplink.reconfigure(uplinkSettings(peer.url), tenants);
  await until(() => outbox.pending() === 0);
  const epochs = on(peer.received, live).map(
    ({ payload }) => JSON.parse(payload.toString()).id.split('.')[0] as string,
  );
  t.deepEqual([...epochs].sort(), epochs);
  t.is(epochs.length, 60);
});

test('nothing of another tenant leaves, whatever the row says', async (t) => {
  const peer = await broker(t);
  const early = await broker(t, { connack: () => false });
  const { outbox, uplink, tenants, calls } = await uplinkUnderTest(t, early.url);
  const other = tenantId('other');
  await outbox.append([readingsBatch(acme), readingsBatch(other)]);
  outbox.tamper(1, 1, outbox.bodyOf(2, 1)!);

  await uplink.reconfigure(uplinkSettings(peer.url), tenants);
  await until(() => (calls.get('partFailed')?.length ?? 0) >= 1);
  await peer.until(() => on(peer.received, `${root}/state`).length === 1);
  t.is(peer.received.filter(isEvents).length, 0);
  const [{ error }] = calls.get('partFailed') as [{ error: { code: string } }];
  t.is(error.code, 'TENANT_MISMATCH');
});

test('birth, will and death are retained and say what they should; close() says goodbye', async (t) => {
  const peer = await broker(t);
  const { outbox, uplink } = await uplinkUnderTest(t, peer.url);
  await outbox.append([readingsBatch(acme, { n: 4 })]);
  await until(() => outbox.pending() === 0);
  await uplink.close();

  const will = peer.connects[0]?.will;
  t.is(will?.topic, `${root}/state`);
  t.is(will?.payload.toString(), '{"state":"offline"}');
  t.true(will?.retain);
  const [birth, death] = on(peer.received, `${root}/state`);
  t.true(birth?.retain === true && death?.retain === true);
  const born = JSON.parse(birth!.payload.toString());
  t.is(born.state, 'online');
  t.is(born.boot, 'boot-1');
  t.is(born.version, '0.0.0');
  const dead = JSON.parse(death!.payload.toString());
  t.is(dead.state, 'offline');
  t.deepEqual(dead.streams, { live: { epoch: 'epoch1', next: 5, acked: 4, oldest: 1 } });
  t.is(peer.connects[0]?.clientId, 'gw-test.acme');
  t.true(peer.goodbyes >= 1);
});

test('close() does not wait for a broker that does not answer', async (t) => {
  const peer = await broker(t, { publish: () => {} });
  const { uplink } = await uplinkUnderTest(t, peer.url);
  await until(() => uplink.status()[0]?.state === 'connected');
  const before = performance.now();
  await uplink.close();
  await uplink.close();
  t.true(performance.now() - before < 3_000);
});

test('after five reconnects one command gets exactly one answer, and is never executed', async (t) => {
  const peer = await broker(t);
  const { calls } = await uplinkUnderTest(t, peer.url);
  for (const round of upTo(5)) {
    await peer.until(
      () =>
        peer.connections.length === round && on(peer.received, `${root}/state`).length === round,
    );
    peer.connections.at(-1)?.close();
  }
  await peer.until(() => on(peer.received, `${root}/state`).length === 6);
  const answers = () => on(peer.received, `${root}/result/c-7`);
  peer.say(`${root}/cmd/write`, '{"id":"c-7","point":"ahu/setpoint","value":21}');
  peer.say(`${root}/cmd/write`, '{"id":"c-7","point":"ahu/setpoint","value":21}');
  await peer.until(() => answers().length > 0);
  peer.say(`${root}/cmd/write`, '{"id":"kept"}', true);
  peer.say(`${root}/cmd/write`, '{"id":"c-8"}');
  await peer.until(() => on(peer.received, `${root}/result/c-8`).length > 0);

  t.is(answers().length, 1);
  t.is(on(peer.received, `${root}/result/kept`).length, 0);
  const answer = JSON.parse(answers()[0]!.payload.toString());
  t.is(answer.status, 'refused');
  t.is(answer.reason, 'commands are not enabled in this release');
  t.is(calls.get('commandRefused')?.length, 3);
});

test('new settings that concern no connection leave it alone; others make a new one', async (t) => {
  const peer = await broker(t);
  const second = await broker(t);
  const { outbox, uplink, tenants } = await uplinkUnderTest(t, peer.url);
  await peer.until(() => peer.connections.length === 1);

  await uplink.reconfigure(uplinkSettings(peer.url, { window: 2, ack: 'broker' }), tenants);
  await outbox.append(upTo(10).map(() => readingsBatch(acme)));
  await until(() => outbox.pending() === 0);
  t.is(peer.connections.length, 1);
  t.true((peer.connections[0]?.mostOutstanding ?? 9) <= 2);

  await uplink.reconfigure(uplinkSettings(second.url), tenants);
  await outbox.append([readingsBatch(acme)]);
  await until(() => outbox.pending() === 0);
  t.deepEqual(sequences(second.received), [11]);

  await uplink.reconfigure(uplinkSettings(''), tenants);
  t.is(uplink.status()[0]?.state, 'off');
});

test('without an upstream it says so and buffers', async (t) => {
  const { uplink, conditions, outbox } = await uplinkUnderTest(t, '');
  await outbox.append([readingsBatch(acme)]);
  t.is(uplink.status()[0]?.state, 'off');
  t.true(conditions.has('upstream-off', ''));
  t.is(outbox.pending(), 1);
});

test('each tenant has a connection of its own, and only its own events go through it', async (t) => {
  const peer = await broker(t);
  const bolt = tenantId('bolt');
  const { outbox } = await uplinkUnderTest(t, peer.url, { tenants: [acme, bolt] });
  await outbox.append([readingsBatch(acme), readingsBatch(bolt), readingsBatch(acme)]);

  await until(() => outbox.pending() === 0);
  t.deepEqual(peer.connects.map(({ clientId }) => clientId).sort(), [
    'gw-test.acme',
    'gw-test.bolt',
  ]);
  t.is(on(peer.received, live).length, 2);
  t.is(on(peer.received, 'riser/1/bolt/gw-test/live').length, 1);
});

test('last values are told retained, and again only when they change', async (t) => {
  const peer = await broker(t);
  const device = deviceId('ahu-03');
  let value = 21.3;
  const { uplink, tenants } = await uplinkUnderTest(t, peer.url, {
    latest: () => [
      {
        point: 'ahu-03/temp' as PointId,
        device,
        tenant: acme,
        lane: 'live',
        time: Date.now(),
        value,
        quality: 'good',
        unit: 'Cel',
        ageMs: 0,
        stale: false,
      },
    ],
    settings: { lastValuesS: 0.02 },
  });
  const told = () => on(peer.received, `${root}/last/ahu-03`);
  await peer.until(() => told().length === 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.is(told().length, 1);
  value = 21.4;
  await peer.until(() => told().length === 2);

  t.true(told()[0]?.retain);
  t.is(told()[0]?.qos, 0);
  const { device: id, points } = JSON.parse(told()[1]!.payload.toString());
  t.is(id, 'ahu-03');
  t.like(points.temp, { v: 21.4, q: 'good', unit: 'Cel' });
  await uplink.reconfigure(uplinkSettings(peer.url), tenants);
});
