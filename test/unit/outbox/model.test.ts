import path from 'node:path';
import test from 'ava';
import type { Lane } from '../../../src/model/lane.ts';
import type { DurableOutbox } from '../../../src/outbox/durable-outbox.ts';
import {
  acme,
  batchOf,
  envelopeOf,
  openOutbox,
  temporaryFolder,
} from '../../support/open-outbox.ts';
import { seededRandom } from '../../support/powercut-outbox.ts';

const seed = Number(process.env.RISER_SEED ?? Date.now() % 1_000_000);
const lanes: readonly Lane[] = ['alarm', 'live', 'bulk'];

interface ModelStream {
  readonly sid: number;
  readonly lane: Lane;
  /** Mark and first sequence of each batch, as they were stored. */
  readonly batches: { readonly sequence: number; readonly n: number; readonly mark: string }[];
  readonly parked: Set<number>;
  next: number;
  acked: number;
  closed: boolean;
}

/** What a consumer may see of a stream: each sequence after its cursor once, as stored or as a gap. */
async function check(outbox: DurableOutbox, stream: ModelStream, lost: { events: number }) {
  const held = outbox.streams().find(({ sid }) => sid === stream.sid);
  if (held === undefined) {
    if (!stream.closed || stream.acked < stream.next - 1) throw new Error(`${stream.sid} is gone`);
    return;
  }
  if (held.next !== stream.next) throw new Error(`next ${held.next} instead of ${stream.next}`);
  if (held.oldest - 1 > stream.acked) throw new Error(`dropped ${held.oldest} > ${stream.acked}`);
  const bySequence = new Map(stream.batches.map((each) => [each.sequence, each]));
  let after = stream.acked;
  let isFirst = true;
  while (after < stream.next - 1) {
    const [batch] = await outbox.read('uplink', stream.sid, after, { batches: 1, bytes: 1 });
    if (batch === undefined) throw new Error(`nothing after ${after} of ${stream.next - 1}`);
    const isNext = batch.sequence === after + 1;
    const contains = batch.sequence <= after + 1 && batch.sequence + batch.n > after + 1;
    if (!(isFirst ? contains : isNext)) throw new Error(`${batch.sequence} after ${after}`);
    isFirst = false;
    const { data, type, id } = envelopeOf(batch);
    if (id !== `${held.epoch}.${batch.sequence}`) throw new Error(`id ${id}`);
    if (data.n !== batch.n) throw new Error(`n ${data.n}`);
    const stored = bySequence.get(batch.sequence);
    if (type === 'riser.readings.v1') {
      if (data.mark !== stored?.mark || batch.n !== stored?.n) throw new Error(`${batch.sequence}`);
      if (stream.parked.has(batch.sequence)) throw new Error(`${batch.sequence} was parked`);
    } else if (data.reason === 'quota') {
      lost.events += batch.n;
    } else if (data.reason !== 'dead-letter' || !stream.parked.has(batch.sequence)) {
      throw new Error(`gap at ${batch.sequence} because of ${data.reason}`);
    }
    after = batch.sequence + batch.n - 1;
  }
}

test('under random use each stream is what a simple model says', async (t) => {
  t.log(`RISER_SEED=${seed}`);
  const random = seededRandom(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const options = {
    path: file,
    limits: { maxBytes: 400 * 1024, retainBytes: 60 * 1024, retainHours: 1, maxAgeHours: 10 },
  };
  let outbox = await openOutbox(t, options);
  const streams: ModelStream[] = [];
  const current = (lane: Lane) => streams.findLast((each) => each.lane === lane && !each.closed);

  for (let step = 0; step < 400; step += 1) {
    const stream = streams[pick(streams.length)];
    const action = pick(100);
    if (action < 60 || stream === undefined) {
      const wanted = Array.from({ length: 1 + pick(5) }, (_, i) => {
        const mark = `${step}.${i}.${Array.from({ length: pick(300) }, () => pick(1e9)).join('')}`;
        return batchOf(1 + pick(50), mark, { lane: lanes[pick(3)]! });
      });
      const committed = await outbox.append(wanted);
      for (const [i, { sid, sequence, n }] of committed.entries()) {
        const { lane, data } = wanted[i]!;
        let known = current(lane);
        if (known === undefined) {
          known = { sid, lane, batches: [], parked: new Set(), next: 1, acked: 0, closed: false };
          streams.push(known);
        }
        t.deepEqual([sid, sequence, n], [known.sid, known.next, wanted[i]!.n]);
        known.batches.push({ sequence, n, mark: JSON.parse(data).mark });
        known.next += n;
      }
    } else if (action < 80) {
      const through = pick(stream.next + 20);
      outbox.ack('uplink', stream.sid, through);
      if (through > stream.acked && through < stream.next) stream.acked = through;
      if (outbox.streams().some(({ sid }) => sid === stream.sid)) {
        t.is(outbox.acked('uplink', stream.sid), stream.acked);
      }
    } else if (action < 86) {
      const batch = stream.batches[pick(stream.batches.length)];
      if (batch === undefined) continue;
      const before = outbox.stats().deadLetters;
      await outbox.park('uplink', stream.sid, batch.sequence, 'test');
      if (outbox.stats().deadLetters > before) stream.parked.add(batch.sequence);
    } else if (action < 95) {
      await check(outbox, stream, { events: 0 });
    } else if (action < 98) {
      const lane = lanes[pick(3)]!;
      await outbox.renewEpoch(acme, lane, 'test');
      const closed = current(lane);
      if (closed !== undefined) closed.closed = true;
      const { sid } = outbox.streams().at(-1)!;
      streams.push({ sid, lane, batches: [], parked: new Set(), next: 1, acked: 0, closed: false });
    } else {
      await outbox.close();
      outbox = await openOutbox(t, options);
    }
  }
  const lost = { events: 0 };
  for (const stream of streams) await check(outbox, stream, lost);
  t.true(lost.events <= outbox.stats().lost, 'every loss is counted');
  t.true(outbox.stats().lost > 0, 'the budget was reached');
  t.true(outbox.stats().fileBytes <= options.limits.maxBytes);
});
