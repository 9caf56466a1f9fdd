import test from 'ava';
import { BadBroker, type Behaviour } from '../../support/bad-broker.ts';
import { readingsBatch } from '../../support/memory-outbox.ts';
import { acme, type Setup, until, uplinkUnderTest } from '../../support/uplink-under-test.ts';

const root = 'riser/1/acme/gw-test';
const live = `${root}/live`;
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

async function start(
  t: Parameters<typeof uplinkUnderTest>[0],
  setup: Setup = {},
  behaviour: Behaviour = {},
) {
  const peer = await new BadBroker(behaviour).start();
  t.teardown(() => peer.stop());
  const under = await uplinkUnderTest(t, peer.url, setup);
  await peer.until(() => peer.received.some(({ topic }) => topic === `${root}/state`));
  const events = () => peer.received.filter(({ topic }) => topic === live);
  const ack = (seq: number | string, epoch = 'epoch1') =>
    peer.say(`${live}/ack`, JSON.stringify({ epoch, seq }));
  return { peer, ...under, events, ack };
}

test('with ack: cloud only the watermark moves the cursor, and only to the end of a batch', async (t) => {
  const { outbox, peer, events, ack, uplink } = await start(t, { settings: { ack: 'cloud' } });
  await outbox.append(upTo(4).map(() => readingsBatch(acme, { n: 10 })));
  await peer.until(() => events().length === 4);
  t.is(outbox.acked('uplink', 1), 0);

  ack(25);
  await until(() => outbox.acked('uplink', 1) > 0);
  t.is(outbox.acked('uplink', 1), 20);
  ack(10);
  ack('0000000000000040');
  await until(() => outbox.pending() === 0);
  t.is(events().length, 4);
  t.is(uplink.status()[0]?.ackLevel, 'cloud');
});

test('auto begins with the broker and changes over with the first watermark', async (t) => {
  const { outbox, peer, events, ack, uplink } = await start(t);
  await outbox.append([readingsBatch(acme)]);
  await until(() => outbox.pending() === 0);
  t.is(uplink.status()[0]?.ackLevel, 'broker');

  ack(1);
  await until(() => uplink.status()[0]?.ackLevel === 'cloud');
  await outbox.append([readingsBatch(acme)]);
  await peer.until(() => events().length === 2);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.is(outbox.acked('uplink', 1), 1);
  ack(2);
  await until(() => outbox.pending() === 0);
});

test('what the cloud has not stored is sent again after a reconnect, what it has is not', async (t) => {
  const { outbox, peer, events, ack } = await start(t, { settings: { ack: 'cloud' } });
  await outbox.append(upTo(6).map(() => readingsBatch(acme)));
  await peer.until(() => events().length === 6);
  ack(2);
  await until(() => outbox.acked('uplink', 1) === 2);
  peer.connections[0]?.close();
  await peer.until(() => events().length === 10);

  const numbers = events().map(({ payload }) => Number(JSON.parse(payload.toString()).sequence));
  t.deepEqual(numbers, [1, 2, 3, 4, 5, 6, 3, 4, 5, 6]);
});

test('a retained watermark passes over batches without sending them', async (t) => {
  const { outbox, peer, events, ack } = await start(t);
  peer.behaviour.publish = (packet, connection) => {
    if (packet.topic !== `${root}/state`) return;
    connection.ack(packet.messageId);
  };
  await outbox.append(upTo(31).map(() => readingsBatch(acme)));
  await peer.until(() => events().length === 16);
  const before = events().length;
  peer.behaviour.publish = (packet, connection) => {
    if (packet.topic !== `${root}/state`) return;
    // As a broker does: what is retained comes after the subscription, before the birth's ack.
    ack(30);
    connection.ack(packet.messageId);
  };
  peer.connections[0]?.close();

  await peer.until(() => events().length > before);
  t.is(outbox.acked('uplink', 1), 30);
  const numbers = events()
    .slice(before)
    .map(({ payload }) => Number(JSON.parse(payload.toString()).sequence));
  t.deepEqual(numbers, [31]);
});

test('when the watermark stands still, what was sent is sent again from the cursor, ever more rarely', async (t) => {
  const { outbox, peer, events, ack } = await start(t, {
    settings: { ack: 'cloud' },
    limits: { publisher: { stallMs: 60 } },
  });
  await outbox.append([readingsBatch(acme), readingsBatch(acme)]);
  await peer.until(() => events().length >= 6);
  t.is(outbox.acked('uplink', 1), 0);
  t.is(new Set(events().map(({ payload }) => payload.toString())).size, 2);
  ack(2);
  await until(() => outbox.pending() === 0);
});

test('no more than the bound is sent beyond the watermark', async (t) => {
  const { outbox, peer, events, ack } = await start(t, {
    settings: { ack: 'cloud' },
    limits: { publisher: { unackedEvents: 50 } },
  });
  await outbox.append(upTo(20).map(() => readingsBatch(acme, { n: 10 })));
  await peer.until(() => events().length === 5);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.is(events().length, 5);
  ack(30);
  await peer.until(() => events().length === 8);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(events().length, 8);
});

