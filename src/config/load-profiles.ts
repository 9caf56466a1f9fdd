import { createHash } from 'node:crypto';
import type { Opaque } from '../model/point.ts';
import { checkGroups, checkPointRules } from './check-points.ts';
import { checkSchema } from './check-schema.ts';
import { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import type { Sources } from './read-sources.ts';
import { gatewayKeys, profileSchema } from './schemas/profile-schema.ts';
import type { SourceFile } from './source-file.ts';
import { opaque } from './split-point.ts';
import { didYouMean } from './suggest.ts';
import { isMapping, type Mapping, readYaml } from './yaml-document.ts';

/** Keys of a point and where they stand. */
export interface PlacedPoint {
  readonly keys: Mapping;
  readonly at: SourceFile;
  readonly pointer: string;
}

/** A profile, with what it extends merged in. */
export interface Profile {
  readonly id: string;
  readonly version: string;
  readonly kind: string;
  readonly at: SourceFile;
  readonly valid: boolean;
  /** What is wrong with a profile of the release: told only when somebody uses it. */
  readonly deferred?: FindingList;
  readonly groups: Mapping;
  readonly defaults: Mapping;
  readonly points: ReadonlyMap<string, PlacedPoint>;
  /** The driver's part, as Device.profileOptions takes it. */
  readonly options: { readonly [key: string]: Opaque };
  /** SHA-256 of its content, hexadecimal. */
  readonly hash: string;
}

export interface Profiles {
  /** Newest first within an id. */
  readonly byId: ReadonlyMap<string, readonly Profile[]>;
  readonly complete: boolean;
}

interface Raw {
  readonly at: SourceFile;
  readonly data: Mapping;
  readonly shipped: boolean;
  readonly valid: boolean;
  readonly findings: FindingList;
  readonly id: string;
  readonly version: string;
}

const schema = profileSchema([]);

/** Reads profiles.d and the profiles of the release; of two with one id and version, profiles.d wins. */
export async function loadProfiles(
  own: Sources,
  shipped: Sources,
  findings: FindingList,
): Promise<Profiles> {
  const raws = new Map<string, Raw>();
  let complete = own.complete && shipped.complete;
  for (const [sources, isShipped] of [
    [own, false],
    [shipped, true],
  ] as const) {
    for (const at of sources.files) {
      const sink = isShipped ? new FindingList() : findings;
      const raw = await readRaw(at, isShipped, sink);
      if (raw === undefined) {
        if (isShipped) findings.addAll(sink);
        complete = false;
        continue;
      }
      const key = `${raw.id}@${raw.version}`;
      const first = raws.get(key);
      if (first === undefined) raws.set(key, raw);
      else if (first.shipped === raw.shipped) reportTwice(first, raw, findings);
      else {
        findings.add({
          code: 'W1410',
          at: first.at,
          pointer: '/id',
          message: `profile ${key} replaces the one of the release`,
          hint: 'raise its version if it is another one',
        });
      }
    }
  }
  const byId = new Map<string, Profile[]>();
  for (const raw of raws.values()) {
    const profile = assemble(raw, raws, complete);
    byId.set(raw.id, [...(byId.get(raw.id) ?? []), profile]);
  }
  for (const versions of byId.values()) {
    versions.sort((a, b) => compareVersions(b.version, a.version));
  }
  return { byId, complete };
}

/** Finds `eastron.sdm630`, `eastron.sdm630@1` or `eastron.sdm630@1.0.2`: the newest that fits. */
export function findProfile(profiles: Profiles, reference: string): Profile | undefined {
  const [id = '', version] = reference.split('@');
  return profiles.byId
    .get(id)
    ?.find(
      (profile) =>
        version === undefined ||
        profile.version === version ||
        profile.version.startsWith(`${version}.`),
    );
}

async function readRaw(
  at: SourceFile,
  shipped: boolean,
  findings: FindingList,
): Promise<Raw | undefined> {
  const data = await readYaml(at, findings);
  if (data === undefined) return undefined;
  const before = findings.errors;
  const { id, version, kind } = data;
  // A section with the name of its kind is the driver's.
  const { [String(kind)]: section, ...rest } = data;
  const known = section === undefined || gatewayKeys.has(String(kind)) || !isMapping(section);
  checkSchema(schema, known ? data : rest, { at }, findings);
  if (typeof id !== 'string' || typeof version !== 'string') return undefined;
  return { at, data, shipped, id, version, findings, valid: findings.errors === before };
}

function assemble(raw: Raw, raws: ReadonlyMap<string, Raw>, complete: boolean): Profile {
  const { findings } = raw;
  const before = findings.errors;
  const base = baseOf(raw, raws, complete);
  if (base?.shipped === true && !base.valid && base.findings !== findings) {
    findings.addAll(base.findings);
  }
  const merged: Mapping = { ...base?.data, ...raw.data };
  const groups = { ...mappingAt(base, 'groups'), ...mappingAt(raw, 'groups') };
  const defaults = { ...mappingAt(base, 'defaults'), ...mappingAt(raw, 'defaults') };
  const points = new Map<string, PlacedPoint>();
  if (base !== undefined) addPoints(base, points, undefined);
  addPoints(raw, points, findings);
  if (raw.valid) {
    checkGroups(raw.at, '/groups', groups, findings);
    for (const point of points.values()) {
      if (point.at !== raw.at) continue;
      checkPointRules(point, { ...defaults, ...point.keys }, groups, findings);
    }
    checkTests(raw, points, findings);
  }
  const options = Object.fromEntries(
    Object.entries({ ...merged, defaults })
      .filter(([key]) => !gatewayKeys.has(key))
      .map(([key, value]) => [key, opaque(value)]),
  );
  const content = opaque({
    ...merged,
    groups,
    defaults,
    points: [...points.values()].map((point) => point.keys),
  });
  return {
    id: raw.id,
    version: raw.version,
    kind: String(merged.kind),
    at: raw.at,
    valid:
      raw.valid && (base?.valid ?? raw.data.extends === undefined) && findings.errors === before,
    ...(raw.shipped ? { deferred: findings } : {}),
    groups,
    defaults,
    points,
    options,
    hash: createHash('sha256').update(JSON.stringify(content)).digest('hex'),
  };
}

function baseOf(raw: Raw, raws: ReadonlyMap<string, Raw>, complete: boolean): Raw | undefined {
  const { findings } = raw;
  const reference = raw.data.extends;
  if (typeof reference !== 'string') return undefined;
  const [id, version] = reference.split('@');
  const fitting = [...raws.values()]
    .filter(
      (other) =>
        other !== raw &&
        other.id === id &&
        (version === undefined ||
          other.version === version ||
          other.version.startsWith(`${version}.`)),
    )
    .sort((a, b) => compareVersions(b.version, a.version));
  const base = fitting[0];
  if (base === undefined) {
    if (complete) {
      findings.add({
        code: 'E1303',
        at: raw.at,
        pointer: '/extends',
        message: `there is no profile "${reference}" to extend`,
        ...didYouMean(
          reference,
          [...raws.values()].filter((other) => other !== raw).map((other) => other.id),
        ),
      });
    }
    return undefined;
  }
  if (base.data.extends !== undefined) {
    findings.add({
      code: 'E1403',
      at: raw.at,
      pointer: '/extends',
      message: `"${reference}" itself extends a profile; one level is allowed`,
      hint: `extend ${JSON.stringify(base.data.extends)}`,
    });
    return undefined;
  }
  return base;
}

function addPoints(
  raw: Raw,
  points: Map<string, PlacedPoint>,
  findings: FindingList | undefined,
): void {
  const list = raw.data.points;
  if (!Array.isArray(list)) return;
  for (const [i, keys] of list.entries()) {
    if (!isMapping(keys) || typeof keys.id !== 'string') continue;
    const id = keys.id;
    const pointer = `/points${pointerStep(i)}`;
    const earlier = points.get(id);
    if (earlier !== undefined && earlier.at === raw.at) {
      findings?.add({
        code: 'E1406',
        at: raw.at,
        pointer: `${pointer}/id`,
        message: `point "${id}" is there already, in line ${earlier.at.locate(earlier.pointer, 'value').line}`,
      });
      continue;
    }
    points.set(id, { keys: { ...earlier?.keys, ...keys }, at: raw.at, pointer });
  }
}

function checkTests(
  raw: Raw,
  points: ReadonlyMap<string, PlacedPoint>,
  findings: FindingList,
): void {
  const tests = raw.data.tests;
  if (!Array.isArray(tests)) return;
  for (const [i, test] of tests.entries()) {
    const expected: unknown = isMapping(test) ? test.expect : undefined;
    if (!isMapping(expected)) continue;
    for (const name of Object.keys(expected)) {
      if (points.has(name) || points.has(name.replace(/\[\d+\]/g, '[*]'))) continue;
      findings.add({
        code: 'E1409',
        at: raw.at,
        pointer: `/tests${pointerStep(i)}/expect${pointerStep(name)}`,
        part: 'key',
        message: `the test expects point "${name}", which the profile does not have`,
        ...didYouMean(name, points.keys()),
      });
    }
  }
}

function mappingAt(raw: Raw | undefined, key: string): Mapping {
  const value = raw?.data[key];
  return isMapping(value) ? value : {};
}

function reportTwice(first: Raw, second: Raw, findings: FindingList): void {
  findings.add({
    code: 'E1306',
    at: second.at,
    pointer: '/id',
    message: `profile "${second.id}" ${second.version} is there already: ${first.at.name}:${first.at.locate('/id', 'key').line}`,
    hint: 'change id or version of one of the two',
  });
}

function compareVersions(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return 0;
}
