import { existsSync, readdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { databaseSuffixes } from './open-database.ts';

/** A disk that damages more files than this is past saving: then the last place is used again. */
const places = 9;

/** Renames a damaged database with its log to `name.corrupt-<n>.db` beside it. Returns the new path. */
export function setAside(file: string): string {
  let target = '';
  for (let n = 1; n <= places; n += 1) {
    target = placeOf(file, n);
    if (!databaseSuffixes.some((suffix) => existsSync(target + suffix))) break;
  }
  // The file first: a crash in between leaves a log without its file, which the next start notices.
  // The other way round it would find a healthy file that has lost its newest commits.
  for (const suffix of databaseSuffixes) {
    if (existsSync(file + suffix)) renameSync(file + suffix, target + suffix);
  }
  return target;
}

/** Names of the files that were set aside for this one, the oldest first. */
export function listSetAside(file: string): readonly string[] {
  const { dir, name } = path.parse(file);
  const prefix = `${name}.corrupt-`;
  try {
    return readdirSync(dir)
      .filter((each) => each.startsWith(prefix) && each.endsWith('.db'))
      .sort();
  } catch {
    return [];
  }
}

function placeOf(file: string, n: number): string {
  const { dir, name, ext } = path.parse(file);
  return path.join(dir, `${name}.corrupt-${n}${ext === '' ? '.db' : ext}`);
}
