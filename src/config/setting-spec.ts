import { idPattern } from '../model/ids.ts';
import type { SecretRef, Settings } from '../model/site.ts';
import { isMapping } from './yaml-document.ts';

/** One scalar setting, in the form of convict; `kind` and the limits are ours. */
export interface SettingSpec {
  readonly doc: string;
  readonly format: SettingFormat;
  readonly default: string | number | boolean | null;
  readonly env: string;
  readonly sensitive?: true;
  readonly nullable?: true;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly values?: readonly string[];
  readonly pattern?: RegExp;
  readonly patternText?: string;
  /** What is said of the default where the number alone says little. */
  readonly defaultText?: string;
}

/** What a value of a setting looks like. */
export type SettingFormat =
  | 'setting-text'
  | 'setting-whole-number'
  | 'setting-choice'
  | 'setting-switch'
  | 'setting-secret';

/** A spec for every scalar of the settings, so that none can be forgotten. */
export type SettingsTree<Part = Settings> = {
  readonly [Key in keyof Part]: Part[Key] extends string | number | boolean | SecretRef | null
    ? SettingSpec
    : SettingsTree<Part[Key]>;
};

/** Most characters that a text may have. */
const textLimit = 4_096;

const secretForms = [
  {
    key: 'credential',
    pattern: /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/,
    text: 'name of a systemd credential',
  },
  { key: 'file', pattern: /^\//, text: 'absolute path of a file with mode 0600' },
  {
    key: 'env',
    pattern: /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    text: 'name of an environment variable',
  },
] as const;

/** Why a value cannot be this setting; undefined when it can. */
export function settingProblem(spec: SettingSpec, value: unknown): string | undefined {
  if (value === null && spec.nullable === true) return undefined;
  switch (spec.format) {
    case 'setting-text':
      if (typeof value !== 'string') return 'must be text';
      if (value.length > textLimit) return `must have at most ${textLimit} characters`;
      return spec.pattern === undefined || spec.pattern.test(value) ? undefined : spec.patternText;
    case 'setting-whole-number': {
      if (typeof value !== 'number' || !Number.isSafeInteger(value))
        return 'must be a whole number';
      const low = spec.minimum ?? 0;
      const high = spec.maximum ?? Number.MAX_SAFE_INTEGER;
      return value < low || value > high ? `must be from ${low} to ${high}` : undefined;
    }
    case 'setting-choice':
      return spec.values?.includes(String(value)) === true
        ? undefined
        : `must be one of ${spec.values?.join(', ')}`;
    case 'setting-switch':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'setting-secret':
      return isSecretRef(value)
        ? undefined
        : 'must be a reference: { credential: name }, { file: path } or { env: NAME }';
  }
}

/** Whether a value is a secret by reference. */
export function isSecretRef(value: unknown): value is SecretRef {
  if (!isMapping(value) || Object.keys(value).length !== 1) return false;
  return secretForms.some(({ key, pattern }) => {
    const name = value[key];
    return typeof name === 'string' && pattern.test(name);
  });
}

/** A text of the environment or a flag as the value it stands for; what it cannot stand for stays text. */
export function settingFromText(spec: SettingSpec, text: string): unknown {
  const trimmed = text.trim();
  switch (spec.format) {
    case 'setting-whole-number':
      // Number('') is 0 and parseInt('12abc') is 12: both would be a wrong value without a word.
      return /^-?\d+$/.test(trimmed) ? Number(trimmed) : text;
    case 'setting-switch':
      if (/^(true|1|yes|on)$/i.test(trimmed)) return true;
      return /^(false|0|no|off)$/i.test(trimmed) ? false : text;
    case 'setting-text':
    case 'setting-choice':
    case 'setting-secret':
      return text;
  }
}

/** The JSON Schema of a setting, for the files and for editors. */
export function settingJsonSchema(spec: SettingSpec): { readonly [key: string]: unknown } {
  const common = {
    description: spec.doc,
    ...(spec.default === null || spec.defaultText !== undefined ? {} : { default: spec.default }),
  };
  switch (spec.format) {
    case 'setting-text':
      return {
        ...common,
        type: 'string',
        maxLength: textLimit,
        ...(spec.pattern === undefined
          ? {}
          : { pattern: spec.pattern.source, patternErrorMessage: spec.patternText }),
      };
    case 'setting-whole-number':
      return {
        ...common,
        type: 'integer',
        minimum: spec.minimum ?? 0,
        maximum: spec.maximum ?? Number.MAX_SAFE_INTEGER,
      };
    case 'setting-choice':
      return { ...common, enum: spec.values };
    case 'setting-switch':
      return { ...common, type: 'boolean' };
    case 'setting-secret':
      return {
        ...common,
        type: ['object', 'null'],
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: false,
        properties: Object.fromEntries(
          secretForms.map(({ key, pattern, text }) => [
            key,
            {
              description: text,
              type: 'string',
              pattern: pattern.source,
              patternErrorMessage: `is no ${text}`,
            },
          ]),
        ),
      };
  }
}

/** A setting with free text. */
export function text(
  env: string,
  standard: string,
  doc: string,
  more: Partial<SettingSpec> = {},
): SettingSpec {
  return { doc, format: 'setting-text', default: standard, env, ...more };
}

/** A setting that is an id: one level of a topic. */
export function id(env: string, defaultText: string, doc: string): SettingSpec {
  return text(env, '', doc, {
    pattern: idPattern,
    patternText:
      'is no id: it takes lower-case letters, digits and dashes, begins with a letter or digit, and has at most 63 characters',
    defaultText,
  });
}

/** A setting that is an absolute path; `optional` allows none. */
export function path(env: string, standard: string, doc: string, optional = false): SettingSpec {
  return text(env, standard, doc, {
    pattern: optional ? /^(\/.*)?$/ : /^\//,
    patternText: 'is no absolute path: it must begin with /',
  });
}

/** A setting that is a whole number within limits. */
export function whole(
  env: string,
  standard: number,
  limits: readonly [number, number],
  doc: string,
): SettingSpec {
  const [minimum, maximum] = limits;
  return { doc, format: 'setting-whole-number', default: standard, env, minimum, maximum };
}

/** A setting that is one of a few words. */
export function choice(
  env: string,
  values: readonly [string, ...string[]],
  doc: string,
): SettingSpec {
  return { doc, format: 'setting-choice', default: values[0], env, values };
}

/** A setting that is on or off. */
export function toggle(env: string, standard: boolean, doc: string): SettingSpec {
  return { doc, format: 'setting-switch', default: standard, env };
}

/** A secret, by reference. The variable holds the secret itself and makes the reference. */
export function secret(env: string, doc: string): SettingSpec {
  return { doc, format: 'setting-secret', default: null, env, nullable: true, sensitive: true };
}
