import { driverPart, idSchema, type JsonSchema, listDocument, titleSchema } from './common.ts';
import { devicePointSchema, groupsSchema } from './point-schema.ts';

/** Most points that one device may have. */
export const maxPointsPerDevice = 5_000;

/** A profile by its id, maybe with the beginning of its version. */
export const profileReferencePattern = '^[a-z0-9-]+(\\.[a-z0-9-]+)+(@\\d+(\\.\\d+){0,2})?$';

/** A document of tenants.d. */
export const tenantsSchema: JsonSchema = listDocument({
  kind: 'riser.tenants/1',
  file: 'tenants-1',
  title: 'Riser: tenants, a document of tenants.d',
  key: 'tenants',
  maxItems: 1_000,
  item: {
    type: 'object',
    required: ['id'],
    additionalProperties: false,
    properties: {
      id: idSchema('Id of the customer who owns data; a part of every topic.'),
      title: titleSchema('Name for people.'),
    },
  },
});

/** A document of links.d. */
export const linksSchema: JsonSchema = listDocument({
  kind: 'riser.links/1',
  file: 'links-1',
  title: 'Riser: links, a document of links.d',
  key: 'links',
  maxItems: 1_000,
  item: {
    type: 'object',
    required: ['id', 'driver', 'config'],
    additionalProperties: false,
    properties: {
      id: idSchema('Id of one shared medium with one conversation: a TCP endpoint, a serial line.'),
      driver: {
        description: 'Id of the driver that speaks on it; "riser status" lists those installed.',
        type: 'string',
        minLength: 1,
        maxLength: 63,
      },
      title: titleSchema('Name for people.'),
      config: driverPart('Endpoint and timing; the reference of the driver lists the keys.'),
    },
  },
});

/** A document of devices.d. */
export const devicesSchema: JsonSchema = listDocument({
  kind: 'riser.devices/1',
  file: 'devices-1',
  title: 'Riser: devices, a document of devices.d',
  key: 'devices',
  maxItems: 5_000,
  item: {
    type: 'object',
    required: ['id', 'tenant', 'link', 'address'],
    additionalProperties: false,
    properties: {
      id: idSchema('Id of the device. It outlives the hardware: a spare part keeps it.'),
      tenant: { description: 'Id of the tenant who owns its data.', type: 'string' },
      link: { description: 'Id of the link that it is on.', type: 'string' },
      title: titleSchema('Name for people.'),
      profile: {
        description: 'Profile that describes its points: eastron.sdm630, or eastron.sdm630@1.',
        type: 'string',
        pattern: profileReferencePattern,
        patternErrorMessage:
          'is no profile: it takes dotted words and maybe a version, such as eastron.sdm630@1',
      },
      address: driverPart(
        'How the device is addressed on its link; the reference of the driver lists the keys.',
      ),
      groups: groupsSchema,
      points: {
        description: 'More points, or other values for keys of the points of the profile.',
        type: 'array',
        maxItems: maxPointsPerDevice,
        items: { $ref: '#/$defs/point' },
      },
      enabled: {
        description: 'false: checked, but not read.',
        type: 'boolean',
        default: true,
      },
    },
  },
  defs: { point: devicePointSchema },
});
