import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { InstalledDriver } from '../../src/model/installed-driver.ts';

/** Files of a configuration by their path: text, or bytes. */
export type SiteFiles = Readonly<Record<string, string | Uint8Array>>;

/** Writes a configuration into a new folder; the test removes it at its end. */
export function siteFolder(
  t: { teardown: (fn: () => void) => void },
  files: SiteFiles,
): { readonly dir: string; write(files: SiteFiles): void } {
  const dir = mkdtempSync(join(tmpdir(), 'riser-site-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const write = (more: SiteFiles) => {
    for (const [path, content] of Object.entries(more)) {
      const full = join(dir, path);
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, content);
      chmodSync(full, 0o600);
    }
  };
  write(files);
  return { dir, write };
}

/** A driver that exists only as its schemas: enough for everything that reads a configuration. */
export const registerDriver: InstalledDriver = {
  id: 'register-tcp',
  plugin: 'register',
  displayName: 'Registers over TCP',
  profileKinds: ['register'],
  maxConcurrencyPerLink: 1,
  linkConfigSchema: {
    $id: 'test:link',
    type: 'object',
    required: ['host'],
    additionalProperties: false,
    properties: {
      host: { type: 'string', minLength: 1 },
      port: { type: 'integer', minimum: 1, maximum: 65535 },
      mode: { enum: ['fast', 'careful'] },
      pin: { type: 'object', writeOnly: true },
    },
  },
  deviceConfigSchema: {
    type: 'object',
    required: ['unit'],
    additionalProperties: false,
    properties: { unit: { type: 'integer', minimum: 0, maximum: 255 } },
  },
  pointAddressSchema: {
    type: 'object',
    required: ['addr'],
    additionalProperties: false,
    properties: {
      addr: {
        description: 'a number, or a text in the notation of manuals',
        oneOf: [
          { type: 'integer', minimum: 0, maximum: 65536 },
          { type: 'string', pattern: '^[34]\\d{4,5}$' },
        ],
      },
      table: { enum: ['input', 'holding'] },
      type: { enum: ['int16', 'uint16', 'float32', 'bool', 'string'] },
      bit: { type: 'integer', minimum: 0, maximum: 15 },
      states: { type: 'object', additionalProperties: { type: 'string' } },
      alone: { type: 'boolean' },
      scale: {
        type: 'object',
        required: ['point'],
        additionalProperties: false,
        properties: { point: { type: 'string' } },
      },
    },
  },
};

/** A second driver, of another protocol. */
export const otherDriver: InstalledDriver = {
  ...registerDriver,
  id: 'object-udp',
  plugin: 'object',
  displayName: 'Objects over UDP',
  profileKinds: ['object'],
};

/** A configuration without any fault: two links, three devices, two tenants, a profile, a table. */
export const goodSite = {
  'riser.yaml': `schema: riser/1
gateway:
  id: gw-test
  title: Test
  tenant: acme
outbox:
  maxBytes: 1073741824
  retainHours: 24
uplink:
  url: mqtts://in.example:8883
  ack: cloud
  tls:
    serverName: in.example
http:
  port: 0
log:
  level: debug
`,
  'tenants.d/all.yaml': `schema: riser.tenants/1
tenants:
  - id: acme
    title: Acme
  - id: beta
`,
  'links.d/plant.yaml': `schema: riser.links/1
links:
  - id: plant
    driver: register-tcp
    title: Plant room
    config:
      host: 10.0.0.1
      port: 502
      mode: careful
  - id: roof
    driver: object-udp
    config:
      host: 10.0.0.2
`,
  'devices.d/plant.yaml': `schema: riser.devices/1
devices:
  - id: meter
    tenant: acme
    link: plant
    title: Main meter
    profile: example.meter@1
    address:
      unit: 1
    groups:
      slow:
        intervalMs: 30000
        lane: bulk
    points:
      - id: ac.voltage
        deadband:
          abs: 0.5
      - id: fault
        addr: 4
        class: alarm
        group: fast
        tenant: beta
  - id: pump
    tenant: beta
    link: plant
    address:
      unit: 7
    groups:
      normal:
        intervalMs: 10000
        offsetMs: 500
  - id: spare
    tenant: acme
    link: roof
    enabled: false
    address:
      unit: 9
    points:
      - id: value
        addr: 1
`,
  'profiles.d/meter.yaml': `schema: riser.profile/1
id: example.meter
version: 1.2.0
kind: register
device:
  manufacturer: Example
  models:
    - Meter
  category: meter
sources:
  - title: Manual 1.0
register:
  probe: 1
limits:
  most: 80
defaults:
  table: input
  type: float32
groups:
  fast:
    intervalMs: 1000
  slow:
    intervalMs: 60000
points:
  - id: ac.voltage
    name:
      de: Spannung
      en: Voltage
    addr: 0
    unit: V
    group: fast
    range: [0, 600]
    deadband:
      abs: 0.2
      pct: 1
  - id: energy
    addr: 2
    unit: kW.h
    class: counter
    group: slow
    scale: 0.1
    offset: 1
    counter:
      decrease: suspect
      confirm: 3
  - id: power
    addr: "30005"
    group: fast
    scale:
      point: energy
tests:
  - name: worked example
    raw: "4366"
    expect:
      energy: 1
`,
  'points.d/pump.csv': `device,id,title,class,unit,group,scale,min,max,deadband_abs,table,addr,type
pump,flow,Flow,measurement,Cel,normal,0.1,-40,120,0.2,holding,100,int16
pump,return,Return,measurement,Cel,normal,0.1,-40,120,0.2,holding,0x65,int16
`,
} satisfies SiteFiles;
