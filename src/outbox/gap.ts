import { type GapData, sequenceText, streamSource } from '../model/event.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import { envelope } from './envelope.ts';

export type GapReason = GapData['reason'];

const whyOf: Readonly<Record<GapReason, string>> = {
  quota: 'given up because the outbox was full',
  age: 'given up because they were older than outbox.maxAgeHours',
  'dead-letter': 'set aside because the receiver refused them',
  corrupt: 'damaged on the disk of the gateway',
};

/** What a gap event is made of. */
export interface GapFacts {
  readonly gateway: GatewayId;
  readonly tenant: TenantId;
  readonly lane: Lane;
  readonly epoch: string;
  /** First sequence that is missing. */
  readonly first: number;
  /** How many are missing. */
  readonly n: number;
  readonly reason: GapReason;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly bootId: string;
  readonly synced: boolean;
}

/** The event that takes the place of a range of sequences, so that a cumulative watermark passes over it. */
export function gapEnvelope(facts: GapFacts): string {
  const { gateway, tenant, lane, epoch, first, n, reason } = facts;
  const data: GapData = {
    n,
    first: sequenceText(first),
    last: sequenceText(first + n - 1),
    reason,
    text: `${n} ${n === 1 ? 'event was' : 'events were'} ${whyOf[reason]}`,
  };
  return envelope({
    epoch,
    sequence: first,
    source: streamSource(gateway, tenant, lane),
    type: 'riser.gap.v1',
    time: facts.time,
    tenant,
    // The same whenever it is built again: a replay sends the same bytes.
    correlationId: `gap.${epoch}.${first}`,
    bootId: facts.bootId,
    synced: facts.synced,
    data: JSON.stringify(data),
  });
}
