import { GatewayError } from '../model/errors.ts';
import { dataSchemaOfType } from '../model/event.ts';
import { idPattern } from '../model/ids.ts';
import { lanes } from '../model/lane.ts';
import type { NewBatch } from '../model/outbox.ts';

/** Largest data of a batch, characters; the recorder makes them a hundred times smaller. */
const maxDataLength = 8 * 1024 * 1024;
/** Most sequences of one batch. */
const maxCount = 1_000_000;
/** First millisecond that an ISO date of four digits cannot name. */
const endOfTime = 253_402_300_800_000;

/**
 * Refuses what would break the file or another tenant's stream. It can only come from a mistake of
 * ours, so it is an INTERNAL error, and no use to try again.
 */
export function checkNewBatch(batch: NewBatch): void {
  const { tenant, lane, type, n, time, data, correlationId } = batch;
  const wrong =
    (!idPattern.test(tenant) && 'tenant') ||
    (!lanes.includes(lane) && 'lane') ||
    (!Object.hasOwn(dataSchemaOfType, type) && 'type') ||
    ((!Number.isInteger(n) || n < 1 || n > maxCount) && 'n') ||
    ((!Number.isFinite(time) || time < 0 || time >= endOfTime) && 'time') ||
    ((data.length === 0 || data.length > maxDataLength) && 'data') ||
    (correlationId.length > 200 && 'correlationId');
  if (wrong === false) return;
  throw new GatewayError('INTERNAL', `a batch was refused by the outbox because of its ${wrong}`, {
    facts: { member: wrong, length: data.length },
  });
}
