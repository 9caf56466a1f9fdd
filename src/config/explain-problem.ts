import type { ErrorObject } from 'ajv';
import type { FindingCode } from './finding-codes.ts';
import { pointerStep } from './json-pointer.ts';
import { withoutSecrets } from './source-file.ts';
import { didYouMean } from './suggest.ts';

/** What is wrong with one value. */
export interface Problem {
  readonly code: FindingCode;
  /** Pointer within what was checked. */
  readonly pointer: string;
  readonly part: 'key' | 'value';
  readonly message: string;
  readonly hint?: string;
}

interface Facts {
  readonly missingProperty?: string;
  readonly additionalProperty?: string;
  readonly unevaluatedProperty?: string;
  readonly propertyName?: string;
  readonly allowedValues?: readonly unknown[];
  readonly allowedValue?: unknown;
  readonly type?: string | readonly string[];
  readonly limit?: number;
  readonly comparison?: string;
}

/** Turns an error of the schema checker into words that a technician understands. */
export function explainProblem(error: ErrorObject, alsoKnown: readonly string[]): Problem {
  const facts = error.params as Facts;
  const parent: object = error.parentSchema ?? {};
  const pointer = error.instancePath;
  const at = { pointer, part: 'value' } as const;
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = facts.additionalProperty ?? facts.unevaluatedProperty ?? '';
      const known = [...Object.keys(propertiesOf(parent)), ...alsoKnown];
      const given: object = Object(error.data);
      return {
        code: 'E1201',
        pointer: pointer + pointerStep(key),
        part: 'key',
        message: `unknown key ${show(key)}`,
        ...didYouMean(
          key,
          known.filter((name) => !Object.hasOwn(given, name)),
        ),
      };
    }
    case 'required':
      return {
        ...at,
        code: 'E1202',
        message: `the key ${show(facts.missingProperty)} is missing`,
      };
    case 'enum':
    case 'const': {
      const allowed =
        error.keyword === 'const' ? [facts.allowedValue] : (facts.allowedValues ?? []);
      return {
        ...at,
        code: 'E1203',
        message: `${show(error.data)} is not ${oneOf(allowed)}`,
        ...(typeof error.data === 'string' ? didYouMean(error.data, allowed.map(String)) : {}),
      };
    }
    case 'type':
      return { ...at, code: 'E1204', ...wrongType(error.data, facts.type ?? '') };
    case 'pattern':
      return {
        ...at,
        code: 'E1205',
        message: `${show(error.data)} ${text(parent, 'patternErrorMessage') ?? `does not have the form ${text(parent, 'pattern')}`}`,
      };
    case 'minLength':
    case 'maxLength':
      return {
        ...at,
        code: 'E1205',
        message: `the text must have ${error.keyword === 'minLength' ? 'at least' : 'at most'} ${facts.limit} characters`,
      };
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return {
        ...at,
        code: 'E1206',
        message: `${show(error.data)} is out of limits: it must be ${limits(parent)}`,
      };
    case 'minItems':
    case 'maxItems':
    case 'minProperties':
    case 'maxProperties':
      return {
        ...at,
        code: 'E1207',
        message: `there must be ${error.keyword.startsWith('min') ? 'at least' : 'at most'} ${facts.limit} entries`,
      };
    case 'propertyNames':
      return {
        code: 'E1205',
        pointer: pointer + pointerStep(facts.propertyName ?? ''),
        part: 'key',
        message: `${show(facts.propertyName)} cannot be used as a name here: it takes letters, digits and dashes`,
      };
    case 'oneOf':
    case 'anyOf':
      return {
        ...at,
        code: 'E1208',
        message: `${show(error.data)} is not possible here: ${text(parent, 'description') ?? 'see the reference of this key'}`,
      };
    default:
      return {
        ...at,
        code: 'E1208',
        message: `${show(error.data)} ${error.message ?? 'is not allowed'}`,
      };
  }
}

const typeWords: Readonly<Record<string, string>> = {
  integer: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  object: 'a group of keys',
  array: 'a list',
  null: 'nothing',
};

function wrongType(
  data: unknown,
  type: string | readonly string[],
): { message: string; hint?: string } {
  const types = typeof type === 'string' ? [type] : type;
  const wanted = types.map((name) => typeWords[name] ?? name).join(' or ');
  const message = `must be ${wanted}, not ${describe(data)}`;
  const numeric = types.includes('integer') || types.includes('number');
  if (numeric && typeof data === 'string' && /^-?\d+(\.\d+)?$/.test(data)) {
    return { message, hint: 'remove the quotes' };
  }
  if (types.includes('string') && (typeof data === 'number' || typeof data === 'boolean')) {
    return { message, hint: 'put it in quotes' };
  }
  if (types.includes('boolean') && typeof data === 'string' && /^(yes|no|on|off)$/i.test(data)) {
    return { message, hint: `write ${/^(yes|on)$/i.test(data)}` };
  }
  return { message };
}

function describe(data: unknown): string {
  if (data === null) return 'nothing';
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a group of keys';
  return typeof data === 'string' ? `text ${show(data)}` : show(data);
}

/** A value as a person may see it: short, on one line. */
function show(value: unknown): string {
  const full = withoutSecrets((JSON.stringify(value) ?? 'nothing').slice(0, 200));
  return full.length > 60 ? `${full.slice(0, 57)}…` : full;
}

function oneOf(allowed: readonly unknown[]): string {
  const words = allowed
    .slice(0, 20)
    .map((value) => (typeof value === 'string' ? value : show(value)));
  const more = allowed.length > words.length ? ', …' : '';
  return words.length === 1 ? (words[0] ?? '') : `one of ${words.join(', ')}${more}`;
}

function limits(parent: object): string {
  const low = number(parent, 'minimum');
  const high = number(parent, 'maximum');
  const above = number(parent, 'exclusiveMinimum');
  const below = number(parent, 'exclusiveMaximum');
  const parts = [
    low !== undefined && high !== undefined ? `from ${low} to ${high}` : undefined,
    low !== undefined && high === undefined ? `at least ${low}` : undefined,
    high !== undefined && low === undefined ? `at most ${high}` : undefined,
    above === undefined ? undefined : `above ${above}`,
    below === undefined ? undefined : `below ${below}`,
  ];
  return parts.filter((part) => part !== undefined).join(' and ');
}

function propertiesOf(schema: object): object {
  return 'properties' in schema &&
    typeof schema.properties === 'object' &&
    schema.properties !== null
    ? schema.properties
    : {};
}

function text(schema: object, key: string): string | undefined {
  const value: unknown = Reflect.get(schema, key);
  return typeof value === 'string' ? value : undefined;
}

function number(schema: object, key: string): number | undefined {
  const value: unknown = Reflect.get(schema, key);
  return typeof value === 'number' ? value : undefined;
}
