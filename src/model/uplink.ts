import type { TenantId } from './ids.ts';

/** State of the connection of one tenant to the cloud. */
export interface UplinkStatus {
  readonly tenant: TenantId;
  readonly state: 'off' | 'connecting' | 'connected' | 'waiting';
  /** Without credentials. */
  readonly url?: string;
  readonly protocol?: 'mqtt5' | 'mqtt3.1.1';
  readonly ackLevel?: 'broker' | 'cloud';
  /** For a person: what is wrong and what to do. */
  readonly detail?: string;
  readonly code?: string;
  /** Milliseconds in this state. */
  readonly forMs: number;
  readonly lastAckAgeMs?: number;
  readonly inflight: number;
  readonly reconnects: number;
  readonly published: number;
  readonly acked: number;
}
