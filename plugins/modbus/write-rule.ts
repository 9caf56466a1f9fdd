import type { Json, PointValue } from '#driver';
import { holdsBits, PointError } from './address.ts';
import { decoderOf } from './codec.ts';
import { encode, encodePart } from './encode.ts';
import { isPart, type ModbusPoint } from './point.ts';
import { type WriteFunction, writeCoil, writeMask, writeRegisters } from './write-request.ts';

/** How a point may be written, as its profile says. Numbers are those that the driver reads. */
export interface WriteRule {
  readonly fc: WriteFunction;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
  /** Undefined: the device is not asked what it holds after a write. */
  readonly readback?: { readonly delayMs: number; readonly tolerance: number };
  /** Shortest time between two writes; a memory that wears out stands only so many. */
  readonly minIntervalS: number;
}

type Keys = Readonly<Record<string, Json | undefined>>;

/** Reads `write` of a point; undefined if it may not be written. Throws a PointError. */
export function parseWriteRule(
  point: ModbusPoint,
  source: Json | undefined,
): WriteRule | undefined {
  if (source === undefined) return undefined;
  if (source === null || typeof source !== 'object' || Array.isArray(source)) {
    throw wrong('give it as a group, such as { fc: 6, min: 0, max: 100 }');
  }
  const keys = source as Keys;
  const allowed = functionsOf(point);
  const [usual] = allowed;
  if (point.scaleFrom !== undefined) {
    throw wrong(
      'a point whose scale factor is another register cannot be written; leave write out',
    );
  }
  if (usual === undefined) throw wrong(unwritable(point));
  const fc = keys.fc ?? usual;
  const chosen = allowed.find((candidate) => candidate === fc);
  if (chosen === undefined) {
    throw wrong(
      `function ${JSON.stringify(fc)} cannot write this point; use ${allowed.join(' or ')}`,
    );
  }
  const min = numberOf(keys, 'min');
  const max = numberOf(keys, 'max');
  const step = numberOf(keys, 'step');
  if (min !== undefined && max !== undefined && min > max) {
    throw wrong(`min ${min} is above max ${max}`);
  }
  if (step !== undefined && step <= 0) throw wrong(`step ${step} must be above 0`);
  const readback = readbackOf(keys.readback);
  return {
    fc: chosen,
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
    ...(step !== undefined && { step }),
    ...(readback !== undefined && { readback }),
    minIntervalS: numberOf(keys, 'minIntervalS') ?? 0,
  };
}

/**
 * The request that writes a value. Throws a RangeError that says why the value may not be written:
 * out of its range, off its step, no state of it, or one that would be read as another value.
 */
export function writeRequest(point: ModbusPoint, rule: WriteRule, value: PointValue): Buffer {
  checkKind(point, value);
  checkRange(rule, value);
  if (holdsBits(point.table)) {
    const on = value === true || (typeof value === 'string' && stateOf(point, value) === 1n);
    return writeCoil(rule.fc === 15 ? 15 : 5, point.address, on);
  }
  if (isPart(point)) return writeMask(point.address, encodePart(point, value));
  const bytes = encode(point, value);
  const decoded = decoderOf(point)(bytes, 0);
  if (decoded.value === undefined) throw new RangeError(`${value} would be read as no value`);
  if (
    decoded.doubt !== undefined ||
    !isSame(decoded.value, asRead(point, value), roundingOf(point, value))
  ) {
    throw new RangeError(`${value} would be read back as ${decoded.value}`);
  }
  return writeRegisters(rule.fc === 6 ? 6 : 16, point.address, bytes);
}

/** Whether a value that was read back is the one that was written. */
export function isSame(read: PointValue, written: PointValue, tolerance: number): boolean {
  if (read === written) return true;
  if (isNumber(read) && isNumber(written)) {
    return Math.abs(Number(read) - Number(written)) <= tolerance;
  }
  return false;
}

/** A value as it is told when it is read: a state by its name. */
export function asRead(point: ModbusPoint, value: PointValue): PointValue {
  if (typeof value === 'string') {
    return point.flags === undefined ? value : flagOrder(point, value);
  }
  return (isNumber(value) ? point.states?.get(BigInt(value)) : undefined) ?? value;
}

