import { type JsonSchema, kindSchema, schemaBase } from './common.ts';
import { maxPointsPerDevice } from './documents.ts';
import { groupsSchema, pointDefaultsSchema, profilePointSchema } from './point-schema.ts';

/** What a profile is: these keys are the gateway's. All others but the points go to the driver. */
export const gatewayKeys: ReadonlySet<string> = new Set([
  'schema',
  'id',
  'version',
  'extends',
  'device',
  'sources',
  'groups',
  'points',
  'tests',
]);

/** Keys of the driver that any kind of profile may have; the driver checks what is inside. */
const driverKeys: JsonSchema = {
  params: { description: 'Values that an instance may set.', type: 'object' },
  link: { description: 'Timing and settings that the device needs on its link.', type: 'object' },
  limits: { description: 'What one request may ask for.', type: 'object' },
  holes: { description: 'Addresses that must not be touched.', type: 'array' },
  probe: { description: 'How to see that this is the device.', type: 'object' },
  require: { description: 'What the device must have.', type: 'array' },
  offline: { description: 'When silence is no fault.', type: 'object' },
  auth: { description: 'How to log in; secrets by reference.', type: 'object' },
  requests: { description: 'Requests by name.', type: 'object' },
  ok: { description: 'How a good answer looks.', type: 'object' },
  time: { description: 'Where an answer says its time.', type: 'object' },
};

/**
 * A document of profiles.d. A profile may also have one section with the name of its kind; `kinds`
 * lists those names for editors.
 */
export function profileSchema(kinds: readonly string[]): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `${schemaBase}:profile-1`,
    title: 'Riser: profile of a device model, a document of profiles.d',
    type: 'object',
    required: ['schema', 'id', 'version', 'kind', 'device', 'sources', 'tests'],
    additionalProperties: false,
    properties: {
      schema: kindSchema('riser.profile/1'),
      id: {
        description: 'Maker and model: eastron.sdm630.',
        type: 'string',
        maxLength: 128,
        pattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$',
        patternErrorMessage:
          'is no id of a profile: it takes dotted lower-case words, such as eastron.sdm630',
      },
      version: {
        description: 'Another meaning or unit of a point, or a point less: the first number rises.',
        type: 'string',
        pattern: '^\\d{1,6}\\.\\d{1,6}\\.\\d{1,6}$',
        patternErrorMessage: 'is no version: it takes three numbers, such as 1.0.0',
      },
      kind: {
        description: 'Which drivers understand it.',
        type: 'string',
        pattern: '^[a-z][a-z0-9-]{0,62}$',
        patternErrorMessage:
          'is no kind of profile: it takes lower-case letters, digits and dashes',
      },
      extends: {
        description: 'A profile that this one takes over; it must not itself extend another.',
        type: 'string',
      },
      device: {
        type: 'object',
        required: ['manufacturer', 'models', 'category'],
        additionalProperties: false,
        properties: {
          manufacturer: { type: 'string', minLength: 1, maxLength: 200 },
          models: {
            type: 'array',
            minItems: 1,
            maxItems: 200,
            items: { type: 'string', minLength: 1, maxLength: 200 },
          },
          category: { type: 'string', minLength: 1, maxLength: 100 },
          firmware: { type: 'string', maxLength: 100 },
        },
      },
      sources: {
        description: 'Where the addresses come from: a document with its version, or a capture.',
        type: 'array',
        minItems: 1,
        maxItems: 50,
        items: {
          type: 'object',
          required: ['title'],
          additionalProperties: false,
          properties: {
            title: { type: 'string', minLength: 1 },
            url: { type: 'string' },
            ref: { type: 'string' },
            licence: { type: 'string' },
          },
        },
      },
      ...driverKeys,
      defaults: pointDefaultsSchema,
      groups: groupsSchema,
      points: {
        type: 'array',
        minItems: 1,
        maxItems: maxPointsPerDevice,
        items: profilePointSchema,
      },
      tests: {
        description: 'Raw answers and the values that must come out of them.',
        type: 'array',
        minItems: 1,
        maxItems: 200,
        items: {
          type: 'object',
          required: ['name'],
          additionalProperties: false,
          properties: {
            name: { description: 'What is tried.', type: 'string', minLength: 1, maxLength: 500 },
            raw: { description: 'Answers of the device, in the notation of the driver.' },
            fixture: { description: 'File with answers of the device.', type: 'string' },
            expect: { description: 'Value of each point; null: none.', type: 'object' },
            fits: { description: 'false: the profile must refuse this device.', type: 'boolean' },
          },
        },
      },
      ...Object.fromEntries(
        kinds.map((kind) => [kind, { description: `Only with kind ${kind}.`, type: 'object' }]),
      ),
    },
    if: { required: ['extends'] },
    else: { required: ['points'] },
  };
}
