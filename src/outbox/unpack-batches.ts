import type { StoredBatch } from '../model/outbox.ts';
import type { ReadResult } from './worker-messages.ts';

/** Batches out of the one buffer in which a worker sends them. */
export function unpackBatches(
  sid: number,
  { batches, bodies }: ReadResult,
): readonly StoredBatch[] {
  let offset = 0;
  return batches.map(({ bytes, ...batch }) => {
    const body = new Uint8Array(bodies, offset, bytes);
    offset += bytes;
    return { sid, ...batch, body };
  });
}
