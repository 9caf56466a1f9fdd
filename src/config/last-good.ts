import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Finding, Site } from '../model/site.ts';
import { FindingList } from './finding-list.ts';
import { codeOf, reasonOf } from './read-sources.ts';
import { isMapping } from './yaml-document.ts';

const schema = 'riser.last-good/1';
const fileName = 'last-good-site.json';
/** 50 000 points written out take about 25 MiB. */
const sizeLimit = 128 * 1024 * 1024;

/**
 * Keeps a site that works, for a start with a configuration that does not. One header line with a
 * checksum, then the site; written beside, flushed, and put in place at once, so that a power cut
 * leaves the old one or the new one. Secrets are in it by reference only.
 */
export async function saveLastGood(stateDir: string, site: Site): Promise<void> {
  await mkdir(stateDir, { recursive: true });
  const body = JSON.stringify(site);
  const header = JSON.stringify({ schema, revision: site.revision, sha256: checksum(body) });
  const path = join(stateDir, fileName);
  const beside = `${path}.${process.pid}.tmp`;
  const handle = await open(beside, 'w', 0o600);
  try {
    await handle.writeFile(`${header}\n${body}\n`);
    await handle.sync();
  } catch (error) {
    await handle.close();
    await unlink(beside).catch(() => undefined);
    throw error;
  }
  await handle.close();
  await rename(beside, path);
  // Without this the new name itself may be lost in a power cut.
  const folder = await open(stateDir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The site that was kept; a damaged copy is ignored, and a finding says so. Never rejects. */
export async function loadLastGood(
  stateDir: string,
): Promise<{ readonly site: Site | undefined; readonly findings: readonly Finding[] }> {
  const path = join(stateDir, fileName);
  const findings = new FindingList();
  const unusable = (why: string) => {
    findings.add({
      code: 'W1901',
      at: path,
      message: `the last good configuration cannot be used: ${why}`,
    });
    return { site: undefined, findings: findings.list() };
  };
  try {
    if ((await stat(path)).size > sizeLimit) return unusable('it is too large');
    const text = await readFile(path, 'utf8');
    const end = text.indexOf('\n');
    const header: unknown = JSON.parse(text.slice(0, Math.max(end, 0)));
    const body = text.slice(end + 1).trimEnd();
    if (!isMapping(header) || header.schema !== schema) {
      return unusable('another release wrote it');
    }
    if (header.sha256 !== checksum(body)) return unusable('its checksum does not fit');
    const site: unknown = JSON.parse(body);
    if (!isMapping(site) || site.revision !== header.revision) {
      return unusable('it is incomplete');
    }
    return { site: site as unknown as Site, findings: [] };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { site: undefined, findings: [] };
    return unusable(error instanceof SyntaxError ? 'it is damaged' : reasonOf(error));
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
