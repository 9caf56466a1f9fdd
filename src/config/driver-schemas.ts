import type { InstalledDriver } from '../model/installed-driver.ts';
import type { Opaque } from '../model/point.ts';
import { compileSchema } from './check-schema.ts';
import type { FindingList } from './finding-list.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** A driver whose schemas can be used. */
export interface UsableDriver {
  readonly id: string;
  readonly profileKinds: readonly string[];
  readonly link: object;
  readonly device: object;
  readonly point: object;
  /** Keys that an address of this driver knows. */
  readonly pointKeys: Mapping;
}

/** The installed drivers by their id, made ready when they are first asked for. */
export class DriverSchemas {
  private readonly drivers: ReadonlyMap<string, InstalledDriver>;
  private readonly findings: FindingList;
  private readonly ready = new Map<string, UsableDriver | undefined>();

  constructor(drivers: readonly InstalledDriver[], findings: FindingList) {
    this.drivers = new Map(drivers.map((driver) => [driver.id, driver]));
    this.findings = findings;
  }

  ids(): readonly string[] {
    return [...this.drivers.keys()];
  }

  has(id: string): boolean {
    return this.drivers.has(id);
  }

  /** Undefined when it is not installed, or its schemas cannot be used: then a finding says so. */
  get(id: string): UsableDriver | undefined {
    if (!this.ready.has(id)) this.ready.set(id, this.prepare(id));
    return this.ready.get(id);
  }

  /** A driver that understands a kind of profile. */
  forKind(kind: string): UsableDriver | undefined {
    for (const driver of this.drivers.values()) {
      if (driver.profileKinds.includes(kind)) return this.get(driver.id);
    }
    return undefined;
  }

  /** All keys that a point may have for any of the drivers. */
  allPointKeys(): Set<string> {
    const keys = new Set<string>();
    for (const driver of this.drivers.values()) {
      for (const key of Object.keys(propertiesOf(driver.pointAddressSchema))) keys.add(key);
    }
    return keys;
  }

  private prepare(id: string): UsableDriver | undefined {
    const driver = this.drivers.get(id);
    if (driver === undefined) return undefined;
    try {
      return {
        id,
        profileKinds: driver.profileKinds,
        link: usable(driver.linkConfigSchema),
        device: usable(driver.deviceConfigSchema),
        point: usable(driver.pointAddressSchema),
        pointKeys: propertiesOf(driver.pointAddressSchema),
      };
    } catch (error) {
      this.findings.add({
        code: 'E1704',
        at: `plugin ${driver.plugin}`,
        message: `a schema of driver "${id}" cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'reinstall the plugin',
      });
      return undefined;
    }
  }
}

function usable(schema: Opaque): object {
  if (!isMapping(schema)) throw new TypeError('it is no group of keys');
  compileSchema(schema);
  return schema;
}

function propertiesOf(schema: Opaque): Mapping {
  const properties = isMapping(schema) ? schema.properties : undefined;
  return isMapping(properties) ? properties : {};
}
