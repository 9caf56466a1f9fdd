import test from 'ava';
import { SystemClock } from '../../../src/kernel/system-clock.ts';
import type { Pipe } from '../../../src/uplink/mqtt-session.ts';
import { Publisher } from '../../../src/uplink/publisher.ts';
import { publisherLimits } from '../../../src/uplink/publisher-limits.ts';
import { topicsOf } from '../../../src/uplink/topics.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryOutbox, readingsBatch } from '../../support/memory-outbox.ts';
import { silentNotes } from '../../support/silent-notes.ts';
import { acme, gateway } from '../../support/uplink-under-test.ts';

/** xorshift32: the same numbers for the same seed. */
function generator(seed: number): (below: number) => number {
  let x = seed * 2_654_435_761 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return Math.abs(x) % below;
  };
}

interface Sent {
  readonly body: string;
  readonly done: (reasonCode: number) => void;
}

/** A connection that acks whatever it likes, in whatever order, until it is cut. */
class FickleConnection implements Pipe {
  readonly maximumPacketSize = 1_000_000;
  readonly unacked: Sent[] = [];
  readonly #window: number;
  readonly #arrived: string[];

  constructor(window: number, arrived: string[]) {
    this.#window = window;
    this.#arrived = arrived;
  }

  get free(): number {
    return this.#window - this.unacked.length;
  }

  publish(
    _topic: string,
    payload: Uint8Array | string,
    _retain: boolean,
    done: Sent['done'],
  ): void {
    const body = Buffer.from(payload as Uint8Array).toString();
    this.#arrived.push(body);
    this.unacked.push({ body, done });
  }
}

for (const ack of ['broker', 'cloud'] as const) {
  test(`go-back-N (${ack}): whatever acks and cuts come, all arrive first in order, none is lost, repeats are the same bytes`, async (t) => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const next = generator(seed);
      const outbox = new MemoryOutbox(gateway);
      const arrived: string[] = [];
      const publisher = new Publisher({
        gateway,
        tenant: acme,
        topics: topicsOf(gateway, acme),
        ack,
        outbox,
        clock: new SystemClock('boot-1'),
        notes: silentNotes(),
        conditions: { raise: () => {}, clear: () => {} },
        limits: { ...publisherLimits, readBatches: 1 + next(5), unackedEvents: 40 },
        onEpoch: () => {},
        onOutrun: () => {},
      });
      let connection = new FickleConnection(1 + next(8), arrived);
      publisher.attach(connection);
      const acked = new Set<string>();
      let appended = 0;
      let steps = 0;
      while ((appended < 60 || outbox.pending() > 0) && steps < 20_000) {
        steps += 1;
        const dice = next(10);
        if (dice < 3 && appended < 60) {
          await outbox.append([readingsBatch(acme, { n: 1 + next(4) })]);
          appended += 1;
          publisher.committed();
        } else if (dice === 3) {
          publisher.detach();
          connection = new FickleConnection(1 + next(8), arrived);
          publisher.attach(connection);
        } else if (connection.unacked.length > 0) {
          const [one] = connection.unacked.splice(next(connection.unacked.length), 1);
          acked.add(one!.body);
          one!.done(0);
          publisher.pump();
          if (ack === 'cloud') {
            const [stream] = outbox.streams();
            publisher.watermark('live', stream!.epoch, contiguous(acked));
          }
        }
        await new Promise((resolve) => setImmediate(resolve));
        const [stream] = outbox.streams();
        // Never beyond what was acked without a hole.
        if (stream !== undefined && outbox.acked('uplink', stream.sid) > contiguous(acked)) {
          t.fail(`seed ${seed}: the cursor overtook the acks`);
          return;
        }
      }
      publisher.close();
      t.is(outbox.pending(), 0, `seed ${seed}`);
      const first = [...new Set(arrived)];
      t.is(first.length, 60, `seed ${seed}: each batch has one form`);
      const numbers = first.map((body) => Number(JSON.parse(body).sequence));
      t.deepEqual(
        [...numbers].sort((a, b) => a - b),
        numbers,
        `seed ${seed}: first in order`,
      );
    }
  });
}

test('a receiver that comes late, goes, and forgets what it knew has everything in the end, and the cursor never moves back', async (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const next = generator(seed);
    const outbox = new MemoryOutbox(gateway);
    const clock = new ManualClock();
    const publisher = new Publisher({
      gateway,
      tenant: acme,
      topics: topicsOf(gateway, acme),
      ack: 'auto',
      outbox,
      clock,
      notes: silentNotes(),
      conditions: { raise: () => {}, clear: () => {} },
      limits: { ...publisherLimits, readBatches: 1 + next(5), unackedEvents: 40 },
      onEpoch: () => {},
      onOutrun: () => {},
    });
    let connection = new FickleConnection(1 + next(8), []);
    publisher.attach(connection);
    let stored = new Set<string>();
    let listens = false;
    let cursor = 0;
    let appended = 0;
    let steps = 0;
    let isComplete = false;
    while (!isComplete && steps < 20_000) {
      steps += 1;
      const dice = next(40);
      // Nothing goes wrong any more in the end: then all must come to rest.
      const isCalm = steps > 400;
      if (dice < 8 && appended < 60) {
        await outbox.append([readingsBatch(acme, { n: 1 + next(4) })]);
        appended += 1;
        publisher.committed();
      } else if (dice === 8 && !isCalm) {
        publisher.detach();
        connection = new FickleConnection(1 + next(8), []);
        publisher.attach(connection);
      } else if (dice === 9) listens = isCalm || !listens;
      else if (dice === 10 && !isCalm) stored = new Set();
      else if (dice === 11) await clock.pass(1 + next(60_000));
      else {
        const one = connection.unacked.shift();
        // The broker acknowledges what nobody hears.
        if (listens && one !== undefined) stored.add(one.body);
        one?.done(0);
        publisher.pump();
      }
      const [stream] = outbox.streams();
      if (listens && stream !== undefined && next(3) === 0) {
        publisher.watermark('live', stream.epoch, contiguous(stored));
      }
      await new Promise((resolve) => setImmediate(resolve));
      const now = stream === undefined ? 0 : outbox.acked('uplink', stream.sid);
      t.true(now >= cursor, `seed ${seed}: the cursor moved back`);
      cursor = now;
      isComplete =
        isCalm &&
        appended === 60 &&
        outbox.pending() === 0 &&
        contiguous(stored) === (stream?.next ?? 0) - 1;
    }
    publisher.close();
    t.true(isComplete, `seed ${seed}: ${contiguous(stored)} stored, ${outbox.pending()} pending`);
  }
});

/** Highest sequence up to which all bodies have been acked. */
function contiguous(bodies: ReadonlySet<string>): number {
  const ranges = [...bodies]
    .map((body) => JSON.parse(body) as { sequence: string; data: { n: number } })
    .map(({ sequence, data }) => [Number(sequence), data.n] as const)
    .sort(([a], [b]) => a - b);
  let through = 0;
  for (const [sequence, n] of ranges) {
    if (sequence !== through + 1) break;
    through += n;
  }
  return through;
}
