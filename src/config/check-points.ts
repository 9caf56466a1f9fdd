import type { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import type { Place } from './place.ts';
import type { SourceFile } from './source-file.ts';
import { didYouMean } from './suggest.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** Where a point stands. */
export interface PointPlace {
  readonly at: SourceFile;
  readonly pointer: string;
  /** Place of one of its keys, where the file is no YAML. */
  readonly placeOf?: (key: string) => Place;
}

/** Rules of a point that a schema cannot tell: its group exists, its range is the right way round. */
export function checkPointRules(
  place: PointPlace,
  keys: Mapping,
  groups: Mapping,
  findings: FindingList,
): void {
  const { group, range, id } = keys;
  if (typeof group === 'string' && !Object.hasOwn(groups, group)) {
    findings.add({
      code: 'E1401',
      ...placed(place, 'group'),
      message: `group "${group}" of point "${String(id)}" is not declared under groups`,
      ...didYouMean(group, Object.keys(groups)),
    });
  }
  if (Array.isArray(range) && Number(range[0]) > Number(range[1])) {
    findings.add({
      code: 'E1402',
      ...placed(place, 'range'),
      message: `the range of point "${String(id)}" begins at ${Number(range[0])} and ends at ${Number(range[1])}`,
      hint: 'exchange the two numbers',
    });
  }
}

/** Rules of poll groups that a schema cannot tell. */
export function checkGroups(
  at: SourceFile,
  pointer: string,
  groups: Mapping,
  findings: FindingList,
): void {
  for (const [name, group] of Object.entries(groups)) {
    if (!isMapping(group)) continue;
    const { intervalMs, offsetMs } = group;
    if (typeof intervalMs !== 'number' || typeof offsetMs !== 'number') continue;
    if (offsetMs < intervalMs) continue;
    findings.add({
      code: 'E1407',
      at,
      pointer: `${pointer}${pointerStep(name)}/offsetMs`,
      message: `offsetMs of group "${name}" must be below its intervalMs of ${intervalMs}`,
    });
  }
}

/** Place of one key of a point, for a finding. */
export function placed(
  place: PointPlace,
  key: string,
): { readonly at: SourceFile; readonly pointer: string; readonly place?: Place } {
  return {
    at: place.at,
    pointer: place.pointer + pointerStep(key),
    ...(place.placeOf === undefined ? {} : { place: place.placeOf(key) }),
  };
}
