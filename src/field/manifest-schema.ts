/** JSON Schema of DriverManifest (#driver): what a manifest.json may say, and nothing else. */
const text = { type: 'string', minLength: 1, maxLength: 200 } as const;
const path = { type: 'string', pattern: '^\\./[A-Za-z0-9_./-]{1,200}$' } as const;
const name = { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' } as const;

/** A folder of the machine; the root itself is none. */
const folder = {
  type: 'string',
  pattern: '^(/[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*){2,10}$',
} as const;

const driver = {
  type: 'object',
  additionalProperties: false,
  required: [
    'id',
    'module',
    'displayName',
    'linkConfigSchema',
    'deviceConfigSchema',
    'pointAddressSchema',
    'profileKinds',
    'capabilities',
    'maxConcurrencyPerLink',
  ],
  properties: {
    id: name,
    module: path,
    displayName: text,
    linkConfigSchema: path,
    deviceConfigSchema: path,
    pointAddressSchema: path,
    profileKinds: { type: 'array', items: name, maxItems: 20 },
    capabilities: {
      type: 'array',
      items: { enum: ['discover', 'read', 'subscribe', 'write', 'browse', 'action'] },
    },
    maxConcurrencyPerLink: { type: 'integer', minimum: 1, maximum: 1_000 },
  },
} as const;

const action = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'help', 'argumentsSchema', 'effect', 'link', 'columns'],
  properties: {
    name,
    help: text,
    argumentsSchema: path,
    effect: { enum: ['read-only', 'writing'] },
    link: { enum: ['shared', 'exclusive', 'none'] },
    columns: {
      type: 'array',
      maxItems: 50,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['key', 'title'],
        properties: { key: text, title: text, unit: text },
      },
    },
  },
} as const;

export const manifestSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['apiVersion', 'drivers', 'permissions'],
  properties: {
    $schema: text,
    apiVersion: { const: '1' },
    drivers: { type: 'array', minItems: 1, maxItems: 20, items: driver },
    actions: { type: 'array', maxItems: 50, items: action },
    permissions: {
      type: 'object',
      additionalProperties: false,
      properties: {
        network: {
          type: 'array',
          items: { enum: ['tcp-client', 'udp-client', 'udp-broadcast', 'tcp-server'] },
        },
        serial: { type: 'boolean' },
        nativeAddons: { type: 'boolean' },
        files: { type: 'array', maxItems: 10, items: folder },
      },
    },
  },
} as const;
