import { idPattern } from '../../model/ids.ts';

/** A JSON Schema (2020-12). */
export type JsonSchema = { readonly [key: string]: unknown };

/** Begins the name of each published schema. */
export const schemaBase = 'urn:riser:schema';

/** The schema of an id: gateway, tenant, link, device. */
export function idSchema(description: string): JsonSchema {
  return {
    description,
    type: 'string',
    pattern: idPattern.source,
    patternErrorMessage:
      'is no id: it takes lower-case letters, digits and dashes, begins with a letter or digit, and has at most 63 characters',
  };
}

/** A text for people. */
export function titleSchema(description: string): JsonSchema {
  return { description, type: 'string', minLength: 1, maxLength: 200 };
}

/** The first key of every document: which kind it is. */
export function kindSchema(kind: string): JsonSchema {
  return { description: 'Kind and version of this document.', const: kind };
}

/** The part of a document that only the driver understands. */
export function driverPart(description: string): JsonSchema {
  return { description, type: 'object' };
}

/** A document with a list of things: links, devices, tenants. */
export function listDocument(options: {
  readonly kind: string;
  readonly file: string;
  readonly title: string;
  readonly key: string;
  readonly maxItems: number;
  readonly item: JsonSchema;
  readonly defs?: JsonSchema;
}): JsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: `${schemaBase}:${options.file}`,
    title: options.title,
    type: 'object',
    required: ['schema', options.key],
    additionalProperties: false,
    properties: {
      schema: kindSchema(options.kind),
      [options.key]: { type: 'array', maxItems: options.maxItems, items: options.item },
    },
    ...(options.defs === undefined ? {} : { $defs: options.defs }),
  };
}
