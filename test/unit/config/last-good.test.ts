import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { diffSites } from '../../../src/config/diff-sites.ts';
import { loadLastGood, saveLastGood } from '../../../src/config/last-good.ts';
import { loadSite } from '../../../src/config/load-site.ts';
import type { Site } from '../../../src/model/site.ts';
import { goodSite, otherDriver, registerDriver, siteFolder } from '../../support/site-folder.ts';

async function siteIn(dir: string): Promise<Site> {
  const env = { RISER_UPLINK_PASSWORD: 'hunter2' };
  const drivers = [registerDriver, otherDriver];
  const { site, findings } = await loadSite({ dir, env, drivers, hostname: 'host' });
  if (site === undefined) throw new Error(JSON.stringify(findings));
  return site;
}

test('the last good configuration comes back as it was, without any secret', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  const site = await siteIn(dir);
  const state = join(dir, 'state');
  await saveLastGood(state, site);
  const { site: back, findings } = await loadLastGood(state);
  t.deepEqual(findings, []);
  t.deepEqual(back, site);
  t.true(back !== undefined && diffSites(site, back).empty);
  const path = join(state, 'last-good-site.json');
  t.false(readFileSync(path, 'utf8').includes('hunter2'));
  t.is(statSync(path).mode & 0o777, 0o600);
  await saveLastGood(state, { ...site, revision: 'next' });
  t.is((await loadLastGood(state)).site?.revision, 'next');
  t.deepEqual(readdirSync(state), ['last-good-site.json']);
});

test('a copy with any byte changed, cut short or of another release is ignored with a warning', async (t) => {
  const { dir } = siteFolder(t, goodSite);
  t.deepEqual(await loadLastGood(dir), { site: undefined, findings: [] });
  await saveLastGood(dir, await siteIn(dir));
  const path = join(dir, 'last-good-site.json');
  const bytes = readFileSync(path);
  const damaged: Uint8Array[] = [
    Buffer.alloc(0),
    Buffer.from('{'),
    bytes.subarray(0, 100),
    bytes.subarray(0, bytes.length - 20),
    Buffer.from(bytes.toString().replace('riser.last-good/1', 'riser.last-good/9')),
    Buffer.from(bytes.toString().replace('10.0.0.1', '10.0.0.2')),
  ];
  for (let at = 0; at < bytes.length - 1; at += 97) {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    damaged.push(copy);
  }
  for (const [i, copy] of damaged.entries()) {
    writeFileSync(path, copy);
    const { site, findings } = await loadLastGood(dir);
    t.is(site, undefined, String(i));
    t.deepEqual(
      findings.map((f) => [f.code, f.severity]),
      [['W1901', 'warning']],
    );
  }
});

test('a difference names exactly the objects and settings that changed', async (t) => {
  const { dir, write } = siteFolder(t, goodSite);
  const before = await siteIn(dir);
  t.true(diffSites(before, await siteIn(dir)).empty);
  write({
    'riser.yaml': goodSite['riser.yaml'].replace('level: debug', 'level: warn'),
    'tenants.d/more.yaml': 'schema: riser.tenants/1\ntenants: [{ id: gamma }]\n',
    'links.d/plant.yaml': goodSite['links.d/plant.yaml'].replace('port: 502', 'port: 503'),
    'points.d/pump.csv': goodSite['points.d/pump.csv'].replace('0x65', '0x66'),
    'devices.d/plant.yaml': goodSite['devices.d/plant.yaml'].replace('id: meter', 'id: meter-2'),
  });
  const diff = diffSites(before, await siteIn(dir));
  const names = (items: readonly { readonly id: string }[]) => items.map((item) => item.id);
  t.false(diff.empty);
  t.deepEqual(diff.settings, ['log.level']);
  t.deepEqual(names(diff.tenants.added), ['gamma']);
  t.deepEqual(names(diff.links.changed), ['plant']);
  t.deepEqual(names(diff.links.removed), []);
  t.deepEqual(names(diff.devices.added), ['meter-2']);
  t.deepEqual(names(diff.devices.changed), ['pump']);
  t.deepEqual(names(diff.devices.removed), ['meter']);
});
