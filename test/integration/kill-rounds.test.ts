import test from 'ava';
import { findPeer } from '../support/find-peer.ts';
import { killRounds } from '../support/kill-rounds.ts';

const missing = findPeer('mosquitto') === undefined;
const withMosquitto = missing ? test.skip : test;
const named = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);

withMosquitto(
  named(
    '50 kills of the gateway and 5 of the broker under 5 000 readings/s lose nothing, reorder nothing, change nothing',
  ),
  async (t) => {
    const seed = Number(process.env.RISER_TEST_SEED ?? Date.now() % 1_000_000);
    t.log(`RISER_TEST_SEED=${seed}`);

    const report = await killRounds({ gatewayKills: 50, brokerKills: 5, seed }, t.teardown);

    t.log(report);
    const { received, duplicates: _, ...faults } = report;
    t.deepEqual(faults, {
      missing: 0,
      lost: 0,
      gone: 0,
      outOfOrder: 0,
      gaps: 0,
      invalid: 0,
      changedRepeats: 0,
      epochs: { alarm: 1, live: 1 },
    });
    t.true(received > 20_000, `only ${received} readings were received: too little was tested`);
  },
);
