import type { ObjectDiff, Site, SiteDiff } from '../model/site.ts';
import { settingSpecs } from './settings-schema.ts';
import { isMapping } from './yaml-document.ts';

/** What changes from one site to another, object by object. */
export function diffSites(before: Site, after: Site): SiteDiff {
  const links = diffObjects(before.links, after.links);
  const devices = diffObjects(before.devices, after.devices);
  const tenants = diffObjects(before.tenants, after.tenants);
  const settings = [...settingSpecs.keys()].filter(
    (name) => !isSame(at(before.settings, name), at(after.settings, name)),
  );
  const empty = [links, devices, tenants].every(isEmpty) && settings.length === 0;
  return { links, devices, tenants, settings, empty };
}

function diffObjects<Item extends { readonly id: string }>(
  before: readonly Item[],
  after: readonly Item[],
): ObjectDiff<Item> {
  const old = new Map(before.map((item) => [item.id, item]));
  const kept = new Set(after.map((item) => item.id));
  return {
    added: after.filter((item) => !old.has(item.id)),
    changed: after.filter((item) => old.has(item.id) && !isSame(old.get(item.id), item)),
    removed: before.filter((item) => !kept.has(item.id)),
  };
}

function isEmpty(diff: ObjectDiff<unknown>): boolean {
  return diff.added.length + diff.changed.length + diff.removed.length === 0;
}

function at(settings: unknown, name: string): unknown {
  let value: unknown = settings;
  for (const key of name.split('.')) value = isMapping(value) ? value[key] : undefined;
  return value;
}

/** Whether two pieces of plain data mean the same; the order of keys does not matter, that of lists does. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  }
  if (!isMapping(a) || !isMapping(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key]))
  );
}
