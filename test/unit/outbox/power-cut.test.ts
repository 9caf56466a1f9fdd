import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { openLog } from '../../../src/outbox/open-log.ts';
import { canBuildShim } from '../../../tools/powercut/build-shim.ts';
import { temporaryFolder } from '../../support/open-outbox.ts';
import { cutPower, logOptions, seededRandom, someMoment } from '../../support/powercut-outbox.ts';

const cutTest = canBuildShim() ? test.serial : test.serial.skip;
const skipped = canBuildShim() ? '' : ' (skipped: needs Linux and gcc)';
const seed = Number(process.env.RISER_SEED ?? Date.now() % 1_000_000);

cutTest(`no power cut loses what append() has resolved for${skipped}`, (t) => {
  t.log(`RISER_SEED=${seed}`);
  const result = cutPower(temporaryFolder(t), { commits: 600, states: 300, seed });
  t.deepEqual(result, { states: 300, lossy: 0, damaged: 0 });
});

cutTest(`with synchronous=NORMAL power cuts do lose something${skipped}`, (t) => {
  const { lossy, damaged } = cutPower(temporaryFolder(t), {
    commits: 150,
    states: 60,
    seed,
    synchronous: 'NORMAL',
  });
  t.true(lossy > 10, `only ${lossy} of 60 lost something: the simulator sees nothing`);
  t.is(damaged, 0);
});

const writer = fileURLToPath(new URL('../../../tools/powercut/writer.ts', import.meta.url));

test.serial('kill -9 loses nothing of what append() has resolved for, in 50 rounds', async (t) => {
  t.log(`RISER_SEED=${seed}`);
  const random = seededRandom(seed);
  const file = path.join(temporaryFolder(t), 'outbox.db');
  const acks = `${file}.acks`;
  let promised = 0;
  for (let round = 0; round < 50; round += 1) {
    rmSync(acks, { force: true });
    const child = spawn(process.execPath, [writer, file, '100000'], {
      env: {
        NODE_COMPILE_CACHE: 'node_modules/.cache/node',
        ...process.env,
        NODE_NO_WARNINGS: '1',
      },
      stdio: 'ignore',
    });
    t.teardown(() => child.kill('SIGKILL'));
    await begun(child, acks);
    await delay(random() * 25);
    child.kill('SIGKILL');
    await once(child, 'exit');

    const { log, quarantined } = openLog(logOptions(file), someMoment);
    t.is(quarantined, undefined);
    for (const line of readFileSync(acks, 'utf8').trim().split('\n')) {
      const [sid = 0, last = 0] = line.split(' ').map(Number);
      const next = log.tables.streams.get(sid)?.next ?? 0;
      if (next <= last) t.fail(`round ${round}: stream ${sid} ends before ${last}`);
      promised += 1;
    }
    log.db.close();
  }
  t.true(promised > 50);
});

/** Resolves when the child has had something acknowledged. */
async function begun(child: ChildProcess, acks: string): Promise<void> {
  for (let i = 0; i < 2_000 && child.exitCode === null; i += 1) {
    if (existsSync(acks) && readFileSync(acks).length > 0) return;
    await delay(5);
  }
  throw new Error(`the writer did not begin; exit code ${child.exitCode}`);
}
