import type { Stream } from '../../src/model/outbox.ts';
import { CheckingReceiver } from './checking-receiver.ts';
import { openCounterUnits, writeCounterSite } from './counter-site.ts';
import { GatewayProcess, TestSite } from './gateway-process.ts';
import { startMosquitto } from './mosquitto.ts';

/** 5 000 readings a second: 50 units with 50 points, each read twice a second. */
const shape = { links: 5, unitsPerLink: 10, registers: 50, intervalMs: 500, uplinkUrl: '' };
/** How long the receiver may take for what was stored when the killing ends. */
const settleMs = 60_000;

export interface KillRounds {
  readonly gatewayKills: number;
  readonly brokerKills: number;
  /** The same seed kills at the same moments, as far as a loaded machine allows. */
  readonly seed: number;
}

export interface KillReport {
  readonly received: number;
  readonly duplicates: number;
  /** Stored by the gateway and never received. */
  readonly missing: number;
  /** Given up by the gateway and declared. */
  readonly lost: number;
  readonly gone: number;
  readonly outOfOrder: number;
  readonly gaps: number;
  readonly invalid: number;
  /** Repeats that were not the same bytes as before. */
  readonly changedRepeats: number;
  /** More than one for a lane means that the gateway took its own file for a damaged one. */
  readonly epochs: Readonly<Record<string, number>>;
}

/** Whatever is opened, closed in reverse. */
type Cleanup = (fn: () => unknown) => void;

/**
 * Kills gateway and broker again and again at random moments under 5 000 readings a second with
 * cloud ack, and compares what the gateway stored with what the receiver got.
 */
export async function killRounds(rounds: KillRounds, teardown: Cleanup): Promise<KillReport> {
  const { gatewayKills, brokerKills, seed } = rounds;
  const random = seeded(seed);
  const broker = await startMosquitto();
  teardown(() => broker.stop());
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const units = await openCounterUnits(shape);
  teardown(units.close);
  const site = new TestSite({ teardown });
  writeCounterSite(site, { ...shape, settings: { uplink: { url, ack: 'cloud' } } }, units.ports);
  const receiver = new CheckingReceiver();
  receiver.start(url);
  teardown(() => receiver.stop());
  const gateway = new GatewayProcess({ teardown }, site);

  await gateway.start();
  for (let round = 1; round <= gatewayKills; round += 1) {
    // One in five dies while it starts, the others while readings flow.
    if (round % 5 !== 3) await gateway.until(({ points }) => points.fresh > 500, 30_000);
    await pause(random() * 600);
    if (round % Math.floor(gatewayKills / brokerKills) === 0) {
      await broker.kill();
      await pause(random() * 300);
      await broker.start();
    }
    await gateway.kill();
    gateway.spawn();
  }
  await gateway.until(({ ready, points }) => ready && points.fresh > 500, 30_000);

  // Polling goes on, so what is waited for is what was stored up to now.
  const { streams } = await gateway.get<{ streams: Stream[] }>('/api/v1/outbox/streams');
  const end = performance.now() + settleMs;
  while (missingOf(streams, receiver) > 0 && performance.now() < end) await pause(50);
  const { received, duplicates, lost, outOfOrder, gaps, invalid, ...more } = receiver.counters();
  const epochs: Record<string, number> = {};
  for (const { lane } of streams) epochs[lane] = (epochs[lane] ?? 0) + 1;
  return {
    received,
    duplicates,
    missing: missingOf(streams, receiver),
    lost,
    gone: 'gone' in more ? Number(more.gone) : 0,
    outOfOrder,
    gaps,
    invalid,
    changedRepeats: receiver.changedRepeats,
    epochs,
  };
}

function missingOf(streams: readonly Stream[], receiver: CheckingReceiver): number {
  return streams.reduce((sum, { lane, epoch, next }) => {
    const mark = receiver.watermarks().find((each) => each.lane === lane && each.epoch === epoch);
    return sum + Math.max(0, next - 1 - (mark?.sequence ?? 0));
  }, 0);
}

/** A seeded generator (Numerical Recipes), so that a failure can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
