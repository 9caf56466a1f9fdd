import test from 'ava';
import { connect } from 'mqtt';
import { Receiver } from '../../tools/receiver/receiver.ts';
import { findPeer } from '../support/find-peer.ts';
import { MemoryOutbox, readingsBatch } from '../support/memory-outbox.ts';
import { type MosquittoOptions, startMosquitto } from '../support/mosquitto.ts';
import { acme, gateway, until, uplinkUnderTest } from '../support/uplink-under-test.ts';

const missing = findPeer('mosquitto') === undefined;
const serial = missing ? test.serial.skip : test.serial;
const title = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);
const live = 'riser/1/acme/gw-test/live';

async function mosquitto(
  t: { teardown(fn: () => Promise<void>): void },
  options?: MosquittoOptions,
) {
  const started = await startMosquitto(options);
  t.teardown(() => started.stop());
  return started;
}

for (const protocol of ['mqtt5', 'mqtt3.1.1'] as const) {
  serial(title(`everything reaches Mosquitto and its subscribers by ${protocol}`), async (t) => {
    const broker = await mosquitto(t);
    const subscriber = connect(broker.url, { reconnectPeriod: 0 });
    t.teardown(() => void subscriber.end(true));
    const sequences: number[] = [];
    subscriber.on('message', (_topic, payload) => {
      sequences.push(Number(JSON.parse(payload.toString()).sequence));
    });
    await subscriber.subscribeAsync(live, { qos: 1 });
    const { outbox, uplink } = await uplinkUnderTest(t, broker.url, { settings: { protocol } });
    await outbox.append(upTo(500).map(() => readingsBatch(acme, { n: 100 })));

    await until(() => outbox.pending() === 0 && sequences.length === 500);
    t.is(uplink.status()[0]?.protocol, protocol);
    t.deepEqual(
      sequences,
      upTo(500).map((index) => (index - 1) * 100 + 1),
    );
  });
}

serial(
  title('Mosquitto publishes the will when the gateway dies, and the death when it stops'),
  async (t) => {
    const broker = await mosquitto(t);
    const subscriber = connect(broker.url, { reconnectPeriod: 0 });
    t.teardown(() => void subscriber.end(true));
    const states: string[] = [];
    subscriber.on('message', (_topic, payload) => {
      states.push(JSON.parse(payload.toString()).state);
    });
    await subscriber.subscribeAsync('riser/1/acme/gw-test/state', { qos: 1 });
    const { uplink } = await uplinkUnderTest(t, broker.url);
    await until(() => states.length === 1);
    // A second one with the same id: Mosquitto drops the first and publishes its will.
    const impostor = connect(broker.url, { clientId: 'gw-test.acme', reconnectPeriod: 0 });
    t.teardown(() => void impostor.end(true));
    await until(() => states.includes('offline'));
    await until(() => states.at(-1) === 'online');
    await uplink.close();
    await until(() => states.at(-1) === 'offline');
    t.deepEqual(states, ['online', 'offline', 'online', 'offline']);
  },
);

serial(
  title('a publish that the access list denies is kept and named, and goes when it is allowed'),
  async (t) => {
    const denied = ['topic read riser/1/#', 'topic write riser/1/acme/gw-test/state'];
    const broker = await mosquitto(t, { acl: denied });
    const { outbox, conditions, uplink } = await uplinkUnderTest(t, broker.url);
    await outbox.append(upTo(5).map(() => readingsBatch(acme)));
    await until(() =>
      /not authorised to publish here \(0x87\)/.test(uplink.status()[0]?.detail ?? ''),
    );
    t.true(conditions.has('upstream-rejects', 'acme'));
    t.is(outbox.pending(), 5);
    t.is(outbox.stats().deadLetters, 0);

    await broker.stop();
    const open = await mosquitto(t, { port: broker.port });
    t.is(open.url, broker.url);
    await until(() => outbox.pending() === 0);
    t.false(conditions.has('upstream-rejects', 'acme'));
  },
);

serial(
  title("with the cloud's acks nothing is lost when Mosquitto is killed four times under load"),
  async (t) => {
    const broker = await mosquitto(t);
    const outbox = new MemoryOutbox(gateway);
    const receiver = new Receiver({ store: () => {}, replay: () => {}, acknowledge: () => {} });
    const cloud = connect(broker.url, { clientId: 'cloud', clean: true, reconnectPeriod: 100 });
    t.teardown(() => void cloud.end(true));
    cloud.on('error', () => {});
    cloud.on('connect', () => {
      cloud.subscribe('riser/1/acme/gw-test/live', { qos: 1 }, () => {});
    });
    cloud.on('message', (topic, payload) => {
      receiver.accept(topic, payload).then(
        () => {
          const [mark] = receiver.watermarks();
          if (mark !== undefined) {
            cloud.publish(
              `${live}/ack`,
              JSON.stringify({ epoch: mark.epoch, seq: mark.sequence }),
              {
                qos: 1,
                retain: true,
              },
            );
          }
        },
        (error: unknown) => t.fail(String(error)),
      );
    });
    // What a broker acked while the cloud was not subscribed comes again after the stall.
    const { uplink } = await uplinkUnderTest(t, broker.url, {
      outbox,
      settings: { ack: 'cloud' },
      limits: { publisher: { stallMs: 500 } },
    });
    let appended = 0;
    const load = setInterval(() => {
      appended += 5;
      outbox.append(upTo(5).map(() => readingsBatch(acme, { n: 20 }))).catch(() => {});
    }, 5);
    t.teardown(() => clearInterval(load));
    for (let kill = 0; kill < 4; kill += 1) {
      const before = receiver.counters().received;
      await until(() => receiver.counters().received > before + 2_000);
      await broker.kill();
      await until(() => uplink.status()[0]?.state === 'waiting');
      await broker.start();
    }
    clearInterval(load);
    await until(() => outbox.pending() === 0, 30_000);

    const counters = receiver.counters();
    t.is(counters.received, appended * 20);
    t.is(counters.gaps, 0);
    t.is(receiver.watermarks()[0]?.sequence, appended * 20);
    t.log(`${counters.received} events, ${counters.duplicates} duplicates`);
  },
);
