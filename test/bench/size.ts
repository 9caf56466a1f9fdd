import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { type BenchResult, spreadOf } from './bench-result.ts';
import { eventsPerBatch, feed, openOutbox } from './outbox-file.ts';

export const name = 'size';
export const description =
  'bytes of a reading on the disk and on the wire, 100 typical readings (40 points, two decimals) a batch, against an event as JSON for each reading';

const batches = 5_000;
const topic = 'riser/1/acme/gw-test/live';
/** Fixed header, length of the topic, packet identifier, property length. */
const packetBytes = 8;

/** The same reading as a CloudEvent of its own. */
function singleEvent(n: number): string {
  return JSON.stringify({
    specversion: '1.0',
    id: `k3f9c2a1b7d4.${n}`,
    source: '//gw-test/acme/live',
    type: 'riser.reading.v1',
    time: '2026-11-20T09:41:00.120Z',
    sequence: String(n).padStart(16, '0'),
    tenantid: 'acme',
    data: {
      point: `ahu-${n % 40}/supply.temp`,
      value: 20 + ((n * 7919) % 997) / 100,
      quality: 'good',
    },
  });
}

export async function run(): Promise<readonly BenchResult[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-bench-'));
  try {
    const outbox = await openOutbox(folder);
    const empty = outbox.stats();
    await feed(outbox, (count) => count < batches);
    const { fileBytes, bytesWritten, committedEvents } = outbox.stats();
    const stream = outbox.streams()[0];
    const read = await outbox.read('uplink', stream?.sid ?? 0, 0, { batches: 64, bytes: 2 ** 20 });
    await outbox.close();
    const plain = read.reduce((sum, { body }) => sum + body.length, 0) / read.length;
    const zstd =
      read.reduce((sum, { body }) => sum + zstdCompressSync(body).length, 0) / read.length;
    const single =
      Array.from({ length: 1_000 }, (_, n) => singleEvent(n + 1).length).reduce((a, b) => a + b) /
      1_000;
    const fixed = topic.length + packetBytes;
    const line = (label: string, value: number, atMost?: number, note?: string): BenchResult => ({
      name: label,
      value: spreadOf([value]),
      unit: 'bytes',
      ...(atMost === undefined ? {} : { target: { atMost } }),
      ...(note === undefined ? {} : { note }),
    });
    return [
      line('stored body of a reading', bytesWritten / committedEvents),
      line('file of the outbox, a reading', (fileBytes - empty.fileBytes) / committedEvents, 16),
      line('on the wire, a reading', (plain + fixed) / eventsPerBatch, 35),
      line(
        'on the wire with zstd, a reading',
        (zstd + fixed) / eventsPerBatch,
        12,
        'what the bytes would be: compression on the wire is not built yet',
      ),
      line('a JSON event for each reading', single + fixed),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
