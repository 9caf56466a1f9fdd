import type { CounterRule, Deadband, Opaque, Point, PointClass } from '../model/point.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** What a point is, whichever device it belongs to. */
export type PointTemplate = Omit<Point, 'id' | 'device' | 'tenant' | 'lane'>;

/** Keys that are the record's; all others are the driver's. */
export const recordKeyNames: ReadonlySet<string> = new Set([
  'id',
  'tenant',
  'title',
  'name',
  'class',
  'unit',
  'group',
  'scale',
  'offset',
  'range',
  'deadband',
  'counter',
]);

/** Splits the keys of a point, defaults below them, into what the record does and the address. */
export function splitPoint(keys: Mapping, defaults: Mapping): PointTemplate {
  const all: Mapping = { ...defaults, ...keys };
  return {
    name: String(all.id),
    class: (all.class as PointClass | undefined) ?? 'measurement',
    address: addressOf(all),
    ...optional('title', titleOf(all)),
    ...optional('unit', all.unit as string | undefined),
    ...optional('group', all.group as string | undefined),
    ...optional('scale', typeof all.scale === 'number' ? all.scale : undefined),
    ...optional('offset', all.offset as number | undefined),
    ...optional('range', all.range as [number, number] | undefined),
    ...optional('deadband', all.deadband as Deadband | undefined),
    ...optional('counter', all.counter as CounterRule | undefined),
  };
}

/** The driver's keys of a point. A scale that is a group of keys names a register: the driver's, too. */
function addressOf(all: Mapping): Opaque {
  return opaque(
    Object.fromEntries(
      Object.entries(all).filter(
        ([key, value]) => !recordKeyNames.has(key) || (key === 'scale' && isMapping(value)),
      ),
    ),
  );
}

/** English where there is a choice; the file may have other languages for the page. */
function titleOf(all: Mapping): string | undefined {
  if (typeof all.title === 'string') return all.title;
  const name = all.name;
  if (typeof name === 'string') return name;
  if (!isMapping(name)) return undefined;
  return String(name.en ?? Object.values(name)[0]);
}

function optional<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}

/** A copy with the keys in order, so that moving a line in a file changes nothing. */
export function opaque(value: unknown): Opaque {
  if (Array.isArray(value)) return value.map(opaque);
  if (isMapping(value)) {
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        .map((key) => [key, opaque(value[key])]),
    );
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? value
    : null;
}
