import test, { type ExecutionContext } from 'ava';
import { MqttReceiver } from '../../tools/receiver/mqtt-receiver.ts';
import { findPeer } from '../support/find-peer.ts';
import { readingsBatch } from '../support/memory-outbox.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { openOutbox } from '../support/open-outbox.ts';
import { acme, gateway, until, uplinkUnderTest } from '../support/uplink-under-test.ts';

const missing = findPeer('mosquitto') === undefined;
const serial = missing ? test.serial.skip : test.serial;
const title = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

const batches = 500;
const events = batches * 100;

/** A gateway with a real log and a real broker, of which nobody has taken anything yet. */
async function unheard(t: ExecutionContext, lanes: readonly ('live' | 'alarm')[] = ['live']) {
  const broker = await startMosquitto();
  t.teardown(() => broker.stop());
  const outbox = await openOutbox(t, { gateway });
  const { uplink } = await uplinkUnderTest(t, broker.url, {
    outbox,
    limits: { publisher: { lowMs: 500, goBackEveryMs: 500, stateEveryMs: 200 } },
  });
  for (const lane of lanes) {
    await outbox.append(upTo(batches).map(() => readingsBatch(acme, { n: 100, lane })));
  }
  await until(() => outbox.stats().pending === 0, 60_000);
  return { broker, outbox, uplink };
}

async function listen(t: ExecutionContext, url: string, goneAfterMs = 300) {
  const firsts: number[] = [];
  const made = new MqttReceiver({
    url,
    tenant: 'acme',
    ack: 'cloud',
    tickMs: 50,
    goneAfterMs,
    store: ({ source, sequence }) => {
      if (source.endsWith('/live')) firsts.push(Number(sequence));
    },
  });
  t.teardown(() => made.close());
  await made.start();
  return { made, firsts, counters: () => made.receiver.counters() };
}

const passed = (made: MqttReceiver, sequence: number) =>
  made.receiver.watermarks().some((mark) => mark.lane === 'live' && mark.sequence === sequence);

serial(
  title(
    'a receiver that comes after 50 000 events gets each of them, quiet lanes too, and the outbox drains',
  ),
  async (t) => {
    const { broker, outbox, uplink } = await unheard(t, ['live', 'alarm']);
    const { made, firsts, counters } = await listen(t, broker.url);
    // Nothing new comes at first: the state alone must be enough to tell what is missing.
    await until(() => passed(made, events), 60_000);
    t.deepEqual(
      firsts,
      [...firsts].sort((a, b) => a - b),
    );
    await outbox.append([readingsBatch(acme, { n: 100 })]);
    await until(() => outbox.stats().pending === 0, 60_000);
    await until(() => counters().received === 2 * events + 100, 60_000);
    t.like(counters(), { gone: 0, lost: 0, gaps: 0 });
    t.is(uplink.status()[0]?.ackLevel, 'cloud');
  },
);

serial(
  title('a receiver that comes in the midst of new events has no hole in the end'),
  async (t) => {
    const { broker, outbox } = await unheard(t);
    const { made, counters } = await listen(t, broker.url);
    for (let round = 0; round < 10; round += 1) {
      await outbox.append(upTo(5).map(() => readingsBatch(acme, { n: 100 })));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await until(() => passed(made, events + 5_000) && outbox.stats().pending === 0, 60_000);
    t.like(counters(), { received: events + 5_000, gone: 0, gaps: 0 });

    // And one that has lost what it knew.
    await made.close();
    const second = await listen(t, broker.url);
    await outbox.append([readingsBatch(acme, { n: 100 })]);
    await until(() => passed(second.made, events + 5_100), 90_000);
    t.like(second.counters(), { received: events + 5_100, gone: 0, gaps: 0 });
    await until(() => outbox.stats().pending === 0);
  },
);

serial(
  title(
    'what the log has let go before the receiver came is gone, the rest is stored, and nothing stands still',
  ),
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.stop());
    const limits = {
      maxBytes: 64 * 1024 * 1024,
      retainBytes: 64 * 1024,
      retainHours: 24,
      maxAgeHours: 720,
    };
    const outbox = await openOutbox(t, { gateway, limits });
    await uplinkUnderTest(t, broker.url, {
      outbox,
      limits: { publisher: { lowMs: 500, goBackEveryMs: 500, stateEveryMs: 200 } },
    });
    const oldest = () => outbox.streams()[0]?.oldest ?? 0;
    while (oldest() < 1_000) {
      await outbox.append(upTo(20).map(() => readingsBatch(acme, { n: 100 })));
      await until(() => outbox.stats().pending === 0);
    }
    const next = () => outbox.streams()[0]?.next ?? 0;
    const { made, counters } = await listen(t, broker.url);
    await until(() => passed(made, next() - 1), 60_000);
    await outbox.append([readingsBatch(acme, { n: 100 })]);
    await until(() => passed(made, next() - 1) && outbox.stats().pending === 0, 60_000);
    const { received, gone, lost, gaps } = counters();
    t.true(gone >= 999);
    t.is(received + gone, next() - 1);
    t.deepEqual([lost, gaps], [0, 0]);
  },
);
