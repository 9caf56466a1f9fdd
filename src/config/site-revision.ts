import { createHash } from 'node:crypto';
import type { Site } from '../model/site.ts';
import { canonicalJson } from './canonical-json.ts';

/** SHA-256 over the meaning of a site, hexadecimal: comments, blanks and the order of keys do not matter. */
export function siteRevision(site: Omit<Site, 'revision'>): string {
  const hash = createHash('sha256');
  hash.update(canonicalJson({ settings: site.settings, tenants: site.tenants, links: site.links }));
  // Device by device: the text of 50 000 points at once would be 20 MB.
  for (const device of site.devices) hash.update(canonicalJson(device));
  return hash.digest('hex');
}
