import type { DeviceConfig, Json } from '#driver';
import { holdsBits } from './address.ts';
import type { Block, Readable } from './planner.ts';

/** What a device does otherwise than the standard; everything is off unless a profile says so. */
export interface Quirks {
  /** Its answers carry another unit id than the question. */
  readonly ignoreUnitId: boolean;
  /** Coils and discrete inputs can only be read from the first one on. */
  readonly firstReadAtZero: boolean;
  /** Exceptions that only mean that there is no value at present. */
  readonly noValueExceptions: ReadonlySet<number>;
}

/** Reads the quirks of a device: its own word goes before that of its profile. */
export function quirksOf(device: DeviceConfig): Quirks {
  const own = objectOf(device.address);
  const profile = objectOf(device.options.profile.link);
  const word = (key: string) => own[key] ?? profile[key];
  const codes = word('exceptionAsNotAvailable');
  return {
    ignoreUnitId: word('ignoreUnitId') === true,
    firstReadAtZero: word('firstReadAtZero') === true,
    noValueExceptions: new Set(
      Array.isArray(codes) ? codes.filter((code) => typeof code === 'number') : [],
    ),
  };
}

/**
 * Reads of bits that begin at the first one (such devices: github.com/influxdata/telegraf/issues/8905);
 * what lies beyond the longest read stays as it was planned, and the device will refuse it.
 */
export function readFromZero<P extends Readable>(
  blocks: readonly Block<P>[],
  maxBits: number,
): Block<P>[] {
  const kept: Block<P>[] = [];
  const merged = new Map<string, Block<P>>();
  for (const block of blocks) {
    const { table, address, count, points } = block;
    const end = address + count;
    const isAlone = points.some((point) => point.readAlone);
    if (!holdsBits(table) || end > maxBits) {
      kept.push(block);
    } else if (isAlone) {
      kept.push({ table, address: 0, count: end, points });
    } else {
      const before = merged.get(table);
      merged.set(table, {
        table,
        address: 0,
        count: Math.max(end, before?.count ?? 0),
        points: [...(before?.points ?? []), ...points],
      });
    }
  }
  return [...kept, ...merged.values()];
}

function objectOf(source: Json | undefined): Readonly<Record<string, Json | undefined>> {
  return source !== null && typeof source === 'object' && !Array.isArray(source)
    ? (source as Readonly<Record<string, Json>>)
    : {};
}