test('a watermark ahead of the file begins a new epoch, once, and tells it in a birth', async (t) => {
  const { outbox, peer, ack } = await start(t, { limits: { publisher: { stateEveryMs: 50 } } });
  await outbox.append([readingsBatch(acme)]);
  await until(() => outbox.pending() === 0);
  ack(500);
  ack(501);
  await peer.until(() =>
    peer.received.some(({ topic, payload }) => {
      if (topic !== `${root}/state`) return false;
      return JSON.parse(payload.toString()).streams?.live?.epoch === 'epoch2';
    }),
  );
  const open = outbox.streams().filter(({ closed }) => !closed);
  t.deepEqual(
    open.map(({ epoch }) => epoch),
    ['epoch2'],
  );
  ack(99, 'epoch2');
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.is(outbox.streams().length, 2);
});

test('hostile acks change nothing', async (t) => {
  const { outbox, peer, events, uplink } = await start(t, { settings: { ack: 'cloud' } });
  await outbox.append([readingsBatch(acme, { n: 10 })]);
  await peer.until(() => events().length === 1);
  for (const payload of [
    '',
    'null',
    '[]',
    '{',
    '{"epoch":"epoch1"}',
    '{"epoch":"epoch1","seq":-1}',
    '{"epoch":"epoch1","seq":1.5}',
    '{"epoch":"epoch1","seq":1e300}',
    '{"epoch":"epoch1","seq":"10 "}',
    '{"epoch":"elsewhere","seq":10}',
    '{"epoch":{"toString":1},"seq":10}',
    `{"epoch":"epoch1","seq":10,"pad":"${'x'.repeat(5_000)}"}`,
    '{"__proto__":{"seq":10},"epoch":"epoch1"}',
  ]) {
    peer.say(`${live}/ack`, payload);
    peer.say(`${live}/nack`, payload);
  }
  peer.say('riser/1/other/gw-test/live/ack', '{"epoch":"epoch1","seq":10}');
  peer.say(`${root}/cmd/end`, '{"id":"end"}');
  await peer.until(() => peer.received.some(({ topic }) => topic === `${root}/result/end`));

  t.is(outbox.acked('uplink', 1), 0);
  t.is(outbox.stats().deadLetters, 0);
  t.is(uplink.status()[0]?.state, 'connected');
});

test('what the cloud refuses for good is set aside; a cloud that refuses everything fills nothing', async (t) => {
  const { outbox, peer, events, ack } = await start(t, { settings: { ack: 'cloud' } });
  await outbox.append(upTo(20).map(() => readingsBatch(acme, { n: 2 })));
  await peer.until(() => events().length >= 16);
  peer.say(`${live}/nack`, '{"epoch":"epoch1","seq":4,"reason":"no such\\u0000point"}');
  await until(() => outbox.stats().deadLetters === 1);
  const [letter] = await outbox.deadLetters(1);
  t.is(letter?.sequence, 3);
  t.is(letter?.reason, 'the cloud refuses live 3: no such point');
  await peer.until(() =>
    events().some(({ payload }) => JSON.parse(payload.toString()).type === 'riser.gap.v1'),
  );
  ack(4);
  await until(() => outbox.acked('uplink', 1) === 4);

  // From here on it refuses whatever comes, and confirms only the gaps.
  peer.behaviour.publish = (packet, connection) => {
    connection.ack(packet.messageId);
    if (packet.topic !== live) return;
    const { type, sequence, data } = JSON.parse(packet.payload.toString());
    const seq = Number(sequence);
    if (type === 'riser.gap.v1') ack(seq + data.n - 1);
    else peer.say(`${live}/nack`, JSON.stringify({ epoch: 'epoch1', seq, reason: 'no' }));
  };
  peer.connections.at(-1)?.close();
  await until(() => outbox.stats().deadLetters >= 2);
  await outbox.append(upTo(20).map(() => readingsBatch(acme)));
  await new Promise((resolve) => setTimeout(resolve, 800));
  t.true(outbox.stats().deadLetters <= 5, `${outbox.stats().deadLetters} dead letters`);
  t.true(outbox.pending() > 40);
});

/** Limits under which a late receiver is seen within a fraction of a second. */
const soon = {
  lowMs: 60,
  goBackEveryMs: 200,
  longestGoBackMs: 400,
  stateEveryMs: 20,
  stallMs: 150,
};
const sequencesOf = (messages: readonly { readonly payload: Buffer | string }[]) =>
  messages.map(({ payload }) => Number(JSON.parse(payload.toString()).sequence));

/** Forty events of which the broker has acked each, and then a cloud that begins to speak. */
async function lateCloud(t: Parameters<typeof start>[0], publisher: object = {}) {
  const under = await start(t, { limits: { publisher: { ...soon, ...publisher } } });
  await under.outbox.append(upTo(40).map(() => readingsBatch(acme)));
  await until(() => under.outbox.acked('uplink', 1) === 40);
  return under;
}

