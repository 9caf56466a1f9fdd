import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findPeer } from '../support/find-peer.ts';
import { readingsBatch } from '../support/memory-outbox.ts';
import { startMosquitto } from '../support/mosquitto.ts';
import { acme, until, uplinkUnderTest } from '../support/uplink-under-test.ts';

const missing = findPeer('mosquitto') === undefined;
const serial = missing ? test.serial.skip : test.serial;
const title = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

/** The program, ready and subscribed. */
async function receiver(t: ExecutionContext, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['tools/receiver/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  await until(() => output.includes('"ready":true'));
  return child;
}

serial(
  title('the receiver killed three times has each event once in its file, and everything is acked'),
  async (t) => {
    const broker = await startMosquitto();
    t.teardown(() => broker.stop());
    const folder = mkdtempSync(path.join(tmpdir(), 'riser-receiver-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'events.ndjson');
    const args = ['--url', broker.url, '--tenant', 'acme', '--json', '--append', file];
    args.push('--state', path.join(folder, 'state.json'));

    let child = await receiver(t, args);
    const { outbox } = await uplinkUnderTest(t, broker.url, {
      settings: { ack: 'cloud' },
      limits: { publisher: { stallMs: 500 } },
    });
    for (const round of upTo(3)) {
      await outbox.append(upTo(300).map(() => readingsBatch(acme, { n: 20 })));
      await until(() => outbox.acked('uplink', 1) > (round - 1) * 6_000 + 1_000);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      child = await receiver(t, args);
    }
    await until(() => outbox.pending() === 0, 30_000);
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    t.is((await ended)[0], 0);

    const sequences = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => Number(JSON.parse(line).sequence));
    t.is(sequences.length, 900);
    t.is(new Set(sequences).size, 900);
  },
);
