import type { Condition } from './condition.ts';
import type { DeviceState } from './field.ts';
import type { DeviceId, TenantId } from './ids.ts';
import type { Reading } from './reading.ts';
import type { UplinkStatus } from './uplink.ts';

/** What observers are told, always after the fact. Nothing in the data path listens here. */
export interface BusEvents {
  /** Readings that are in the outbox. */
  'readings-committed': [readings: readonly Reading[]];
  'device-state': [device: DeviceId, state: DeviceState];
  'condition-raised': [condition: Condition];
  'condition-cleared': [condition: Condition];
  'uplink-state': [tenant: TenantId, state: UplinkStatus['state']];
  'config-applied': [revision: string];
}

export interface Bus {
  /** A listener that throws is noted and called again next time; it never stops the others. Returns the way to stop it. */
  on<Name extends keyof BusEvents>(
    name: Name,
    listener: (...args: BusEvents[Name]) => void,
  ): () => void;
  emit<Name extends keyof BusEvents>(name: Name, ...args: BusEvents[Name]): void;
}
