import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { SimulatedSite } from '../../plugins/simulator/site.ts';
import { standaloneRuntime } from '../../plugins/simulator/standalone.ts';
import { findPeer } from '../support/find-peer.ts';
import { startMosquitto } from '../support/mosquitto.ts';

const missing = findPeer('mosquitto') === undefined;
const withMosquitto = missing ? test.skip : test;
const named = (text: string) => (missing ? `${text} (mosquitto is not installed)` : text);

/** The shell blocks of the README, in order. */
const blocks = [...readFileSync('README.md', 'utf8').matchAll(/^```sh\n(.*?)^```/gms)].map(
  (match) => match[1]!,
);

test('the README begins with the two commands', (t) => {
  t.deepEqual(blocks.slice(0, 2), ['npm ci && npm run demo\n', 'npm ci && npm test\n']);
});

withMosquitto(
  named('the lines of the README bring a device to a broker as they stand'),
  async (t) => {
    const block = blocks[2] ?? '';
    t.true(block.split('\n').length < 10);
    const broker = await startMosquitto();
    t.teardown(() => broker.stop());
    const device = new SimulatedSite(
      {
        listeners: [
          // 230.2 V on the first phase, where the meter of the example has it.
          {
            port: 0,
            units: [{ unit: 1, model: 'image', image: { input: { '0x0000': '4366 3333' } } }],
          },
        ],
      },
      standaloneRuntime(),
    );
    await device.open(AbortSignal.timeout(5_000));
    t.teardown(() => device.close());
    const folder = mkdtempSync(path.join(tmpdir(), 'riser-readme-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    for (const name of ['package.json', 'src', 'plugins', 'config', 'tools', 'node_modules']) {
      symlinkSync(path.resolve(name), path.join(folder, name));
    }
    const lines = block
      .replace('host: 192.168.1.20', `host: 127.0.0.1, port: ${device.endpoints()[0]?.port}`)
      .replace('127.0.0.1:1883', `127.0.0.1:${broker.port}`)
      .replace(/^mosquitto_sub.*$/m, '');
    const shell = spawn('bash', ['-e', '-c', lines], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      // As in a technician's shell: an npm that runs these tests must not speak for the one inside.
      env: Object.fromEntries(
        Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_COMPILE_CACHE$)/i.test(name)),
      ),
      // A group of its own, because npm starts the daemon and is not told to end it.
      detached: true,
    });
    let output = '';
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    const gone = once(shell, 'close');
    t.teardown(async () => {
      if (shell.pid !== undefined && shell.exitCode === null) process.kill(-shell.pid, 'SIGTERM');
      await gone;
    });
    const subscriber = spawn(findPeer('mosquitto_sub') ?? 'mosquitto_sub', [
      ...[
        '-h',
        '127.0.0.1',
        '-p',
        String(broker.port),
        '-t',
        'riser/1/default/gw-1/live',
        '-C',
        '1',
        '-W',
        '30',
      ],
    ]);
    let event = '';
    subscriber.stdout.on('data', (chunk: Buffer) => {
      event += chunk.toString();
    });
    await once(subscriber, 'close');

    t.true(event.includes('meter-1/ac.l1.voltage'), output);
    t.true(event.includes('230.2'), event);
  },
);
