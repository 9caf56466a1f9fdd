import { type GatewayId, idPattern } from '../model/ids.ts';
import { lanes } from '../model/lane.ts';

/** Who somebody is on the embedded broker. */
export type BrokerRole =
  /** The uplink of this gateway. */
  | 'gateway'
  /** A cloud side: reads events, acks them, asks for a replay. */
  | 'receiver'
  /** Reads only. */
  | 'viewer';

export const brokerRoles: readonly BrokerRole[] = ['gateway', 'receiver', 'viewer'];

const isLane = (level: string | undefined) => lanes.some((lane) => lane === level);

/** Whether a role may publish to a topic. */
export function mayPublish(role: BrokerRole, gateway: GatewayId, topic: string): boolean {
  if (topic.length > 400) return false;
  const [riser, version, tenant, owner, what, ...more] = topic.split('/');
  if (riser !== 'riser' || version !== '1' || owner !== gateway) return false;
  if (tenant === undefined || !idPattern.test(tenant) || what === undefined) return false;
  switch (role) {
    case 'gateway':
      if (what === 'last' || what === 'result') return more.length === 1;
      return more.length === 0 && (what === 'state' || isLane(what));
    case 'receiver':
      if (what === 'cmd') return more.length > 0;
      return more.length === 1 && isLane(what) && (more[0] === 'ack' || more[0] === 'nack');
    case 'viewer':
      return false;
  }
}

/** Whether a publish of a role may be kept for those who come later. */
export function mayRetain(topic: string): boolean {
  // Commands and answers are of one moment; kept, each name would take memory for good.
  const what = topic.split('/')[4];
  return what !== 'cmd' && what !== 'result';
}

/** Whether a role may subscribe to a filter: nobody sees more than the topics of the contract. */
export function maySubscribe(role: BrokerRole, gateway: GatewayId, filter: string): boolean {
  if (filter.length > 400 || !filter.startsWith('riser/1/')) return false;
  if (role !== 'gateway') return true;
  const [, , tenant, owner, what, ...more] = filter.split('/');
  if (tenant === undefined || !idPattern.test(tenant) || owner !== gateway) return false;
  if (what === 'cmd') return more.length === 1 && more[0] === '#';
  return isLane(what) && more.length === 1 && (more[0] === 'ack' || more[0] === 'nack');
}
