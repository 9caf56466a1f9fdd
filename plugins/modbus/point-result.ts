import type { DriverError, PointResult } from '#driver';
import type { Outcome } from './block-reader.ts';
import { type Decoded, scaleByPower } from './codec.ts';
import type { ReadPlan, ReadyPoint } from './modbus-device.ts';

/** SunSpec allows -10 to 10; a power outside is a misread register. */
const largestPower = 10;

/** The result of one point, with its dynamic scale factor applied. */
export function resultOf(
  pointId: string,
  point: ReadyPoint | undefined,
  plan: Pick<ReadPlan, 'settled'>,
  outcomes: ReadonlyMap<string, Outcome>,
  now: number,
): PointResult {
  const outcome = outcomes.get(pointId);
  if (outcome === undefined || point === undefined) {
    return bad(pointId, now, plan.settled.get(pointId) ?? unread);
  }
  if ('error' in outcome) return bad(pointId, outcome.time, outcome.error);
  const { decoded, time } = outcome;
  if (decoded.value === undefined) {
    return bad(pointId, time, { kind: decoded.missing, message: decoded.detail });
  }
  if (point.scaleFrom === undefined) return told(pointId, time, decoded);
  const power = powerOf(point.scaleFrom, plan, outcomes);
  if (typeof power !== 'number') return bad(pointId, time, power);
  return told(pointId, time, { ...decoded, value: scaleByPower(decoded.value, power) });
}

const unread: DriverError = { kind: 'internal', message: 'the point was asked for but not read' };

function told(
  pointId: string,
  time: number,
  decoded: Extract<Decoded, { value: PointResult['value'] & {} }>,
): PointResult {
  if (decoded.doubt === undefined) return { pointId, time, value: decoded.value, quality: 'good' };
  return {
    pointId,
    time,
    value: decoded.value,
    quality: 'uncertain',
    error: { kind: decoded.doubt, message: decoded.detail ?? '' },
  };
}

function bad(pointId: string, time: number, error: DriverError): PointResult {
  return { pointId, time, quality: 'bad', error };
}

function powerOf(
  from: string,
  plan: Pick<ReadPlan, 'settled'>,
  outcomes: ReadonlyMap<string, Outcome>,
): number | DriverError {
  const outcome = outcomes.get(from);
  if (outcome === undefined || 'error' in outcome) {
    const error = outcome?.error ?? plan.settled.get(from);
    return {
      kind: error?.kind ?? 'bad-address',
      message: `its scale factor ${from} could not be read: ${error?.message ?? 'the device has no such point'}`,
    };
  }
  const { decoded } = outcome;
  if (decoded.value === undefined) {
    return { kind: decoded.missing, message: `its scale factor ${from}: ${decoded.detail}` };
  }
  const power = Number(decoded.value);
  if (Number.isInteger(power) && Math.abs(power) <= largestPower) return power;
  return {
    kind: 'not-a-number',
    message: `its scale factor ${from} is ${decoded.value}, not a power from -10 to 10`,
  };
}
