import type { Settings } from '../model/site.ts';
import { checkSchema } from './check-schema.ts';
import type { FindingList } from './finding-list.ts';
import { pointerStep } from './json-pointer.ts';
import { isSecretRef, settingProblem } from './setting-spec.ts';
import { createSettings, parseSetting, settingSpecs, settingsSchema } from './settings-schema.ts';
import type { SourceFile } from './source-file.ts';
import { didYouMean, nearest } from './suggest.ts';
import { isMapping, type Mapping } from './yaml-document.ts';

/** A flag of the command line or a variable, as it was given. */
export type Given = string | number | boolean;

/** A document of settings that could be read. */
export interface SettingsDocument {
  readonly file: SourceFile;
  readonly data: Mapping;
}

/** Where a setting was said: to point at it when it turns out to be wrong. */
export interface SettingOrigin {
  readonly text: string;
  readonly at: SourceFile | string;
  readonly pointer: string;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Only settings that somebody has said; the others have their default. */
  readonly said: ReadonlyMap<string, SettingOrigin>;
}

/** Lays settings over each other: default, riser.yaml, conf.d, environment, flags. */
export function loadSettings(
  sources: {
    readonly documents: readonly SettingsDocument[];
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly flags: Readonly<Record<string, Given | undefined>>;
    readonly hostname: string;
  },
  findings: FindingList,
): LoadedSettings {
  const config = createSettings();
  const said = new Map<string, SettingOrigin>();
  const say = (name: string, value: unknown, origin: SettingOrigin) => {
    config.set(name, value);
    said.set(name, origin);
  };
  config.set('gateway.id', safeGatewayId(sources.hostname));
  config.set('gateway.tenant', 'default');

  for (const { file, data } of sources.documents) {
    checkSchema(
      settingsSchema,
      data,
      { at: file, skip: refusePlainSecrets(file, data, findings) },
      findings,
    );
    for (const [name, spec] of settingSpecs) {
      const value = valueAt(data, name);
      if (value === undefined || settingProblem(spec, value) !== undefined) continue;
      const pointer = pointerOf(name);
      const { line } = file.locate(pointer, 'key');
      say(name, value, { text: `${file.name}:${line}`, at: file, pointer });
    }
  }
  for (const [name, spec] of settingSpecs) {
    const given = sources.env[spec.env];
    if (given === undefined) continue;
    const origin = { text: `env ${spec.env}`, at: 'environment', pointer: pointerOf(name) };
    const value = spec.format === 'setting-secret' ? { env: spec.env } : parseSetting(name, given);
    const problem = settingProblem(spec, value);
    if (problem === undefined) say(name, value, origin);
    else {
      findings.add({
        code: 'E1801',
        ...origin,
        message: `${spec.env}: ${JSON.stringify(shortened(given))} ${problem}`,
      });
    }
  }
  for (const [name, given] of Object.entries(sources.flags)) {
    if (given === undefined) continue;
    const spec = settingSpecs.get(name);
    const origin = { text: `flag --${name}`, at: 'command line', pointer: pointerOf(name) };
    if (spec === undefined) {
      findings.add({
        code: 'E1804',
        at: origin.at,
        message: `--${name} is no setting`,
        ...didYouMean(name, settingSpecs.keys()),
      });
      continue;
    }
    const problem =
      spec.format === 'setting-secret'
        ? 'cannot be given on the command line, where every user of the machine can read it'
        : settingProblem(spec, parseSetting(name, given));
    if (problem === undefined) say(name, parseSetting(name, given), origin);
    else
      findings.add({
        code: 'E1803',
        at: origin.at,
        pointer: origin.pointer,
        message: `--${name} ${problem}`,
      });
  }
  warnOfUnknownVariables(sources.env, findings);
  refuseSecretInUrl(config.getProperties() as Settings, said, findings);
  config.validate({ allowed: 'strict' });
  return { settings: config.getProperties() as Settings, said };
}

/** The name of a host as an id: lower case, dashes for what does not fit. */
export function safeGatewayId(hostname: string): string {
  const safe = hostname
    .toLowerCase()
    .split('.')[0]
    ?.replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
  return safe === undefined || safe === '' ? 'gateway' : safe;
}

function pointerOf(name: string): string {
  return name.split('.').map(pointerStep).join('');
}

function valueAt(data: Mapping, name: string): unknown {
  let value: unknown = data;
  for (const key of name.split('.')) {
    if (!isMapping(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** Says how to give a secret to whoever has written it down; returns the pointers that are judged by it. */
function refusePlainSecrets(file: SourceFile, data: Mapping, findings: FindingList): Set<string> {
  const judged = new Set<string>();
  for (const [name, spec] of settingSpecs) {
    if (spec.format !== 'setting-secret') continue;
    const value = valueAt(data, name);
    if (value === undefined || value === null || isSecretRef(value) || isMapping(value)) continue;
    const pointer = pointerOf(name);
    judged.add(pointer);
    findings.add({
      code: 'E1601',
      at: file,
      pointer,
      secret: true,
      message: `the secret of ${name} must not stand in a file of the configuration`,
      hint: `put it into a file of /etc/riser/secrets with mode 0600 and write { credential: name } or { file: path }, or set ${spec.env}`,
    });
  }
  return judged;
}

function refuseSecretInUrl(
  settings: Settings,
  said: ReadonlyMap<string, SettingOrigin>,
  findings: FindingList,
): void {
  const origin = said.get('uplink.url');
  if (origin === undefined || !settings.uplink.url.includes('@')) return;
  findings.add({
    code: 'E1601',
    at: origin.at,
    pointer: origin.pointer,
    secret: true,
    message: 'uplink.url holds a user name or password',
    hint: 'use uplink.username and uplink.password: { credential: name }',
  });
}

function warnOfUnknownVariables(
  env: Readonly<Record<string, string | undefined>>,
  findings: FindingList,
): void {
  const known = [...settingSpecs.values()].map((spec) => spec.env);
  for (const name of Object.keys(env)) {
    if (!name.startsWith('RISER_') || known.includes(name)) continue;
    // Other parts have variables of their own; only what looks like a typing error is named.
    const meant = nearest(name, known, 2);
    if (meant === undefined) continue;
    findings.add({
      code: 'W1802',
      at: 'environment',
      message: `${name} is no setting and is ignored`,
      hint: `did you mean ${JSON.stringify(meant)}?`,
    });
  }
}

function shortened(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
