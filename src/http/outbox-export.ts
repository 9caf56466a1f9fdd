import type { Stream } from '../model/outbox.ts';
import type { Control } from '../model/status.ts';

/** Envelopes fetched at a time: at 128 KiB each this bounds the memory of an export. */
const page = 16;

interface EnvelopePlace {
  readonly sequence?: unknown;
  readonly data?: { readonly n?: unknown } | undefined;
}

/** Last sequence that an envelope stands for; undefined when it has none. */
export function lastSequenceOf(envelope: string): number | undefined {
  const { sequence, data } = JSON.parse(envelope) as EnvelopePlace;
  const first = Number(sequence);
  if (!Number.isSafeInteger(first) || first < 0) return undefined;
  const n = typeof data?.n === 'number' && Number.isSafeInteger(data.n) && data.n > 0 ? data.n : 1;
  return first + n - 1;
}

/** Streams to export: the newest epoch of each tenant's lane that is asked for. */
export function streamsToExport(
  streams: readonly Stream[],
  tenant: string | undefined,
  lane: string | undefined,
): readonly Stream[] {
  return streams.filter(
    (stream) =>
      !stream.closed &&
      (tenant === undefined || stream.tenant === tenant) &&
      (lane === undefined || stream.lane === lane),
  );
}

/**
 * Held envelopes of some streams as NDJSON, a page at a time. It ends at what was stored when it
 * began, so that a gateway that goes on collecting does not make it endless.
 */
export async function* exportLines(
  control: Pick<Control, 'peek'>,
  streams: readonly Stream[],
): AsyncGenerator<string> {
  for (const { tenant, lane, oldest, next } of streams) {
    let after = Math.max(0, oldest - 1);
    while (after < next - 1) {
      const envelopes = await control.peek(tenant, lane, after, page);
      const last = envelopes.at(-1);
      if (last === undefined) break;
      yield `${envelopes.join('\n')}\n`;
      const reached = lastSequenceOf(last);
      // A cursor that stands still would repeat the same page for ever.
      if (reached === undefined || reached <= after) break;
      after = reached;
    }
  }
}
