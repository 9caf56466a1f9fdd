import type { PointPlace } from './check-points.ts';
import type { CheckPlace } from './check-schema.ts';
import { checkSchema } from './check-schema.ts';
import type { UsableDriver } from './driver-schemas.ts';
import type { FindingList } from './finding-list.ts';
import { pointerSteps } from './json-pointer.ts';
import type { Profile } from './load-profiles.ts';
import { type PointTemplate, recordKeyNames, splitPoint } from './split-point.ts';
import type { Mapping } from './yaml-document.ts';

/** A profile as one driver sees it: done once, however many devices have it. */
export interface PreparedProfile {
  readonly templates: ReadonlyMap<string, PointTemplate>;
  readonly valid: boolean;
}

/** Checks the driver's part of a profile and splits its points. */
export function prepareProfile(
  profile: Profile,
  driver: UsableDriver,
  findings: FindingList,
): PreparedProfile {
  const before = findings.errors;
  const templates = new Map<string, PointTemplate>();
  for (const [name, point] of profile.points) {
    if (name.includes('[*]')) {
      findings.add({
        code: 'E1408',
        at: point.at,
        pointer: `${point.pointer}/id`,
        message: `"${name}" stands for several points; they must be listed one by one`,
      });
      continue;
    }
    const template = splitPoint(point.keys, profile.defaults);
    const inherited = (key: string) =>
      !Object.hasOwn(point.keys, key) && Object.hasOwn(profile.defaults, key)
        ? { at: profile.at, pointer: `/defaults/${key}` }
        : undefined;
    if (checkAddress(template, point, driver, findings, inherited)) templates.set(name, template);
  }
  return { templates, valid: profile.valid && findings.errors === before };
}

/** Checks the address of a point against the schema of its driver. */
export function checkAddress(
  template: PointTemplate,
  place: PointPlace,
  driver: UsableDriver,
  findings: FindingList,
  inherited?: (key: string) => { readonly pointer: string } | undefined,
): boolean {
  const pointer = (within: string) => {
    const [key] = pointerSteps(within);
    const above = key === undefined ? undefined : inherited?.(key);
    return above === undefined
      ? place.pointer + within
      : above.pointer +
          within.slice(within.indexOf('/', 1) === -1 ? within.length : within.indexOf('/', 1));
  };
  const { placeOf } = place;
  const where: CheckPlace = {
    at: place.at,
    pointer,
    alsoKnown: editableKeys,
    ...(placeOf === undefined
      ? {}
      : { place: (within: string) => placeOf(pointerSteps(within)[0] ?? 'id') }),
  };
  return checkSchema(driver.point, template.address, where, findings).length === 0;
}

const editableKeys = [...recordKeyNames].filter((key) => key !== 'title' && key !== 'tenant');

/** Keys of a point that an override adds to those of the profile. */
export function mergedKeys(base: Mapping | undefined, over: Mapping): Mapping {
  return base === undefined ? over : { ...base, ...over };
}
