import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import type { DriverFactory, DriverManifest } from '#driver';
import { deviceRules } from './device-rules.ts';
import { type DriverBench, type Kit, mayAsk, type Rule } from './driver-bench.ts';
import { linkRules } from './link-rules.ts';
import { offerRules } from './offer-rules.ts';
import { readRules } from './read-rules.ts';

/** All promises of a driver, in no special order. */
export const contractRules: readonly Rule[] = [
  ...linkRules,
  ...readRules,
  ...deviceRules,
  ...offerRules,
];

/**
 * Registers a test for each promise that concerns the driver; those that its manifest excludes are
 * not there. Another test says which ones are, so that nobody takes silence for a proof.
 */
export function keepsDriverContract(
  name: string,
  factory: DriverFactory,
  bench: DriverBench,
): void {
  const kit = kitOf(name, factory, bench);
  const concerned = contractRules.filter(({ concerns }) => concerns?.(kit) ?? true);
  // One after the other: they count descriptors, timers and bytes of this thread.
  for (const { id, title, run } of concerned) {
    test.serial(`${id}: ${name} ${title}`, (t) => run(t, kit));
  }
  test.serial(`the contract of ${name} is looked at from more than a dozen sides`, (t) => {
    const without = contractRules.filter((rule) => !concerned.includes(rule));
    t.log(`looked at: ${concerned.map(({ id }) => id).join(' ')}`);
    t.log(`excluded by the manifest: ${without.map(({ id }) => id).join(' ') || 'none'}`);
    t.true(concerned.length >= 12);
    t.true(concerned.length === contractRules.length || without.every(({ concerns }) => concerns));
  });
}

/** Reads the manifest of the plugin. Throws when the driver is not in it, or the bench lacks a peer. */
export function kitOf(name: string, factory: DriverFactory, bench: DriverBench): Kit {
  const file = path.join(bench.folder, 'manifest.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as DriverManifest;
  const description = manifest.drivers.find(({ id }) => id === bench.driver);
  if (description === undefined) throw new Error(`${file} has no driver ${bench.driver}`);
  const asks = mayAsk(manifest);
  if (asks && bench.startPeer === undefined) {
    throw new Error(`${name} asks devices, so its bench needs startPeer()`);
  }
  return { name, factory, bench, description, asks };
}
