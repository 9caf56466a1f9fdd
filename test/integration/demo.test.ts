import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { findPeer } from '../support/find-peer.ts';
import { startMosquitto } from '../support/mosquitto.ts';

const missing = findPeer('mosquitto') === undefined;
const withMosquitto = missing ? test.skip : test;
const named = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);

/** Runs the README's demo with further arguments; resolves with its exit code and its last line of JSON. */
async function demo(t: ExecutionContext, ...args: readonly string[]) {
  const child = spawn('npm', ['run', '--silent', 'demo', '--', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  let problems = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    problems += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  t.log(output.trim(), problems.trim());
  return { code, result: JSON.parse(output) as Record<string, number | boolean> };
}

test('two demos side by side both show good data, and leave nothing behind', async (t) => {
  const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('riser-demo-'));
  const before = leftovers();

  for (const { code, result } of await Promise.all([
    demo(t, '--for', '12s'),
    demo(t, '--for', '12s'),
  ])) {
    t.is(code, 0);
    t.like(result, { ok: true, lost: 0, missing: 0, duplicates: 0, wrong: 0 });
    t.true((result.good as number) > 50);
    // The device that misbehaves on purpose was really asked: otherwise nothing was shown.
    t.true((result.bad as number) > 12);
  }
  t.deepEqual(leftovers(), before);
});

withMosquitto(named('the demo runs against a real broker as well'), async (t) => {
  const broker = await startMosquitto();
  t.teardown(() => broker.stop());
  const { code, result } = await demo(
    t,
    '--for',
    '8s',
    '--upstream',
    `mqtt://127.0.0.1:${broker.port}`,
  );
  t.is(code, 0);
  t.like(result, { ok: true, lost: 0, missing: 0, wrong: 0 });
});
