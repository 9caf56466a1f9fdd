import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FindingList } from './finding-list.ts';
import { SourceFile } from './source-file.ts';

/** Largest YAML file, in bytes. */
export const yamlFileLimit = 4 * 1024 * 1024;
/** Largest CSV file, in bytes. */
export const csvFileLimit = 16 * 1024 * 1024;

const folderLimit = 1_000;

/** What the files of a folder are called. */
export type Ending = '.yaml' | '.csv';

/** Names that a technician may take for the right ones. */
const lookAlike: Readonly<Record<Ending, RegExp>> = {
  '.yaml': /\.(ya?ml|json|yam)$/i,
  '.csv': /\.(csv|tsv|txt|xlsx?)$/i,
};

/** What was read of one kind of file. */
export interface Sources {
  readonly files: readonly SourceFile[];
  /** False when a file could not be read, so that nobody can say what is missing. */
  readonly complete: boolean;
}

/** Reads the files of a folder in the order of their names; a folder that is missing is empty. */
export async function readFolder(
  folder: { readonly path: string; readonly label: string },
  ending: Ending,
  findings: FindingList,
): Promise<Sources> {
  let names: string[];
  try {
    names = await readdir(folder.path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { files: [], complete: true };
    findings.add({
      code: 'E1001',
      at: folder.label,
      message: `the folder cannot be read: ${reasonOf(error)}`,
    });
    return { files: [], complete: false };
  }
  const wanted = names.filter((name) => name.endsWith(ending) && !name.startsWith('.')).sort();
  for (const name of names) {
    if (wanted.includes(name) || name.startsWith('.') || !lookAlike[ending].test(name)) continue;
    findings.add({
      code: 'W1005',
      at: join(folder.label, name),
      message: `the file is ignored, because its name does not end in ${ending}`,
      hint: `rename it to ${name.replace(/\.[^.]*$/, ending)}`,
    });
  }
  if (wanted.length > folderLimit) {
    findings.add({
      code: 'E1004',
      at: folder.label,
      message: `the folder has ${wanted.length} files; ${folderLimit} are allowed`,
    });
    return { files: [], complete: false };
  }
  const files: SourceFile[] = [];
  for (const name of wanted) {
    const file = await readSource(join(folder.path, name), join(folder.label, name), findings);
    if (file !== undefined && file !== 'missing') files.push(file);
  }
  return { files, complete: files.length === wanted.length };
}

/** Reads one file; undefined when it cannot be used, and a finding says why. */
export async function readSource(
  path: string,
  name: string,
  findings: FindingList,
): Promise<SourceFile | 'missing' | undefined> {
  const csv = name.endsWith('.csv');
  const limit = csv ? csvFileLimit : yamlFileLimit;
  let bytes: Buffer | undefined;
  try {
    // Without O_NONBLOCK, opening a named pipe that somebody left there would wait for ever.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      bytes = await readLimited(handle, limit);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 'missing';
    findings.add({
      code: 'E1001',
      at: name,
      message: `the file cannot be read: ${reasonOf(error)}`,
    });
    return undefined;
  }
  if (bytes === undefined) {
    findings.add({
      code: 'E1002',
      at: name,
      message: `the file is larger than ${limit / 1024 / 1024} MiB`,
      hint: csv ? 'split it' : 'describe the points once, in a profile or in points.d',
    });
    return undefined;
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\u0000')) throw new TypeError('zero byte');
    return new SourceFile(name, text, !csv);
  } catch {
    findings.add({
      code: 'E1003',
      at: name,
      message: `the file is not UTF-8 text: see line ${lineOfBadByte(bytes)}`,
      hint: 'save it as UTF-8',
      place: { line: lineOfBadByte(bytes), column: 1 },
    });
    return undefined;
  }
}

async function readLimited(handle: FileHandle, limit: number): Promise<Buffer | undefined> {
  const stat = await handle.stat();
  if (!stat.isFile()) throw new Error('it is not an ordinary file');
  if (stat.size > limit) return undefined;
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(
      Buffer.alloc(Math.max(stat.size - total, 0) + 1),
    );
    if (bytesRead === 0) return Buffer.concat(chunks);
    total += bytesRead;
    if (total > limit) return undefined;
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

function lineOfBadByte(bytes: Buffer): number {
  let line = 1;
  let start = 0;
  while (start < bytes.length) {
    const found = bytes.indexOf(10, start);
    const end = found === -1 ? bytes.length : found;
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(start, end));
      if (text.includes('\u0000')) return line;
    } catch {
      return line;
    }
    line++;
    start = end + 1;
  }
  return 1;
}

/** The system's code of an error: ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'user riser may not read it',
  EPERM: 'user riser may not read it',
  EISDIR: 'it is a folder',
  ENOTDIR: 'it is no folder',
  ENXIO: 'it is not an ordinary file',
  ELOOP: 'its link leads in a circle',
};

/** Why a file cannot be used, for a person. */
export function reasonOf(error: unknown): string {
  const known = reasons[codeOf(error) ?? ''];
  return known ?? (error instanceof Error ? error.message : String(error));
}
