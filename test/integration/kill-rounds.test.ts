import test, { type ExecutionContext } from 'ava';
import type { Stream } from '../../src/model/outbox.ts';
import { CheckingReceiver } from '../support/checking-receiver.ts';
import { openCounterUnits, writeCounterSite } from '../support/counter-site.ts';
import { findPeer } from '../support/find-peer.ts';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';
import { startMosquitto } from '../support/mosquitto.ts';

const withMosquitto = findPeer('mosquitto') === undefined ? test.skip : test;

/** 5 000 readings a second: 50 units with 50 points, each read twice a second. */
const shape = { links: 5, unitsPerLink: 10, registers: 50, intervalMs: 500 };
const gatewayKills = 50;
const brokerKills = 5;

/** A seeded generator, so that a failure can be repeated: the seed is in its message. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function allReceived(
  t: ExecutionContext,
  gateway: GatewayProcess,
  receiver: CheckingReceiver,
) {
  // Polling goes on, so what is waited for is what was stored up to now.
  const { streams } = await gateway.get<{ streams: Stream[] }>('/api/v1/outbox/streams');
  const end = performance.now() + 60_000;
  const behind = () =>
    streams.filter(
      ({ lane, epoch, next }) =>
        (receiver.watermarks().find((mark) => mark.lane === lane && mark.epoch === epoch)
          ?.sequence ?? 0) <
        next - 1,
    );
  while (behind().length > 0 && performance.now() < end) await pause(50);
  t.deepEqual(
    behind().map(({ lane, epoch, next }) => ({ lane, epoch, next })),
    [],
    'the receiver never got everything that was stored',
  );
  return streams;
}

withMosquitto(
  '50 kills of the gateway and 5 of the broker under 5 000 readings/s lose nothing, reorder nothing, change nothing',
  async (t) => {
    const seed = Number(process.env.RISER_TEST_SEED ?? Date.now() % 1_000_000);
    t.log(`RISER_TEST_SEED=${seed}`);
    const random = seeded(seed);
    const broker = await startMosquitto();
    t.teardown(() => broker.stop());
    const units = await openCounterUnits({ ...shape, uplinkUrl: '' });
    t.teardown(units.close);
    const site = new TestSite(t);
    writeCounterSite(
      site,
      {
        ...shape,
        uplinkUrl: `mqtt://127.0.0.1:${broker.port}`,
        settings: { uplink: { url: `mqtt://127.0.0.1:${broker.port}`, ack: 'cloud' } },
      },
      units.ports,
    );
    const receiver = new CheckingReceiver();
    receiver.start(`mqtt://127.0.0.1:${broker.port}`);
    t.teardown(() => receiver.stop());
    const gateway = new GatewayProcess(t, site);

    await gateway.start();
    for (let round = 1; round <= gatewayKills; round += 1) {
      // One in five dies while it starts, the others while readings flow.
      if (round % 5 !== 3) await gateway.until(({ points }) => points.fresh > 500, 30_000);
      await pause(random() * 600);
      if (round % (gatewayKills / brokerKills) === 0) {
        await broker.kill();
        await pause(random() * 300);
        await broker.start();
      }
      await gateway.kill();
      gateway.spawn();
    }
    await gateway.until(({ ready }) => ready, 30_000);
    await gateway.until(({ outbox }) => outbox.committedEvents > 5_000, 30_000);

    const streams = await allReceived(t, gateway, receiver);
    const { received, duplicates, lost, outOfOrder, gaps, invalid } = receiver.counters();
    t.log({ received, duplicates, stored: streams.map(({ lane, next }) => `${lane} ${next - 1}`) });
    t.like({ lost, outOfOrder, gaps, invalid }, { lost: 0, outOfOrder: 0, gaps: 0, invalid: 0 });
    t.is(receiver.changedRepeats, 0);
    t.is(receiver.failures, 0);
    t.true(
      received > 20_000,
      `only ${received} readings were received: the test tested too little`,
    );
    // One epoch for each lane: no kill made the gateway take its own file for a damaged one.
    t.deepEqual(
      streams.map(({ lane }) => lane).toSorted(),
      [...new Set(streams.map(({ lane }) => lane))].toSorted(),
    );
  },
);
