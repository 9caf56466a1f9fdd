import { GatewayError } from '../model/errors.ts';
import type { TenantId } from '../model/ids.ts';
import type { Tenant } from '../model/tenant.ts';

declare const brand: unique symbol;

/** The right to act for one tenant. Only TenantContexts makes them, for tenants that exist. */
export interface TenantContext {
  readonly tenant: TenantId;
  readonly [brand]: true;
}

/** Objects that merely look like a context do not pass: only these do. */
const genuine = new WeakSet<object>();

/** Makes and keeps the contexts of the tenants of the configuration. */
export class TenantContexts {
  #contexts: ReadonlyMap<TenantId, TenantContext>;

  constructor(tenants: readonly Tenant[]) {
    this.#contexts = make(tenants, new Map());
  }

  /** Takes over a new configuration. Contexts of tenants that are gone are no longer valid. */
  replace(tenants: readonly Tenant[]): void {
    const before = this.#contexts;
    this.#contexts = make(tenants, before);
    for (const [tenant, context] of before) {
      if (!this.#contexts.has(tenant)) genuine.delete(context);
    }
  }

  /** Throws TENANT_MISMATCH for a tenant that the configuration does not know. */
  of(tenant: TenantId): TenantContext {
    const context = this.#contexts.get(tenant);
    if (context === undefined) {
      throw new GatewayError('TENANT_MISMATCH', `there is no tenant "${tenant}"`, {
        facts: { tenant },
      });
    }
    return context;
  }

  all(): readonly TenantContext[] {
    return [...this.#contexts.values()];
  }
}

/** Throws TENANT_MISMATCH unless the context is genuine and of this tenant. */
export function assertTenant(context: TenantContext, tenant: TenantId): void {
  if (genuine.has(context) && context.tenant === tenant) return;
  throw new GatewayError(
    'TENANT_MISMATCH',
    `data of tenant "${tenant}" was asked for in the name of tenant "${context.tenant}"`,
    { facts: { tenant, context: context.tenant } },
  );
}

function make(
  tenants: readonly Tenant[],
  before: ReadonlyMap<TenantId, TenantContext>,
): ReadonlyMap<TenantId, TenantContext> {
  return new Map(
    tenants.map(({ id }) => {
      const context = before.get(id) ?? (Object.freeze({ tenant: id }) as TenantContext);
      genuine.add(context);
      return [id, context];
    }),
  );
}
