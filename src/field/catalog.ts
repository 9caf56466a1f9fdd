import { lstatSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { ActionManifest, DriverDescription, DriverManifest } from '#driver';
import type { InstalledDriver } from '../model/installed-driver.ts';
import type { Opaque } from '../model/point.ts';
import { manifestSchema } from './manifest-schema.ts';

/** A plugin of this installation that may be started. */
export interface Plugin {
  /** Name of its folder. */
  readonly name: string;
  /** Real path of its folder. */
  readonly dir: string;
  readonly manifest: DriverManifest;
}

/** An action that a plugin offers, with the schema of its arguments. */
export interface InstalledAction extends Omit<ActionManifest, 'argumentsSchema'> {
  readonly plugin: string;
  readonly argumentsSchema: Opaque;
}

export interface PluginProblem {
  readonly plugin: string;
  readonly message: string;
}

export interface Catalog {
  readonly drivers: readonly InstalledDriver[];
  readonly actions: readonly InstalledAction[];
  readonly plugins: readonly Plugin[];
  /** Why the others are not among them: code PLUGIN_INVALID. */
  readonly problems: readonly PluginProblem[];
}

interface Found {
  readonly plugin: Plugin;
  readonly drivers: readonly InstalledDriver[];
  readonly actions: readonly InstalledAction[];
}

/** Longest JSON file of a plugin, in bytes. */
const maxFileBytes = 1_048_576;
/** Files and folders that a plugin may have. */
const maxEntries = 20_000;
const othersMayWrite = 0o002;

const ajv = new Ajv2020({ strict: false, allErrors: false });
const isManifest = ajv.compile<DriverManifest>(manifestSchema);

/** Says in one sentence why a plugin is refused. */
class Refusal extends Error {}

/**
 * The plugins of some folders, read as data: no code of theirs runs. One that is not right is left
 * out and named; it never keeps the others from being used. A folder that does not exist is empty.
 */
export function loadCatalog(...pluginsDirs: readonly string[]): Catalog {
  const problems: PluginProblem[] = [];
  const found: Found[] = [];
  for (const pluginsDir of pluginsDirs) {
    for (const name of foldersOf(pluginsDir, problems)) {
      try {
        found.push(readPlugin(join(pluginsDir, name), name));
      } catch (error) {
        problems.push({ plugin: name, message: sentence(error) });
      }
    }
  }
  const good = withoutDoubles(found, problems);
  return {
    drivers: good.flatMap(({ drivers }) => drivers),
    actions: good.flatMap(({ actions }) => actions),
    plugins: good.map(({ plugin }) => plugin),
    problems,
  };
}

function foldersOf(pluginsDir: string, problems: PluginProblem[]): readonly string[] {
  try {
    return readdirSync(pluginsDir, { withFileTypes: true })
      .filter((entry) => !/^[._]/.test(entry.name) && !entry.isFile())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      problems.push({ plugin: '', message: `${pluginsDir} cannot be read: ${sentence(error)}` });
    }
    return [];
  }
}

function readPlugin(folder: string, name: string): Found {
  if (lstatSync(folder).isSymbolicLink()) {
    throw new Refusal('it is a symbolic link; copy the plugin into the folder');
  }
  if (!statSync(folder).isDirectory()) throw new Refusal('it is no folder');
  const dir = realpathSync(folder);
  inspect(dir);
  const manifest = readManifest(dir);
  const plugin = { name, dir, manifest };
  const drivers = manifest.drivers.map((driver) => readDriver(plugin, driver));
  const actions = (manifest.actions ?? []).map((action) => ({
    ...action,
    plugin: name,
    argumentsSchema: readSchema(dir, action.argumentsSchema),
  }));
  return { plugin, drivers, actions };
}

