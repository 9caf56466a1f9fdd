/**
 * The long version of test/unit/outbox/power-cut.test.ts: thousands of power cuts, each kind of
 * promise with the same simulator. `node test/chaos/outbox-power-cuts.ts [STATES] [SEED]`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { canBuildShim } from '../../tools/powercut/build-shim.ts';
import { cutPower } from '../support/powercut-outbox.ts';

const statesPerRecording = 500;

/** Rejects if a power cut lost something that was accepted, or damaged the file. */
export async function run(states = 5_000, seed = Date.now() % 1_000_000): Promise<string> {
  if (!canBuildShim()) return 'skipped: needs Linux and gcc';
  const folder = mkdtempSync(path.join(tmpdir(), 'riser-powercut-'));
  try {
    let cuts = 0;
    for (let round = 0; cuts < states; round += 1) {
      const result = cutPower(path.join(folder, String(round)), {
        commits: 600,
        states: Math.min(statesPerRecording, states - cuts),
        seed: seed + round,
      });
      cuts += result.states;
      if (result.lossy > 0 || result.damaged > 0) {
        throw new Error(`seed ${seed + round}: ${JSON.stringify(result)}`);
      }
    }
    return `${cuts} power cuts, seed ${seed}: 0 lost, 0 damaged`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.filename === process.argv[1]) {
  const [states, seed] = process.argv.slice(2).map(Number);
  process.stdout.write(`${await run(states, seed)}\n`);
}
