import { streamSource } from '../model/event.ts';
import type { GatewayId, TenantId } from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';

/** Envelope attributes come before `data` and are short; what a device wrote comes after it. */
const prefixBytes = 1_024;

/**
 * Whether an envelope says that it is of this gateway, tenant and lane. Looks at its beginning
 * only, without parsing: it runs for each batch.
 */
export function belongsTo(
  body: Uint8Array,
  gateway: GatewayId,
  tenant: TenantId,
  lane: Lane,
): boolean {
  const start = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, prefixBytes));
  const text = start.toString('latin1');
  const end = text.indexOf('"data":');
  if (end < 0) return false;
  const source = text.indexOf(`"source":"${streamSource(gateway, tenant, lane)}"`);
  const owner = text.indexOf(`"tenantid":"${tenant}"`);
  return source >= 0 && source < end && owner >= 0 && owner < end;
}
