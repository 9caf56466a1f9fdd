import convict from 'convict';
import { schemaBase } from './schemas/common.ts';
import {
  choice,
  id,
  path,
  type SettingFormat,
  type SettingSpec,
  type SettingsTree,
  secret,
  settingFromText,
  settingJsonSchema,
  settingProblem,
  text,
  toggle,
  whole,
} from './setting-spec.ts';

const mebi = 1024 * 1024;

/**
 * Every scalar setting of the gateway. docs/reference/configuration.md, config/riser.example.yaml
 * and config/schema/riser-1.json are generated from it.
 */
export const settingsTree: SettingsTree = {
  gateway: {
    id: id(
      'RISER_GATEWAY_ID',
      'from the name of the host',
      'Name of this gateway. It is part of every topic, so choose it once.',
    ),
    title: text(
      'RISER_GATEWAY_TITLE',
      '',
      'Name of the gateway for people, such as the building it serves.',
    ),
    tenant: id(
      'RISER_GATEWAY_TENANT',
      'the only tenant',
      'Tenant that the events of the gateway itself belong to. Needed as soon as there are several tenants.',
    ),
  },
  paths: {
    state: path(
      'RISER_PATHS_STATE',
      '/var/lib/riser',
      'Folder for what must survive: the outbox and the last good configuration.',
    ),
    runtime: path(
      'RISER_PATHS_RUNTIME',
      '/run/riser',
      'Folder for sockets. The path of a socket has at most 107 bytes, so keep it short.',
    ),
    plugins: path(
      'RISER_PATHS_PLUGINS',
      '',
      'Folder with further driver plugins; empty: only those of the release.',
      true,
    ),
  },
  outbox: {
    maxBytes: whole(
      'RISER_OUTBOX_MAX_BYTES',
      2048 * mebi,
      [16 * mebi, 1024 * 1024 * mebi],
      'Bytes that the outbox may take on disk. When it is full, the oldest readings are given up, and the cloud is told which.',
    ),
    retainBytes: whole(
      'RISER_OUTBOX_RETAIN_BYTES',
      256 * mebi,
      [0, 1024 * 1024 * mebi],
      'Bytes of confirmed batches that are kept for replay.',
    ),
    retainHours: whole(
      'RISER_OUTBOX_RETAIN_HOURS',
      72,
      [0, 8_760],
      'Hours that confirmed batches are kept for replay, in running time.',
    ),
    maxAgeHours: whole(
      'RISER_OUTBOX_MAX_AGE_HOURS',
      168,
      [1, 87_600],
      'Hours after which unconfirmed batches are given up, in running time.',
    ),
    lingerLiveMs: whole(
      'RISER_OUTBOX_LINGER_LIVE_MS',
      100,
      [0, 10_000],
      'How long live readings wait for company before they are written, milliseconds.',
    ),
    lingerBulkMs: whole(
      'RISER_OUTBOX_LINGER_BULK_MS',
      1_000,
      [0, 60_000],
      'How long bulk readings wait for company before they are written, milliseconds.',
    ),
  },
  uplink: {
    url: text(
      'RISER_UPLINK_URL',
      '',
      'Broker of the cloud, such as mqtts://cloud.example:8883. Empty: readings are kept here. "embedded": the broker inside.',
      {
        pattern:
          /^(embedded|mqtts?:\/\/(\[[0-9A-Fa-f:.]+\]|[^\s/:[\]]+|[^\s/@]+@[^\s/:]+)(:\d{1,5})?\/?)?$/,
        patternText:
          'is no address of a broker: it takes mqtts://host:8883, mqtt://host:1883, embedded, or nothing',
      },
    ),
    username: text('RISER_UPLINK_USERNAME', '', 'User name for the broker.'),
    password: secret(
      'RISER_UPLINK_PASSWORD',
      'Password for the broker, by reference: { credential: mqtt-password }.',
    ),
    protocol: choice(
      'RISER_UPLINK_PROTOCOL',
      ['auto', 'mqtt5', 'mqtt3.1.1'],
      'Version of MQTT. auto: 5, and 3.1.1 when the broker refuses it.',
    ),
    ack: choice(
      'RISER_UPLINK_ACK',
      ['auto', 'broker', 'cloud'],
      'Who confirms readings. cloud: the receiver behind the broker, the only proof from end to end. auto: the cloud as soon as it is heard.',
    ),
    window: whole(
      'RISER_UPLINK_WINDOW',
      16,
      [1, 256],
      'Batches that may be under way at the same time.',
    ),
    keepaliveS: whole(
      'RISER_UPLINK_KEEPALIVE_S',
      30,
      [5, 3_600],
      'Seconds of silence after which the connection is probed.',
    ),
    lastValuesS: whole(
      'RISER_UPLINK_LAST_VALUES_S',
      30,
      [0, 86_400],
      'Seconds between retained last values; 0: none.',
    ),
    tls: {
      ca: path(
        'RISER_UPLINK_TLS_CA',
        '',
        'PEM file of the authority of the broker; empty: those of the system.',
        true,
      ),
      certificate: path(
        'RISER_UPLINK_TLS_CERTIFICATE',
        '',
        'PEM file of the certificate of this gateway, when the broker asks for one.',
        true,
      ),
      key: secret(
        'RISER_UPLINK_TLS_KEY',
        'Private key of the certificate in PEM, by reference: { credential: mqtt-key }.',
      ),
      serverName: text(
        'RISER_UPLINK_TLS_SERVER_NAME',
        '',
        'Name to verify instead of the host of the URL.',
      ),
    },
  },
  broker: {
    enabled: toggle(
      'RISER_BROKER_ENABLED',
      false,
      'Whether the broker inside runs, on loopback only. What it confirms is not durable.',
    ),
    port: whole(
      'RISER_BROKER_PORT',
      1_883,
      [0, 65_535],
      'Loopback port of the broker inside; 0: any free port.',
    ),
  },
  http: {
    port: whole(
      'RISER_HTTP_PORT',
      9_464,
      [-1, 65_535],
      'Loopback port of /livez, /readyz, /metrics and /status.txt; 0: any free port; -1: off.',
    ),
  },
  log: {
    level: {
      ...choice(
        'RISER_LOG_LEVEL',
        ['debug', 'info', 'warn', 'error'],
        'What is logged: this and everything more serious.',
      ),
      default: 'info',
    },
  },
  driver: {
    heapMb: whole(
      'RISER_DRIVER_HEAP_MB',
      192,
      [32, 4_096],
      'Heap that a driver process may use, MiB. Above it, it is ended and started again.',
    ),
    isolation: choice(
      'RISER_DRIVER_ISOLATION',
      ['process', 'inline'],
      'process: each plugin in a process of its own. inline: inside the gateway, for tests and tiny boxes.',
    ),
  },
};

