import type { Settings } from '../model/site.ts';
import { secretRefText } from './secrets.ts';
import { isSecretRef } from './setting-spec.ts';
import { settingSpecs } from './settings-schema.ts';
import { printable } from './source-file.ts';
import { isMapping } from './yaml-document.ts';

/** One setting as `riser config show --origin` lists it. */
export interface DescribedSetting {
  readonly name: string;
  /** Its value as text; of a secret only where it is. */
  readonly value: string;
  /** "default", "riser.yaml:3", "env RISER_…", "flag --…". */
  readonly origin: string;
}

/** All settings in the order of the schema, secrets masked. */
export function describeSettings(
  settings: Settings,
  origins: ReadonlyMap<string, string>,
): readonly DescribedSetting[] {
  return [...settingSpecs].map(([name, spec]) => {
    let value: unknown = settings;
    for (const key of name.split('.')) value = isMapping(value) ? value[key] : undefined;
    return {
      name,
      value: spec.sensitive === true ? maskedText(value) : plainText(value),
      origin: origins.get(name) ?? 'default',
    };
  });
}

function maskedText(value: unknown): string {
  if (value === null || value === undefined) return '(none)';
  return isSecretRef(value) ? `(secret: ${secretRefText(value)})` : '(secret)';
}

function plainText(value: unknown): string {
  return typeof value === 'string' ? printable(JSON.stringify(value)) : String(value);
}
