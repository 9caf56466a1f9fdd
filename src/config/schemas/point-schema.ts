import { pointNameMaxLength, pointNamePattern } from '../../model/ids.ts';
import { pointClasses } from '../../model/point.ts';
import type { JsonSchema } from './common.ts';

/** Shortest interval of a poll group, milliseconds. */
export const minIntervalMs = 100;
/** Longest interval of a poll group, milliseconds: a week. */
export const maxIntervalMs = 604_800_000;

/** Name of a group or of anything else that a document makes up. */
export const namePattern = '^[A-Za-z][A-Za-z0-9_-]{0,62}$';

/** Poll groups by name. */
export const groupsSchema: JsonSchema = {
  description: 'Poll groups by name: points that are read at one interval.',
  type: 'object',
  maxProperties: 32,
  propertyNames: { pattern: namePattern },
  additionalProperties: {
    type: 'object',
    required: ['intervalMs'],
    additionalProperties: false,
    properties: {
      intervalMs: {
        description: 'Time from one reading to the next, milliseconds.',
        type: 'integer',
        minimum: minIntervalMs,
        maximum: maxIntervalMs,
      },
      offsetMs: {
        description: 'Shifts the group against the others, milliseconds; below the interval.',
        type: 'integer',
        minimum: 0,
        maximum: maxIntervalMs,
      },
      lane: {
        description: 'bulk: these readings travel when the line has room.',
        enum: ['live', 'bulk'],
      },
    },
  },
};

const wildcardNamePattern =
  '^[a-z][A-Za-z0-9]*(\\[(\\d+|\\*)\\])?(\\.[a-z0-9][A-Za-z0-9]*(\\[(\\d+|\\*)\\])?)*$';

function nameSchema(pattern: string): JsonSchema {
  return {
    description: 'Id of the point within its device: dotted words, such as ac.l1.voltage.',
    type: 'string',
    maxLength: pointNameMaxLength,
    pattern,
    patternErrorMessage: 'is no id of a point: it takes dotted words, such as ac.l1.voltage',
  };
}

/** What the record does with a point. Every other key belongs to the driver. */
export const recordKeys: JsonSchema = {
  name: {
    description: 'Title for people: one text, or one for each language.',
    oneOf: [
      { type: 'string', minLength: 1, maxLength: 200 },
      {
        type: 'object',
        minProperties: 1,
        maxProperties: 40,
        propertyNames: { pattern: '^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$' },
        additionalProperties: { type: 'string', minLength: 1, maxLength: 200 },
      },
    ],
  },
  class: {
    description: 'What kind of value it is. An alarm travels before everything else.',
    enum: pointClasses,
    default: 'measurement',
  },
  unit: {
    description: 'Unit as a UCUM code: V, A, W, kW.h, Cel, %.',
    type: 'string',
    pattern: '^[!-~]{1,32}$',
    patternErrorMessage: 'is no UCUM unit: it takes 1 to 32 characters without blanks',
  },
  group: {
    description: 'Poll group; a point without one is read on demand only.',
    type: 'string',
    pattern: namePattern,
    patternErrorMessage: 'is no name of a group',
  },
  scale: {
    description: 'value = raw × scale + offset. A group of keys is for the driver.',
    type: ['number', 'object'],
  },
  offset: { description: 'Added after scaling.', type: 'number' },
  range: {
    description: 'Smallest and largest believable value, after scaling.',
    type: 'array',
    minItems: 2,
    maxItems: 2,
    items: { type: 'number' },
  },
  deadband: {
    description: 'When a reading is worth telling; without it every reading is.',
    type: 'object',
    additionalProperties: false,
    properties: {
      abs: {
        description: 'Smallest change, in the unit of the point.',
        type: 'number',
        minimum: 0,
      },
      pct: {
        description: 'Smallest change, in percent of the last told value.',
        type: 'number',
        minimum: 0,
        maximum: 100,
      },
      minIntervalMs: {
        description: 'Not more often than this, except when the quality changes.',
        type: 'integer',
        minimum: 0,
        maximum: maxIntervalMs,
      },
      maxIntervalMs: {
        description: 'At least this often, even without a change.',
        type: 'integer',
        minimum: 0,
        maximum: maxIntervalMs,
      },
    },
  },
  counter: {
    description: 'What is believed of a counter.',
    type: 'object',
    additionalProperties: false,
    properties: {
      decrease: {
        description: 'suspect: a fall is withheld until it is confirmed.',
        enum: ['suspect', 'accept'],
      },
      zeroAfterNonZero: {
        description: 'suspect: zero after something else is withheld until it is confirmed.',
        enum: ['suspect', 'accept'],
      },
      confirm: {
        description: 'Readings that must agree before a suspect value is believed.',
        type: 'integer',
        minimum: 1,
        maximum: 100,
      },
      tolerancePct: {
        description: 'Falls of less than this share of the value are ignored, percent.',
        type: 'number',
        minimum: 0,
        maximum: 100,
      },
      rollover: {
        description: 'First value that the counter cannot show: 65536 for 16 bits.',
        type: 'number',
        exclusiveMinimum: 0,
      },
      resets: {
        description: 'daily: it falls to zero each night, and that is believed at once.',
        enum: ['daily'],
      },
    },
  },
};

/** A point of a profile. Keys that are not listed belong to the driver, which checks them. */
export const profilePointSchema: JsonSchema = {
  type: 'object',
  required: ['id'],
  properties: { id: nameSchema(wildcardNamePattern), ...recordKeys },
};

/** A point of a device: new, or keys that replace those of the profile. */
export const devicePointSchema: JsonSchema = {
  type: 'object',
  required: ['id'],
  properties: {
    id: nameSchema(pointNamePattern.source),
    tenant: {
      description: 'Tenant of this point, when it is not the tenant of the device.',
      type: 'string',
    },
    ...recordKeys,
  },
};

/** What points of a profile have in common; a point may say otherwise. */
export const pointDefaultsSchema: JsonSchema = {
  description: 'Keys that all points share. Keys that are not listed belong to the driver.',
  type: 'object',
  properties: recordKeys,
  not: { required: ['id'] },
};
