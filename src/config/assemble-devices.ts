import type { Device, PollGroup } from '../model/device.ts';
import {
  type DeviceId,
  deviceId,
  type LinkId,
  pointId,
  type TenantId,
  tenantId,
} from '../model/ids.ts';
import type { Lane } from '../model/lane.ts';
import type { Point } from '../model/point.ts';
import { checkGroups, checkPointRules, type PointPlace, placed } from './check-points.ts';
import { checkSchema } from './check-schema.ts';
import { pointOfRow } from './csv-point.ts';
import type { DriverSchemas, UsableDriver } from './driver-schemas.ts';
import type { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import { findProfile, type Profile, type Profiles } from './load-profiles.ts';
import {
  checkAddress,
  mergedKeys,
  type PreparedProfile,
  prepareProfile,
} from './prepare-profile.ts';
import type { Entries, Entry } from './read-documents.ts';
import type { CsvPoints } from './read-points-csv.ts';
import { maxPointsPerDevice, profileReferencePattern } from './schemas/documents.ts';
import { opaque, type PointTemplate, splitPoint } from './split-point.ts';
import { didYouMean } from './suggest.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** A device, and where its parts stand in the files. */
export interface PlacedDevice {
  readonly device: Device;
  readonly entry: Entry;
  readonly enabled: boolean;
  readonly profile: Profile | undefined;
  /** Places of points that do not come from the profile as they are. */
  readonly overrides: ReadonlyMap<string, PointPlace>;
}

/** What devices refer to. */
export interface DeviceSurroundings {
  readonly devices: Entries;
  readonly links: Entries;
  readonly tenants: ReadonlySet<string>;
  readonly tenantsComplete: boolean;
  readonly profiles: Profiles;
  readonly csv: CsvPoints;
  readonly drivers: DriverSchemas;
}

/** Most points of a gateway. */
export const maxPoints = 50_000;

interface Override {
  readonly keys: Mapping;
  readonly place: PointPlace;
}

/** Puts devices, profiles and points.d together; a device that is wrong is left out, with findings. */
export class DeviceAssembly {
  private readonly around: DeviceSurroundings;
  private readonly findings: FindingList;
  private readonly prepared = new Map<string, PreparedProfile>();
  private total = 0;

  constructor(around: DeviceSurroundings, findings: FindingList) {
    this.around = around;
    this.findings = findings;
  }

  /** Devices by the id of their link. */
  assemble(): readonly PlacedDevice[] {
    const { devices, csv, profiles } = this.around;
    const placedDevices: PlacedDevice[] = [];
    for (const entry of devices.byId.values()) {
      const placedDevice = this.device(entry);
      if (placedDevice !== undefined) placedDevices.push(placedDevice);
    }
    for (const [device, rows] of csv.byDevice) {
      const [row] = rows;
      if (row === undefined || devices.byId.has(device) || !devices.complete) continue;
      this.findings.add({
        code: 'E1307',
        at: row.at,
        pointer: `${row.pointer}/device`,
        place: row.placeOf('device'),
        message: `there is no device "${device}"${rows.length > 1 ? ` (${rows.length} lines)` : ''}`,
        ...didYouMean(device, devices.byId.keys()),
      });
    }
    for (const versions of profiles.byId.values()) {
      for (const profile of versions) this.checkUnused(profile);
    }
    return placedDevices;
  }

  private device(entry: Entry): PlacedDevice | undefined {
    const before = this.findings.errors;
    const { data } = entry;
    this.checkTenant(data.tenant, { at: entry.at, pointer: `${entry.pointer}/tenant` });
    const driver = this.driverOf(entry);
    const profile = this.profileOf(entry, driver);
    const ownGroups = isMapping(data.groups) ? data.groups : {};
    checkGroups(entry.at, `${entry.pointer}/groups`, ownGroups, this.findings);
    if (driver === undefined) return undefined;
    if (isMapping(data.address)) {
      checkSchema(
        driver.device,
        data.address,
        { at: entry.at, pointer: (within) => `${entry.pointer}/address${within}` },
        this.findings,
      );
    }
    // Without its profile, half of what is missing in a point would be a consequence.
    if (data.profile !== undefined && profile === undefined) return undefined;
    const prepared = profile === undefined ? undefined : this.prepare(profile, driver);
    const groups = { ...profile?.groups, ...ownGroups };
    const overrides = this.overrides(entry, driver);
    const own = this.ownPoints(overrides, profile, groups, driver);
    const templates = new Map([...(prepared?.templates ?? []), ...own]);
    this.countPoints(entry, templates.size);
    if (prepared?.valid === false || !entry.valid || this.findings.errors !== before) {
      return undefined;
    }
    const id = deviceId(entry.id);
    const tenant = tenantId(String(data.tenant));
    return {
      entry,
      profile,
      enabled: data.enabled !== false,
      overrides: new Map([...overrides].map(([name, { place }]) => [name, place])),
      device: {
        id,
        tenant,
        link: String(data.link) as LinkId,
        ...(typeof data.title === 'string' ? { title: data.title } : {}),
        ...(profile === undefined
          ? {}
          : { profile: { id: profile.id, version: profile.version, hash: profile.hash } }),
        address: opaque(data.address),
        profileOptions: profile?.options ?? {},
        groups: Object.entries(groups).map(([name, group]) => pollGroup(name, group)),
        points: [...templates.values()].map((template) => {
          const other = overrides.get(template.name)?.keys.tenant;
          return pointOf(
            template,
            id,
            other === undefined ? tenant : tenantId(String(other)),
            groups,
          );
        }),
      },
    };
  }

  /** The points that the device has beyond its profile, or otherwise than it. */
  private ownPoints(
    overrides: ReadonlyMap<string, Override>,
    profile: Profile | undefined,
    groups: Mapping,
    driver: UsableDriver,
  ): ReadonlyMap<string, PointTemplate> {
    const templates = new Map<string, PointTemplate>();
    for (const [name, { keys, place }] of overrides) {
      const merged = mergedKeys(profile?.points.get(name)?.keys, keys);
      const template = splitPoint(merged, profile?.defaults ?? {});
      checkPointRules(place, { ...profile?.defaults, ...merged }, groups, this.findings);
      if (keys.tenant !== undefined) this.checkTenant(keys.tenant, placed(place, 'tenant'));
      checkAddress(template, place, driver, this.findings);
      templates.set(name, template);
    }
    return templates;
  }

  private driverOf(entry: Entry): UsableDriver | undefined {
    const { links, drivers } = this.around;
    const name = entry.data.link;
    if (typeof name !== 'string') return undefined;
    const link = links.byId.get(name);
    if (link === undefined) {
      if (links.complete) {
        this.findings.add({
          code: 'E1302',
          at: entry.at,
          pointer: `${entry.pointer}/link`,
          message: `there is no link "${name}"`,
          ...didYouMean(name, links.byId.keys()),
        });
      }
      return undefined;
    }
    const id = link.data.driver;
    return typeof id === 'string' ? drivers.get(id) : undefined;
  }

  private profileOf(entry: Entry, driver: UsableDriver | undefined): Profile | undefined {
    const { profiles } = this.around;
    const reference = entry.data.profile;
    if (typeof reference !== 'string') return undefined;
    const profile = findProfile(profiles, reference);
    const at = { at: entry.at, pointer: `${entry.pointer}/profile` };
    if (profile === undefined) {
      const [id = ''] = reference.split('@');
      const versions = profiles.byId.get(id)?.map((known) => known.version);
      // A reference of the wrong form is told already; one into a broken file cannot be judged.
      if (profiles.complete && new RegExp(profileReferencePattern).test(reference)) {
        this.findings.add({
          code: 'E1303',
          ...at,
          message:
            versions === undefined
              ? `there is no profile "${id}"`
              : `profile "${id}" has no version ${reference.slice(id.length + 1)}; there is ${versions.join(', ')}`,
          ...(versions === undefined ? didYouMean(id, profiles.byId.keys()) : {}),
        });
      }
      return undefined;
    }
    if (profile.deferred !== undefined) this.findings.addAll(profile.deferred);
    if (driver !== undefined && !driver.profileKinds.includes(profile.kind)) {
      this.findings.add({
        code: 'E1305',
        ...at,
        message: `profile "${profile.id}" is of kind ${profile.kind}; driver ${driver.id} of link "${String(entry.data.link)}" understands ${driver.profileKinds.join(', ') || 'none'}`,
      });
      return undefined;
    }
    return profile;
  }

  private prepare(profile: Profile, driver: UsableDriver): PreparedProfile {
    const key = `${driver.id} ${profile.id}@${profile.version}`;
    let prepared = this.prepared.get(key);
    if (prepared === undefined) {
      prepared = prepareProfile(profile, driver, this.findings);
      this.prepared.set(key, prepared);
    }
    return prepared;
  }

  /** A profile that no device has yet is checked as well: somebody is writing it. */
  private checkUnused(profile: Profile): void {
    if (profile.deferred !== undefined) return;
    const key = ` ${profile.id}@${profile.version}`;
    if ([...this.prepared.keys()].some((known) => known.endsWith(key))) return;
    const driver = this.around.drivers.forKind(profile.kind);
    if (driver !== undefined) prepareProfile(profile, driver, this.findings);
  }

  /** Points of points.d and of the device's own document, by name. */
  private overrides(entry: Entry, driver: UsableDriver): ReadonlyMap<string, Override> {
    const overrides = new Map<string, Override>();
    for (const row of this.around.csv.byDevice.get(entry.id) ?? []) {
      const point = pointOfRow(row, driver, this.findings);
      if (point !== undefined) this.addOverride(overrides, point);
    }
    const own = entry.data.points;
    if (!Array.isArray(own)) return overrides;
    for (const [i, keys] of own.entries()) {
      if (!isMapping(keys)) continue;
      const pointer = `${entry.pointer}/points${pointerStep(i)}`;
      this.addOverride(overrides, { keys, place: { at: entry.at, pointer } });
    }
    return overrides;
  }

  private addOverride(overrides: Map<string, Override>, point: Override): void {
    const name = String(point.keys.id);
    const first = overrides.get(name);
    if (first === undefined) {
      overrides.set(name, point);
      return;
    }
    const { at, pointer, placeOf } = first.place;
    const { line } = placeOf === undefined ? at.locate(pointer, 'value') : placeOf('id');
    this.findings.add({
      code: 'E1406',
      ...placed(point.place, 'id'),
      message: `point "${name}" is there already: ${at.name}:${line}`,
    });
  }

  private checkTenant(
    tenant: unknown,
    at: Pick<Parameters<FindingList['add']>[0], 'at' | 'pointer' | 'place'>,
  ): void {
    const { tenants, tenantsComplete } = this.around;
    if (typeof tenant !== 'string') return;
    if (tenants.has(tenant)) return;
    if (tenantsComplete) {
      this.findings.add({
        code: 'E1301',
        ...at,
        message: `there is no tenant "${tenant}"`,
        ...didYouMean(tenant, tenants),
      });
    }
  }

  private countPoints(entry: Entry, count: number): void {
    const before = this.total;
    this.total += count;
    const at = { at: entry.at, pointer: entry.pointer };
    if (count > maxPointsPerDevice) {
      this.findings.add({
        code: 'E1405',
        ...at,
        message: `device "${entry.id}" has ${count} points; ${maxPointsPerDevice} are allowed`,
      });
    } else if (before <= maxPoints && this.total > maxPoints) {
      this.findings.add({
        code: 'E1405',
        ...at,
        message: `with device "${entry.id}" the gateway has more than ${maxPoints} points`,
      });
    } else if (count === 0) {
      this.findings.add({
        code: 'W1411',
        ...at,
        message: `device "${entry.id}" has no points; nothing is read from it`,
        hint: 'name a profile, or add points',
      });
    }
  }
}

function pollGroup(name: string, group: unknown): PollGroup {
  const { intervalMs, offsetMs } = isMapping(group) ? group : {};
  return {
    name,
    intervalMs: Number(intervalMs),
    ...(typeof offsetMs === 'number' ? { offsetMs } : {}),
  };
}

function pointOf(
  template: PointTemplate,
  device: DeviceId,
  tenant: TenantId,
  groups: Mapping,
): Point {
  return {
    id: pointId(device, template.name),
    device,
    tenant,
    lane: laneOf(template, groups),
    ...template,
  };
}

function laneOf(template: PointTemplate, groups: Mapping): Lane {
  if (template.class === 'alarm') return 'alarm';
  const group = template.group === undefined ? undefined : groups[template.group];
  return isMapping(group) && group.lane === 'bulk' ? 'bulk' : 'live';
}
