import type { DriverError, PointRequest, PointResult, PointValue, Reason } from '#driver';
import { asDriverError } from './driver-error.ts';

/** Longest text that a point may have, in UTF-16 units: a frame must hold at least a few of them. */
export const maxTextLength = 16_384;

/** A result without a value. */
export function badResult(pointId: string, time: number, error: DriverError): PointResult {
  return { pointId, time, quality: 'bad', error };
}

/** The same failure for each of several points. */
export function allBad(
  points: readonly PointRequest[],
  time: number,
  error: DriverError,
): PointResult[] {
  return points.map((point) => badResult(point.pointId, time, error));
}

/**
 * Exactly one honest result for each requested point, whatever the plugin returned: a missing one
 * is bad, one that was not asked for or came twice is left out, and NaN never passes as a value.
 */
export function settleResults(
  requested: readonly PointRequest[],
  returned: unknown,
  now: number,
): PointResult[] {
  if (!Array.isArray(returned)) {
    return allBad(requested, now, fault('internal', 'the driver returned no list of results'));
  }
  // Drivers mostly answer in the order asked; then no index is needed.
  if (returned.length === requested.length && inOrder(requested, returned)) {
    return returned.map((result: PointResult) => settleOne(result.pointId, result, now));
  }
  const byPoint = new Map<unknown, unknown>();
  for (const result of returned) {
    const id = (result as { pointId?: unknown } | null | undefined)?.pointId;
    if (!byPoint.has(id)) byPoint.set(id, result);
  }
  return requested.map(({ pointId }) => settleOne(pointId, byPoint.get(pointId), now));
}

function inOrder(requested: readonly PointRequest[], returned: readonly unknown[]): boolean {
  for (let i = 0; i < requested.length; i += 1) {
    const result = returned[i] as { pointId?: unknown } | null | undefined;
    if (result?.pointId !== requested[i]?.pointId) return false;
  }
  return true;
}

function settleOne(pointId: string, returned: unknown, now: number): PointResult {
  if (typeof returned !== 'object' || returned === null) {
    return badResult(pointId, now, fault('internal', 'the driver gave no result for the point'));
  }
  const { time: told, value, quality, error } = returned as Partial<PointResult>;
  const time = typeof told === 'number' && Number.isFinite(told) ? told : now;
  if (quality === 'bad') return badResult(pointId, time, asDriverError(error ?? noReason));
  if (quality !== 'good' && quality !== 'uncertain') {
    return badResult(pointId, time, fault('internal', 'the driver gave a result without quality'));
  }
  const wrong = whyNoValue(value);
  if (wrong !== undefined) return badResult(pointId, time, wrong);
  // A copy: a plugin may use its object again before the batch is on its way.
  return quality === 'good'
    ? { pointId, time, value: value as PointValue, quality }
    : {
        pointId,
        time,
        value: value as PointValue,
        quality,
        error: asDriverError(error ?? noReason, 'suspect'),
      };
}

const noReason = { message: 'the driver gave no reason' };

function whyNoValue(value: unknown): DriverError | undefined {
  if (typeof value === 'number') {
    return Number.isFinite(value) ? undefined : fault('not-a-number', `the value is ${value}`);
  }
  if (typeof value === 'string') {
    return value.length <= maxTextLength
      ? undefined
      : fault('bad-response', `a text of ${value.length} characters; ${maxTextLength} are allowed`);
  }
  if (typeof value === 'boolean' || typeof value === 'bigint') return undefined;
  return fault('internal', 'the driver gave a good result without a value');
}

const fault = (kind: Reason, message: string): DriverError => ({ kind, message });
