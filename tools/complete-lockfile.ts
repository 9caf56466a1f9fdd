/**
 * Adds to package-lock.json the optional packages of other platforms that npm left out.
 *
 * npm forgets an optional package that the registry at hand does not have (a mirror with Linux
 * builds only), and `npm ci` then refuses the lock file on every machine. To be run after each
 * `npm install`; test/unit/tools/lockfile.test.ts tells when it was forgotten.
 *
 * What is added has no integrity, because nobody here has seen its tarball; npm fetches it only on
 * a machine of that platform. They are development tools, never part of a release.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly dev?: boolean;
}

export interface Lockfile {
  readonly packages: Record<string, LockedPackage & Record<string, unknown>>;
}

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32', 'aix', 'sunos'];
const processors = ['arm64', 'arm', 'ia32', 'x64', 'ppc64', 'riscv64', 's390x', 'loong64'];

/** Optional packages that others in the lock file ask for and that it does not have, with their version. */
export function missingOptionals({ packages }: Lockfile): Map<string, LockedPackage> {
  const missing = new Map<string, LockedPackage>();
  for (const { optionalDependencies = {}, dev } of Object.values(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      if (`node_modules/${name}` in packages || !/^\d/.test(version)) continue;
      missing.set(name, { version, ...(dev === true ? { dev } : {}) });
    }
  }
  return missing;
}

/** What an entry says of the machines that its package is for; undefined when its name does not tell. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } | undefined {
  const words = name.split(/[-/]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  if (os.length !== 1 || cpu.length !== 1) return undefined;
  if (words.some((word) => word.startsWith('musl'))) return { os, cpu, libc: ['musl'] };
  if (words.some((word) => word.startsWith('gnu'))) return { os, cpu, libc: ['glibc'] };
  return { os, cpu };
}

if (import.meta.main) {
  const lockfile = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lockfile;
  for (const [name, entry] of missingOptionals(lockfile)) {
    const platform = platformOf(name);
    // One without a platform would be fetched everywhere; npm has to find it by itself.
    if (platform === undefined) continue;
    lockfile.packages[`node_modules/${name}`] = { ...entry, optional: true, ...platform };
    process.stdout.write(`added ${name}@${entry.version}\n`);
  }
  const sorted = Object.entries(lockfile.packages).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const complete = { ...lockfile, packages: Object.fromEntries(sorted) };
  writeFileSync('package-lock.json', `${JSON.stringify(complete, null, 2)}\n`);
}