test('a cloud that begins late gets everything that the log holds, in order, and the cursor stays', async (t) => {
  const { outbox, peer, events, ack, uplink } = await lateCloud(t);
  ack(0);
  await peer.until(() => events().length === 80);
  t.deepEqual(sequencesOf(events().slice(40)), upTo(40));
  t.is(outbox.acked('uplink', 1), 40);
  const { acked } = uplink.status()[0] ?? {};
  await outbox.append([readingsBatch(acme)]);
  ack(40);
  await peer.until(() => events().length === 81);
  ack(41);
  await until(() => outbox.pending() === 0);
  t.is(uplink.status()[0]?.acked, (acked ?? 0) + 1, 'what comes again is not counted again');
});

test('a watermark that follows the acks of the broker makes nothing come again', async (t) => {
  const { peer, events, ack } = await lateCloud(t, { lowMs: 2_000 });
  for (const seq of [10, 20, 30, 40, 25, 40]) {
    ack(seq);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  peer.say(`${root}/cmd/end`, '{"id":"end"}');
  await peer.until(() => peer.received.some(({ topic }) => topic === `${root}/result/end`));
  t.is(events().length, 40);
});

test('a cloud that says 0 for ever is sent the log once, then one batch at a time, and what is new all the same', async (t) => {
  const { outbox, peer, events, ack, uplink } = await lateCloud(t);
  ack(0);
  await peer.until(() => events().length >= 80);
  const told = setInterval(() => ack(0), 20);
  t.teardown(() => clearInterval(told));
  await until(() => uplink.status()[0]?.detail?.includes('only up to 0') === true);
  await outbox.append(upTo(5).map(() => readingsBatch(acme)));
  await peer.until(() => sequencesOf(events()).includes(45));
  await new Promise((resolve) => setTimeout(resolve, 1_500));

  const again = sequencesOf(events().slice(80));
  t.true(again.filter((sequence) => sequence > 40).length <= 10, again.join(' '));
  t.deepEqual([...new Set(again.filter((sequence) => sequence <= 40))], [1]);
  t.true(again.length < 20, `${again.length} sent`);
  t.is(outbox.acked('uplink', 1), 40);

  clearInterval(told);
  peer.behaviour.publish = (packet, connection) => {
    connection.ack(packet.messageId);
    if (packet.topic === live) ack(JSON.parse(packet.payload.toString()).sequence);
  };
  await until(() => outbox.pending() === 0);
});

test('a cloud that takes turns in saying much and little is not sent the log at each turn', async (t) => {
  const { peer, events, ack, uplink } = await lateCloud(t, {
    longestGoBackMs: 60_000,
    goBackEveryMs: 60_000,
  });
  ack(0);
  await peer.until(() => events().length === 80);
  for (let turn = 0; turn < 4; turn += 1) {
    ack(40);
    await new Promise((resolve) => setTimeout(resolve, 120));
    ack(0);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  t.is(events().length, 80);
  t.is(uplink.status()[0]?.state, 'connected');
});

test('what is left of a closed epoch comes again, too, when the cloud has not all of it', async (t) => {
  const { outbox, peer, events, ack } = await lateCloud(t);
  await outbox.renewEpoch(acme, 'live');
  await outbox.append([readingsBatch(acme)]);
  await peer.until(() => events().length === 41);
  await peer.until(() => peer.received.some(({ payload }) => payload.includes('"earlier"')));
  const said = peer.received.filter(({ topic }) => topic === `${root}/state`).at(-1);
  t.deepEqual(JSON.parse(said?.payload.toString() ?? '').streams.live, {
    epoch: 'epoch2',
    next: 2,
    acked: 0,
    oldest: 1,
    earlier: [{ epoch: 'epoch1', next: 41, oldest: 1 }],
  });
  ack(30);
  await peer.until(() => events().length >= 51);
  t.deepEqual(
    sequencesOf(events().slice(41, 51)),
    upTo(10).map((n) => 30 + n),
  );
  ack(40);
  await outbox.append([readingsBatch(acme)]);
  await peer.until(() => JSON.parse(events().at(-1)?.payload.toString() ?? '').id === 'epoch2.2');
});

test('the state tells of a new stream, and again of where the log begins when the cloud waits for less', async (t) => {
  const { outbox, peer, ack } = await start(t, { limits: { publisher: soon } });
  const told = () =>
    peer.received
      .filter(({ topic }) => topic === `${root}/state`)
      .map(({ payload }) => JSON.parse(payload.toString()).streams?.live);
  await outbox.append(upTo(40).map(() => readingsBatch(acme)));
  await peer.until(() => told().some((stream) => stream?.oldest === 1));
  await until(() => outbox.acked('uplink', 1) === 40);
  outbox.forgetThrough(1, 30);
  ack(0);
  await peer.until(() => told().at(-1)?.oldest === 31);
  t.is(told().at(-1).epoch, 'epoch1');
});
