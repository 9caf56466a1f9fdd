import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Licences under which a part of a release may stand. Others need a decision, not a longer list. */
const permissive = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'PSF-2.0',
  'Python-2.0',
  'Unlicense',
  'Zlib',
]);

/** One package of a release. */
export interface Licensed {
  readonly name: string;
  readonly version: string;
  /** As it was declared; "none" when it was not. */
  readonly licence: string;
  /** Whether one of its alternatives is permissive. */
  readonly accepted: boolean;
}

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

interface Manifest {
  readonly license?: unknown;
  readonly licenses?: unknown;
}

/** Packages that a release contains, development tools left out, with what each allows. */
export function licencesOf(root: string): readonly Licensed[] {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  return Object.entries(lock.packages)
    .filter(([place, { dev, link }]) => place !== '' && dev !== true && link !== true)
    .map(([place, locked]) => {
      const declared = [installedLicence(path.join(root, place)), locked.license].filter(
        (licence) => licence !== undefined,
      );
      return {
        name: place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length),
        version: locked.version ?? '',
        licence: [...new Set(declared)].join(' / ') || 'none',
        // What is installed and what is locked have to be fine both: else one of them is not known.
        accepted: declared.length > 0 && declared.every(isPermissive),
      };
    })
    .sort((a, b) => Number(a.accepted) - Number(b.accepted) || (a.name < b.name ? -1 : 1));
}

/** Whether an SPDX expression offers a permissive choice: `(MIT OR GPL-3.0-only)` does. */
export function isPermissive(expression: string): boolean {
  const tokens = expression.match(/\(|\)|[^\s()]+/g) ?? [];
  let position = 0;
  const word = () => (tokens[position] ?? '').toUpperCase();

  const choice = (): boolean => {
    let accepted = all();
    while (word() === 'OR') {
      position += 1;
      // Both sides are read, whatever the first one says.
      accepted = all() || accepted;
    }
    return accepted;
  };
  const all = (): boolean => {
    let accepted = one();
    while (word() === 'AND') {
      position += 1;
      accepted = one() && accepted;
    }
    return accepted;
  };
  const one = (): boolean => {
    const token = tokens[position];
    position += 1;
    if (token === '(') {
      const accepted = choice();
      if (tokens[position] !== ')') return false;
      position += 1;
      return accepted;
    }
    if (word() === 'WITH') position += 2;
    return token !== undefined && permissive.has(token);
  };

  const accepted = choice();
  return accepted && position === tokens.length;
}

/** undefined when the package is not installed here: it is for another kind of processor. */
function installedLicence(folder: string): string | undefined {
  const file = path.join(folder, 'package.json');
  if (!existsSync(file)) return undefined;
  const { license, licenses } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  // Old forms: {type, url}, and a list of them, which means a choice.
  const texts = [license ?? licenses].flat().map(nameOf);
  if (texts.length === 0 || texts.includes(undefined)) return 'UNKNOWN';
  return texts.length === 1 ? texts[0] : `(${texts.join(' OR ')})`;
}

function nameOf(licence: unknown): string | undefined {
  if (typeof licence === 'string') return licence;
  const type = (licence as { type?: unknown } | null | undefined)?.type;
  return typeof type === 'string' ? type : undefined;
}

function report(packages: readonly Licensed[]): string {
  const width = Math.max(...packages.map(({ name, version }) => name.length + version.length + 1));
  const lines = packages.map(({ name, version, licence, accepted }) =>
    `${accepted ? ' ' : '!'} ${`${name}@${version}`.padEnd(width)}  ${licence}`.trimEnd(),
  );
  const refused = packages.filter(({ accepted }) => !accepted).length;
  const sum =
    refused === 0
      ? `${packages.length} packages, all under permissive licences`
      : `${refused} of ${packages.length} packages are not under a permissive licence: replace them, or decide in an ADR`;
  return `${lines.join('\n')}\n\n${sum}\n`;
}

if (import.meta.main) {
  const packages = licencesOf(process.argv[2] ?? path.join(import.meta.dirname, '..'));
  process.stdout.write(report(packages));
  process.exitCode = packages.every(({ accepted }) => accepted) ? 0 : 1;
}