/** All settings by their dotted name, in the order of the schema. */
export const settingSpecs: ReadonlyMap<string, SettingSpec> = new Map(specsOf(settingsTree, ''));

function* specsOf(tree: object, prefix: string): Generator<[string, SettingSpec]> {
  for (const [key, node] of Object.entries(tree) as [string, object][]) {
    if (isSpec(node)) yield [prefix + key, node];
    else yield* specsOf(node, `${prefix}${key}.`);
  }
}

function isSpec(node: object): node is SettingSpec {
  return 'format' in node && typeof node.format === 'string';
}

let formatsKnown = false;

/** An empty set of settings: defaults in place, everything else given by `set`. */
export function createSettings(): convict.Config<unknown> {
  if (!formatsKnown) {
    const formats: readonly SettingFormat[] = [
      'setting-text',
      'setting-whole-number',
      'setting-choice',
      'setting-switch',
      'setting-secret',
    ];
    for (const name of formats) {
      convict.addFormat({
        name,
        validate(value: unknown, spec) {
          const problem = settingProblem(spec as unknown as SettingSpec, value);
          if (problem !== undefined) throw new Error(problem);
        },
      });
    }
    formatsKnown = true;
  }
  // Environment and flags are laid over by load-settings.ts, which also knows where a value is from.
  return convict(settingsTree as unknown as convict.Schema<unknown>, { env: {}, args: [] });
}

/** A setting of the environment or a flag, as the value that its text stands for. */
export function parseSetting(name: string, value: string | number | boolean): unknown {
  const spec = settingSpecs.get(name);
  return spec === undefined || typeof value !== 'string' ? value : settingFromText(spec, value);
}

/** The JSON Schema of riser.yaml and conf.d. */
export const settingsSchema: { readonly [key: string]: unknown } = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: `${schemaBase}:riser-1`,
  title: 'Riser: settings, riser.yaml and the documents of conf.d',
  ...branch(settingsTree),
  properties: {
    schema: {
      description: 'Kind and version of this document; may be left out.',
      const: 'riser/1',
    },
    ...branch(settingsTree).properties,
  },
};

function branch(tree: object): { readonly properties: object; readonly [key: string]: unknown } {
  return {
    // A group whose keys are all commented out is read as nothing.
    type: ['object', 'null'],
    additionalProperties: false,
    properties: Object.fromEntries(
      (Object.entries(tree) as [string, object][]).map(([key, node]) => [
        key,
        isSpec(node) ? settingJsonSchema(node) : branch(node),
      ]),
    ),
  };
}