/** Nobody but the owner may change what runs as the gateway, and nothing outside is part of it. */
function inspect(dir: string): void {
  const refuseWritable = (path: string, mode: number) => {
    if ((mode & othersMayWrite) === 0) return;
    const what = path === dir ? 'its folder' : relative(dir, path);
    throw new Refusal(`${what} can be changed by every user; run "chmod o-w" on it`);
  };
  refuseWritable(dir, lstatSync(dir).mode);
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
  if (entries.length > maxEntries) {
    throw new Refusal(`it has ${entries.length} files; ${maxEntries} are allowed`);
  }
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const stat = lstatSync(path);
    if (!stat.isSymbolicLink()) refuseWritable(path, stat.mode);
    else if (!isInside(dir, realpathSync(path))) {
      throw new Refusal(`${relative(dir, path)} is a symbolic link to something outside of it`);
    }
  }
}

function readManifest(dir: string): DriverManifest {
  const manifest = readJson(dir, 'manifest.json');
  const version = (manifest as { readonly apiVersion?: unknown } | null)?.apiVersion;
  if (version !== undefined && version !== '1') {
    const told = JSON.stringify(version).slice(0, 40);
    throw new Refusal(`it is made for driver API ${told}; this gateway has "1"`);
  }
  if (!isManifest(manifest)) {
    throw new Refusal(`manifest.json: ${describe(isManifest.errors?.[0])}`);
  }
  return manifest;
}

function readDriver(plugin: Plugin, driver: DriverDescription): InstalledDriver {
  const { dir, name } = plugin;
  const module = resolve(dir, driver.module);
  if (!isInside(dir, module)) throw new Refusal(`module ${driver.module} is outside of it`);
  if (statSync(module, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new Refusal(`module ${driver.module} of driver ${driver.id} does not exist`);
  }
  return {
    id: driver.id,
    plugin: name,
    displayName: driver.displayName,
    profileKinds: driver.profileKinds,
    maxConcurrencyPerLink: driver.maxConcurrencyPerLink,
    linkConfigSchema: readSchema(dir, driver.linkConfigSchema),
    deviceConfigSchema: readSchema(dir, driver.deviceConfigSchema),
    pointAddressSchema: readSchema(dir, driver.pointAddressSchema),
  };
}

function readSchema(dir: string, file: string): Opaque {
  const schema = readJson(dir, file);
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw new Refusal(`${file} is no JSON Schema`);
  }
  if (ajv.validateSchema(schema) !== true) {
    throw new Refusal(`${file} is no JSON Schema: ${describe(ajv.errors?.[0])}`);
  }
  return schema as Opaque;
}

function readJson(dir: string, file: string): unknown {
  const path = resolve(dir, file);
  if (!isInside(dir, path)) throw new Refusal(`${file} is outside of it`);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) throw new Refusal(`${file} does not exist`);
  if (size > maxFileBytes) throw new Refusal(`${file} has ${size} bytes; ${maxFileBytes} allowed`);
  const text = readFileSync(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(`${file} is no JSON: ${(error as Error).message}`);
  }
}

/** Two plugins with one driver id: nobody can know which one is meant, so neither is used. */
function withoutDoubles(found: readonly Found[], problems: PluginProblem[]): readonly Found[] {
  const byId = Map.groupBy(
    found.flatMap(({ drivers }) => drivers),
    ({ id }) => id,
  );
  return found.filter(({ plugin, drivers }) => {
    for (const { id } of drivers) {
      const all = byId.get(id) ?? [];
      if (all.length < 2) continue;
      const names = [...new Set(all.map((driver) => driver.plugin))].sort().join(', ');
      const message = `driver ${id} is offered more than once, by ${names}: none of them is used`;
      problems.push({ plugin: plugin.name, message });
      return false;
    }
    return true;
  });
}

const isInside = (dir: string, path: string) => path === dir || path.startsWith(dir + sep);

function describe(error: ErrorObject | undefined): string {
  if (error === undefined) return 'is not valid';
  const where = error.instancePath === '' ? '' : `${error.instancePath} `;
  const extra = error.params as { additionalProperty?: string; allowedValues?: unknown[] };
  if (extra.additionalProperty !== undefined) {
    return `${where}has "${extra.additionalProperty}", which is not known`;
  }
  const allowed = extra.allowedValues === undefined ? '' : `: ${extra.allowedValues.join(', ')}`;
  return `${where}${error.message ?? 'is not valid'}${allowed}`;
}

const sentence = (error: unknown) => (error instanceof Error ? error.message : String(error));