function flagOrder({ flags = new Map() }: ModbusPoint, value: string): string {
  const names = new Set(value.split(','));
  return [...flags.values()].filter((name) => names.has(name)).join(',');
}

/** Deviation that the type itself makes, relative for floats. */
export function roundingOf(point: ModbusPoint, value: PointValue): number {
  return isNumber(value) ? Math.abs(Number(value)) * floatDust(point) : 0;
}

function functionsOf(point: ModbusPoint): readonly WriteFunction[] {
  if (point.table === 'coil') return [5, 15];
  if (point.table !== 'holding') return [];
  if (isPart(point)) return point.count === 1 ? [22] : [];
  return point.count === 1 ? [6, 16] : point.count <= 123 ? [16] : [];
}

function unwritable(point: ModbusPoint): string {
  if (point.table === 'discrete' || point.table === 'input') {
    return `table ${point.table} can only be read; leave write out`;
  }
  return 'a part of several registers, or more than 123 registers, cannot be written at once';
}

function checkKind(point: ModbusPoint, value: PointValue): void {
  const isBit = holdsBits(point.table) || point.type === 'bool' || point.bit !== undefined;
  const isText = point.type === 'string' || point.type === 'bytes' || point.type.startsWith('date');
  const names = point.states !== undefined || point.flags !== undefined;
  if (typeof value === 'string') {
    if (isText || names) return;
    throw new RangeError(
      `"${value}" is a text, but the point takes ${isBit ? 'true or false' : 'a number'}`,
    );
  }
  if (isText) throw new RangeError('the point takes a text');
  if (point.flags !== undefined) throw new RangeError('the point takes names of flags');
  if (isBit !== (typeof value === 'boolean')) {
    throw new RangeError(`the point takes ${isBit ? 'true or false' : 'a number'}`);
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new RangeError('no number');
  if (point.states !== undefined && isNumber(value) && !isState(point, value)) {
    throw new RangeError(`the profile has no name for state ${value}`);
  }
}

function isState(point: ModbusPoint, value: number | bigint): boolean {
  return Number.isInteger(Number(value)) && (point.states?.has(BigInt(value)) ?? false);
}

function stateOf(point: ModbusPoint, name: string): bigint {
  for (const [state, known] of point.states ?? []) if (known === name) return state;
  throw new RangeError(`${point.id} has no state "${name}"`);
}

function checkRange({ min, max, step }: WriteRule, value: PointValue): void {
  if (!isNumber(value)) return;
  const number = Number(value);
  if (min !== undefined && number < min) throw new RangeError(`${value} is below ${min}`);
  if (max !== undefined && number > max) throw new RangeError(`${value} is above ${max}`);
  if (step === undefined) return;
  const steps = (number - (min ?? 0)) / step;
  if (Math.abs(steps - Math.round(steps)) > 1e-6) {
    throw new RangeError(`${value} is not a multiple of the step ${step} from ${min ?? 0} on`);
  }
}

function floatDust({ type }: ModbusPoint): number {
  return type === 'float16' ? 2 ** -11 : type === 'float32' ? 2 ** -24 : 0;
}

function isNumber(value: PointValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function readbackOf(source: Json | undefined): WriteRule['readback'] {
  if (source === false) return undefined;
  if (source === undefined || source === true) return { delayMs: 0, tolerance: 0 };
  if (source === null || typeof source !== 'object' || Array.isArray(source)) {
    throw wrong('readback is true, false or such as { delayMs: 200, tolerance: 0.1 }');
  }
  const keys = source as Keys;
  return {
    delayMs: numberOf(keys, 'delayMs') ?? 0,
    tolerance: numberOf(keys, 'tolerance') ?? 0,
  };
}

function numberOf(keys: Keys, key: string): number | undefined {
  const value = keys[key];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw wrong(`${key} ${JSON.stringify(value)} is not a number`);
}

function wrong(message: string): PointError {
  return new PointError('write', message);
}
