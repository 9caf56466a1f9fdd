import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findingCodes } from '../src/config/finding-codes.ts';
import { devicesSchema, linksSchema, tenantsSchema } from '../src/config/schemas/documents.ts';
import { profileSchema } from '../src/config/schemas/profile-schema.ts';
import type { SettingSpec } from '../src/config/setting-spec.ts';
import { settingSpecs, settingsSchema } from '../src/config/settings-schema.ts';

const root = join(import.meta.dirname, '..');

/** Files that are made from source, by their path in the repository; a test compares them. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['config/riser.example.yaml', exampleYaml()],
    ['config/schema/riser-1.json', json(settingsSchema)],
    ['config/schema/links-1.json', json(linksSchema)],
    ['config/schema/devices-1.json', json(devicesSchema)],
    ['config/schema/tenants-1.json', json(tenantsSchema)],
    ['config/schema/profile-1.json', json(profileSchema(profileKinds()))],
    ['docs/reference/configuration.md', settingsReference()],
    ['docs/reference/config-codes.md', codesReference()],
  ]);
}

/** Kinds of profile that the plugins of this repository understand. */
function profileKinds(): readonly string[] {
  const kinds = new Set<string>();
  for (const plugin of readdirSync(join(root, 'plugins')).sort()) {
    const path = join(root, 'plugins', plugin, 'manifest.json');
    if (!existsSync(path)) continue;
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly drivers?: readonly { readonly profileKinds?: readonly string[] }[];
    };
    for (const driver of manifest.drivers ?? []) {
      for (const kind of driver.profileKinds ?? []) kinds.add(kind);
    }
  }
  return [...kinds].sort();
}

function exampleYaml(): string {
  const lines = [
    '# yaml-language-server: $schema=./schema/riser-1.json',
    '# Settings of Riser. Copy to /etc/riser/riser.yaml and take the # away where you change something.',
    '# What is commented out is the default. Links, devices and points have files of their own; see',
    '# docs/guides/configuration.md. Made by tools/generate.ts from src/config/settings-schema.ts.',
    'schema: riser/1',
  ];
  let groups: readonly string[] = [];
  for (const [name, spec] of settingSpecs) {
    const path = name.split('.');
    const above = path.slice(0, -1);
    for (const [depth, group] of above.entries()) {
      if (
        groups[depth] === group &&
        groups.slice(0, depth).join() === above.slice(0, depth).join()
      ) {
        continue;
      }
      if (depth === 0) lines.push('');
      lines.push(`# ${'  '.repeat(depth)}${group}:`);
    }
    groups = above;
    const indent = '  '.repeat(above.length);
    lines.push(`# ${indent}# ${spec.doc}`);
    lines.push(`# ${indent}${path.at(-1)}: ${exampleOf(spec)}`);
  }
  return `${lines.join('\n')}\n`;
}

function exampleOf(spec: SettingSpec): string {
  if (spec.default === null) return 'null';
  if (spec.defaultText !== undefined) return `my-id   # default: ${spec.defaultText}`;
  return typeof spec.default === 'string' ? JSON.stringify(spec.default) : String(spec.default);
}

function settingsReference(): string {
  const lines = [
    '# Settings',
    '',
    '<!-- Made by tools/generate.ts from src/config/settings-schema.ts; do not edit. -->',
    '',
    'Scalar settings of the daemon. A value is taken from, the later the stronger: default, `riser.yaml`,',
    '`conf.d/*.yaml` in the order of their names, environment, command line. `riser config show --origin`',
    'says where each one comes from. Links, devices, points, profiles and tenants are described in',
    '[the guide](../guides/configuration.md).',
    '',
    'A variable of a secret holds the secret itself; in files a secret is always a reference:',
    '`{ credential: name }`, `{ file: /path }` or `{ env: NAME }`.',
  ];
  let group = '';
  for (const [name, spec] of settingSpecs) {
    const [first = ''] = name.split('.');
    if (first !== group) {
      group = first;
      lines.push(
        '',
        `## ${group}`,
        '',
        '| setting | value | default | environment |',
        '|---|---|---|---|',
      );
    }
    lines.push(
      `| \`${name}\`<br>${cell(spec.doc)} | ${valueText(spec)} | ${defaultText(spec)} | \`${spec.env}\` |`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function valueText(spec: SettingSpec): string {
  switch (spec.format) {
    case 'setting-text':
      return 'text';
    case 'setting-whole-number':
      return `${spec.minimum ?? 0} to ${spec.maximum ?? Number.MAX_SAFE_INTEGER}`;
    case 'setting-choice':
      return (spec.values ?? []).map((value) => `\`${value}\``).join(', ');
    case 'setting-switch':
      return '`true`, `false`';
    case 'setting-secret':
      return 'secret by reference';
  }
}

function defaultText(spec: SettingSpec): string {
  if (spec.defaultText !== undefined) return spec.defaultText;
  if (spec.default === null || spec.default === '') return 'none';
  return `\`${spec.default}\``;
}

function codesReference(): string {
  const lines = [
    '# Codes of `riser config validate`',
    '',
    '<!-- Made by tools/generate.ts from src/config/finding-codes.ts; do not edit. -->',
    '',
    'E: the configuration is not applied, and the gateway goes on with the last one that was good.',
    'W: it is applied, but somebody should look. A code never changes its meaning. Codes in words, such',
    'as `POINTS_OVERLAP`, come from the driver of the link; see the reference of its plugin.',
    '',
    '| code | title | what to do |',
    '|---|---|---|',
    ...Object.entries(findingCodes).map(
      ([code, kind]) => `| ${code} | ${cell(kind.title)} | ${cell(kind.text)} |`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** JSON as the formatter of this repository writes it: short lists of values on one line. */
function json(value: unknown): string {
  return `${print(value, '', 0)}\n`;
}

function print(value: unknown, indent: string, used: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    const flat = `[${value.map((item) => print(item, inner, 0)).join(', ')}]`;
    if (!flat.includes('\n') && indent.length + used + flat.length < 100) return flat;
    return `[\n${value.map((item) => inner + print(item, inner, 0)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  if (entries.length === 0) return '{}';
  const lines = entries.map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `;
    return `${inner}${name}${print(item, inner, name.length)}`;
  });
  return `{\n${lines.join(',\n')}\n${indent}}`;
}

if (import.meta.main) {
  for (const [path, content] of generatedFiles()) {
    const full = join(root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
  }
}
