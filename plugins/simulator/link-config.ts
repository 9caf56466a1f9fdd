import type { ConfigIssue, Json } from '#driver';
import type { Fault } from './faults/fault.ts';
import { highestSeed } from './models/band.ts';
import { type Image, ImageUnit } from './models/image-unit.ts';

/** Kinds of simulated devices. */
export type ModelName = 'meter' | 'pump' | 'image' | 'counter';

/** One simulated device. */
export interface UnitConfig {
  readonly unit: number;
  readonly model: ModelName;
  /** Chooses the values; units with the same seed say the same. Default: a different one each. */
  readonly seed?: number;
  readonly image?: Image;
  readonly faults?: readonly Fault[];
}

/** One TCP endpoint with the devices behind it. */
export interface ListenerConfig {
  /** Default 127.0.0.1: a simulator is no device that a building should find. */
  readonly host?: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly units: readonly UnitConfig[];
  readonly faults?: readonly Fault[];
  /** Behaves as a gateway to a serial line: one request at a time for all connections together. */
  readonly serialise?: boolean;
  /** What each request costs on the serial line. */
  readonly turnaroundMs?: number;
  /** How long a serial line waits for a unit that does not answer. */
  readonly lineTimeoutMs?: number;
  /** What asking a unit that is not there leads to: exception 11, or nothing at all. */
  readonly absentUnits?: 'exception' | 'silent';
  readonly maxConnections?: number;
  /** A connection that says nothing for so long is closed. */
  readonly idleTimeoutMs?: number;
}

/** The `config` of a link of driver `simulator`. */
export interface LinkConfig {
  readonly listeners: readonly ListenerConfig[];
  /** Seed of all chances that faults take. */
  readonly seed?: number;
}

/** The seed of a unit that names none: different for each unit of a site of ordinary size. */
export function seedOf(unit: UnitConfig, listener: number): number {
  return unit.seed ?? (listener * 32 + unit.unit) % (highestSeed + 1);
}

/**
 * Whatever is wrong with a link's config beyond what its schema says, with the path of each. The
 * few shapes without which nothing could be opened are looked at again, for callers that have no
 * schema at hand.
 */
export function linkIssues(config: Json): ConfigIssue[] {
  const listeners = isObject(config) ? config.listeners : undefined;
  if (!Array.isArray(listeners) || listeners.length === 0) {
    return [
      issue('/link/listeners', 'listeners must name at least one endpoint, such as [{port: 1502}]'),
    ];
  }
  const issues: ConfigIssue[] = [];
  const endpoints = new Set<string>();
  for (const [n, listener] of listeners.entries()) {
    issues.push(...listenerIssues(listener, `/link/listeners/${n}`, endpoints));
  }
  return issues;
}

/** The link's config as it is used. Call it only when `linkIssues` has found no error. */
export function linkConfig(config: Json): LinkConfig {
  return config as unknown as LinkConfig;
}

function listenerIssues(
  listener: Json | undefined,
  path: string,
  endpoints: Set<string>,
): ConfigIssue[] {
  if (!isObject(listener)) return [issue(path, 'a listener is an object such as {port: 1502}')];
  const { port, host, units } = listener;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    return [issue(`${path}/port`, 'port must be a whole number from 0 (any free one) to 65535')];
  }
  if (!Array.isArray(units)) {
    return [
      issue(`${path}/units`, 'units must list the devices, such as [{unit: 1, model: meter}]'),
    ];
  }
  const issues: ConfigIssue[] = [];
  const endpoint = `${typeof host === 'string' ? host : '127.0.0.1'}:${port}`;
  if (port !== 0 && endpoints.has(endpoint)) {
    issues.push(issue(`${path}/port`, `another listener has ${endpoint} already`));
  }
  endpoints.add(endpoint);
  const seen = new Set<number>();
  for (const [n, unit] of units.entries()) {
    issues.push(...unitIssues(unit, `${path}/units/${n}`, seen));
  }
  issues.push(...faultIssues(listener.faults, `${path}/faults`, 'listener'));
  return issues;
}

function unitIssues(unit: Json | undefined, path: string, seen: Set<number>): ConfigIssue[] {
  if (!isObject(unit)) return [issue(path, 'a unit is an object such as {unit: 1, model: meter}')];
  const { unit: id, model, seed } = unit;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 255) {
    return [issue(`${path}/unit`, 'unit must be a whole number from 0 to 255')];
  }
  const issues: ConfigIssue[] = [];
  if (seen.has(id))
    issues.push(issue(`${path}/unit`, `unit ${id} is there twice on this listener`));
  seen.add(id);
  if (model !== 'meter' && model !== 'pump' && model !== 'image' && model !== 'counter') {
    issues.push(issue(`${path}/model`, 'model must be meter, pump, image or counter'));
  }
  if (seed !== undefined && !isSeed(seed)) {
    issues.push(issue(`${path}/seed`, `seed must be a whole number from 0 to ${highestSeed}`));
  }
  if (model === 'image') issues.push(...imageIssues(unit.image, `${path}/image`));
  issues.push(...faultIssues(unit.faults, `${path}/faults`, 'unit'));
  return issues;
}

function imageIssues(image: Json | undefined, path: string): ConfigIssue[] {
  if (!isObject(image)) {
    return [issue(path, 'model image needs an image, such as {input: {"0x0000": "4366 3333"}}')];
  }
  try {
    new ImageUnit(image as Image);
    return [];
  } catch (error) {
    return [issue(path, error instanceof Error ? error.message : String(error))];
  }
}

function faultIssues(
  faults: Json | undefined,
  path: string,
  scope: 'listener' | 'unit',
): ConfigIssue[] {
  if (faults === undefined) return [];
  if (!Array.isArray(faults)) return [issue(path, 'faults must be a list')];
  const issues: ConfigIssue[] = [];
  for (const [n, entry] of faults.entries()) {
    const at = `${path}/${n}`;
    if (!isObject(entry)) {
      issues.push(issue(at, 'a fault is an object such as {kind: silent, every: 5}'));
      continue;
    }
    const fault = entry as unknown as Fault;
    if (fault.kind === 'dropUnits' && scope === 'unit') {
      issues.push(issue(at, 'dropUnits belongs to a listener; for one unit take silent'));
    }
    if (fault.kind === 'refuseRange' && fault.from > fault.to) {
      issues.push(issue(at, `refuseRange runs backwards, from ${fault.from} to ${fault.to}`));
    }
    if (fault.kind === 'sleep' && fault.forMs > fault.everyMs) {
      issues.push(issue(at, 'sleep cannot last longer (forMs) than its period (everyMs)'));
    }
    if (fault.every !== undefined && fault.probability !== undefined) {
      issues.push(issue(at, 'a fault has either every or probability, not both'));
    }
  }
  return issues;
}

function isSeed(seed: Json): boolean {
  return typeof seed === 'number' && Number.isInteger(seed) && seed >= 0 && seed <= highestSeed;
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function issue(path: string, message: string): ConfigIssue {
  return { path, message };
}
