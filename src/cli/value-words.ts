import { printable, printableValue } from '../http/printable.ts';
import type { LatestValue } from '../model/field.ts';
import type { Reason } from '../model/reason.ts';

/** UCUM codes that a technician would not recognise. */
const unitSymbols: Readonly<Record<string, string>> = {
  Cel: '°C',
  '[degF]': '°F',
  'kW.h': 'kWh',
  'W.h': 'Wh',
  'MW.h': 'MWh',
  'V.A': 'VA',
  'kV.A': 'kVA',
  Ohm: 'Ω',
  m3: 'm³',
  'm3/h': 'm³/h',
  'W/m2': 'W/m²',
  '1': '',
};

/** A unit as it is written on a device. */
export function unitText(unit: string | undefined): string {
  return unit === undefined ? '' : (unitSymbols[unit] ?? printable(unit, 12));
}

/** A value as text; a bad one has none, and is never shown as zero. */
export function valueText({ value, quality }: LatestValue): string {
  return quality === 'bad' ? '-' : printableValue(value);
}

/** Quality in a word or three: an old value is never just "good". */
export function qualityText({ quality, reason, stale }: LatestValue): string {
  const words = quality === 'good' ? 'good' : `${quality}: ${reason ?? 'unknown'}`;
  return stale && quality !== 'bad' ? `${words}, old` : words;
}

/** Name of a point within its device. */
export function nameOf({ point, device }: LatestValue): string {
  const prefix = `${device}/`;
  return printable(point.startsWith(prefix) ? point.slice(prefix.length) : point, 128);
}

/** Values that are not good, together with those of the same reason. */
export function byReason(
  values: readonly LatestValue[],
): ReadonlyMap<Reason, readonly LatestValue[]> {
  return Map.groupBy(
    values.filter(({ quality }) => quality !== 'good'),
    ({ reason }) => reason ?? 'internal',
  );
}
