import type { TenantId } from './ids.ts';

/** A customer who owns data. */
export interface Tenant {
  readonly id: TenantId;
  readonly title?: string;
}
