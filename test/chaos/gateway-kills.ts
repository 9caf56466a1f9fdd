/**
 * The long version of test/integration/kill-rounds.test.ts:
 * `node test/chaos/gateway-kills.ts [GATEWAY KILLS] [BROKER KILLS] [SEED]`
 */
import { findPeer } from '../support/find-peer.ts';
import { killRounds } from '../support/kill-rounds.ts';

/** Rejects if a kill lost, reordered or changed something. */
export async function run(
  gatewayKills = 200,
  brokerKills = 20,
  seed = Date.now() % 1_000_000,
): Promise<string> {
  if (findPeer('mosquitto') === undefined) return 'skipped: needs mosquitto';
  const cleanup: (() => unknown)[] = [];
  try {
    const report = await killRounds({ gatewayKills, brokerKills, seed }, (fn) =>
      cleanup.unshift(fn),
    );
    const { received, duplicates, epochs, ...faults } = report;
    const bad = Object.values(faults).some((count) => count !== 0);
    if (bad || Object.values(epochs).some((count) => count !== 1)) {
      throw new Error(`seed ${seed}: ${JSON.stringify(report)}`);
    }
    return `${gatewayKills} kills of the gateway, ${brokerKills} of the broker, seed ${seed}: ${received} received, 0 lost, 0 out of order, ${duplicates} duplicates`;
  } finally {
    for (const fn of cleanup) await fn();
  }
}

if (import.meta.main) {
  const [gatewayKills, brokerKills, seed] = process.argv.slice(2).map(Number);
  process.stdout.write(`${await run(gatewayKills, brokerKills, seed)}\n`);
}
