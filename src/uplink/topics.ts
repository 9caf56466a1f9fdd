import type { DeviceId, GatewayId, TenantId } from '../model/ids.ts';
import { type Lane, lanes } from '../model/lane.ts';

/** Topics of one tenant on one gateway, wire contract riser/1 (docs/reference/wire.md). */
export interface Topics {
  readonly state: string;
  /** What the gateway listens to. Lanes are listed, so that no message matches two filters. */
  readonly filters: readonly string[];
  events(lane: Lane): string;
  last(device: DeviceId): string;
  result(id: string): string;
}

/** What a message to the gateway is about. */
export type InboundTopic =
  | { readonly kind: 'ack' | 'nack'; readonly lane: Lane }
  | { readonly kind: 'command'; readonly name: string };

/** The part of a topic that all topics of a tenant's gateway begin with. */
export function topicRoot(gateway: GatewayId, tenant: TenantId): string {
  return `riser/1/${tenant}/${gateway}`;
}

export function topicsOf(gateway: GatewayId, tenant: TenantId): Topics {
  const root = topicRoot(gateway, tenant);
  return {
    state: `${root}/state`,
    filters: [
      ...lanes.flatMap((lane) => [`${root}/${lane}/ack`, `${root}/${lane}/nack`]),
      `${root}/cmd/#`,
    ],
    events: (lane) => `${root}/${lane}`,
    last: (device) => `${root}/last/${device}`,
    result: (id) => `${root}/result/${id}`,
  };
}

/** What a topic says, if it is one that this gateway listens to for this tenant. */
export function readTopic(
  gateway: GatewayId,
  tenant: TenantId,
  topic: string,
): InboundTopic | undefined {
  const root = `${topicRoot(gateway, tenant)}/`;
  if (!topic.startsWith(root)) return undefined;
  const rest = topic.slice(root.length);
  if (rest.startsWith('cmd/')) return { kind: 'command', name: rest.slice('cmd/'.length) };
  const [lane, kind, ...more] = rest.split('/');
  const known = lanes.find((name) => name === lane);
  if (known === undefined || more.length > 0) return undefined;
  return kind === 'ack' || kind === 'nack' ? { kind, lane: known } : undefined;
}
