/** `npm run chaos`: the long versions of what `npm test` does in short. Ends with 1 if any failed. */
import { run as gatewayKills } from './gateway-kills.ts';
import { run as powerCuts } from './outbox-power-cuts.ts';

const runs: Readonly<Record<string, () => Promise<string>>> = {
  'power cuts': powerCuts,
  kills: gatewayKills,
};

for (const [name, run] of Object.entries(runs)) {
  process.stdout.write(`${name} …\n`);
  try {
    process.stdout.write(`  ${await run()}\n`);
  } catch (error) {
    process.stdout.write(`  FAILED ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
