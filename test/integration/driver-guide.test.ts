import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { GatewayProcess, TestSite } from '../support/gateway-process.ts';

/** The shell blocks of the guide, in order. */
const blocks = [
  ...readFileSync('docs/guides/write-a-driver.md', 'utf8').matchAll(/^```sh\n(.*?)^```/gms),
].map((match) => match[1]!);

test('the lines of the guide bring a value of a new driver into the outbox', async (t) => {
  const site = new TestSite(t);
  const plugins = path.join(site.folder, 'plugins');
  site.write('riser.yaml', { schema: 'riser/1', gateway: { id: 'gw-guide', tenant: 'default' } });
  const device = spawn(
    process.execPath,
    [path.resolve('plugins/_template/test/start-device.ts'), '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.teardown(() => device.kill('SIGKILL'));
  const [port] = (await once(device.stdout, 'data')) as [Buffer];
  t.true(blocks.length >= 3);
  const walked = spawnSync('bash', ['-eu', '-c', blocks.join('\n')], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      RISER: process.cwd(),
      PLUGINS: plugins,
      CONFIG: site.config,
      PORT: port.toString().trim(),
    },
  });
  t.is(walked.status, 0, walked.stderr);
  t.false(plugins.startsWith(process.cwd()), 'a plugin outside of the release');

  const gateway = new GatewayProcess(t, site);
  await gateway.start();
  const status = await gateway.until(({ points }) => points.good > 0);
  t.is(status.points.total, 1);
  // The stream of a lane begins with its first commit.
  let kept = '';
  for (let n = 0; n < 100 && !kept.includes('sensor/temperature'); n += 1) {
    const peeked = gateway.get('/api/v1/outbox/peek?tenant=default&lane=live');
    kept = JSON.stringify(await peeked.catch((error: unknown) => String(error)));
    await delay(50);
  }
  t.true(kept.includes('sensor/temperature'), `${kept}\n${gateway.output}`);
  t.true(kept.includes('21.5'), kept);
});
