import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadSite } from '../../../src/config/load-site.ts';
import { resolveSecret, type SecretSources } from '../../../src/config/secrets.ts';
import type { ErrorCode } from '../../../src/model/errors.ts';
import type { SecretRef } from '../../../src/model/site.ts';
import { siteFolder } from '../../support/site-folder.ts';

async function refused(
  t: ExecutionContext,
  ref: SecretRef,
  sources: SecretSources,
  code: ErrorCode,
  words: RegExp,
): Promise<void> {
  const error = await t.throwsAsync(resolveSecret(ref, sources));
  t.like(error, { name: 'GatewayError', code });
  t.regex(error?.message ?? '', words);
  t.false(`${error?.stack}`.includes('hunter2'));
}

test('a secret is read from credential, file and environment, without the newline at its end', async (t) => {
  const { dir } = siteFolder(t, {
    'mqtt-password': 'hunter2\n',
    'secrets/in-folder': 'hunter3\r\n',
    secrets_flat: 'hunter4',
    'two-lines': 'a\nb\n\n',
  });
  const sources = { credentialsDirectory: dir, env: { PASS: 'hunter5\n' } };
  t.is(await resolveSecret({ credential: 'mqtt-password' }, sources), 'hunter2');
  t.is(await resolveSecret({ credential: 'in-folder' }, sources), 'hunter3');
  t.is(await resolveSecret({ credential: 'flat' }, sources), 'hunter4');
  t.is(await resolveSecret({ credential: 'two-lines' }, sources), 'a\nb\n');
  t.is(await resolveSecret({ file: join(dir, 'mqtt-password') }, sources), 'hunter2');
  t.is(await resolveSecret({ env: 'PASS' }, sources), 'hunter5');
});

test('a file that others may read is refused, whatever the bit', async (t) => {
  const { dir } = siteFolder(t, { key: 'hunter2' });
  const file = join(dir, 'key');
  for (const mode of [0o644, 0o640, 0o604, 0o620, 0o602, 0o700, 0o601]) {
    chmodSync(file, mode);
    await refused(t, { file }, { env: {} }, 'SECRET_EXPOSED', /mode 0\d\d\d/);
  }
  for (const mode of [0o600, 0o400]) {
    chmodSync(file, mode);
    t.is(await resolveSecret({ file }, { env: {} }), 'hunter2');
  }
});

test('a reference that leads nowhere is told with where the secret belongs', async (t) => {
  const { dir } = siteFolder(t, { empty: '\n', big: 'x'.repeat(70_000), 'folder/x': '' });
  const sources = { credentialsDirectory: dir, env: { EMPTY: '' } };
  const code = 'SECRET_UNRESOLVED';
  await refused(t, { env: 'NOT_SET' }, sources, code, /NOT_SET is not set/);
  await refused(t, { env: 'EMPTY' }, sources, code, /EMPTY is not set/);
  await refused(t, { credential: 'none' }, sources, code, /no credential none in/);
  await refused(t, { credential: '../x' }, sources, code, /no name of a credential/);
  await refused(t, { credential: 'folder' }, sources, code, /not an ordinary file/);
  await refused(t, { credential: 'empty' }, sources, code, /is empty/);
  await refused(t, { credential: 'x' }, { env: {} }, code, /no credentials/);
  await refused(t, { file: '/nonexistent/secret' }, sources, code, /does not exist/);
  await refused(t, { file: 'relative' }, sources, code, /no absolute path/);
  await refused(t, { file: join(dir, 'big') }, sources, code, /larger than/);
});

test('a configuration whose secret others can read is told with the line and the command', async (t) => {
  const { dir, write } = siteFolder(t, { key: 'hunter2' });
  const file = join(dir, 'key');
  write({ 'riser.yaml': `uplink:\n  password: { file: ${file} }\n` });
  chmodSync(file, 0o644);
  const { findings } = await loadSite({ dir, env: {}, drivers: [] });
  t.like(findings[0], { code: 'E1603', line: 2 });
  t.regex(findings[0]?.hint ?? '', /chmod 600/);
  t.is(findings.length, 1);
});

test('the secret given in plain text is shown neither in message nor in the line', async (t) => {
  const { dir, write } = siteFolder(t, {});
  for (const text of [
    'uplink: { password: hunter2 }',
    'uplink: { passwort: hunter2 }',
    'uplink:\n  password: "hunter2"\n  pasword: \'hunter2\'',
    'uplink: { url: "mqtts://me:hunter2@host" }',
    'uplink: { url: "mqtts://me:hunter2@host:8883/path" }',
    'uplink: { token: hunter2, x: 1 }',
    'uplink:\n  password: hunter2: x',
    'uplink: [password: hunter2',
    'uplink:\n  password: !hunter2',
    'uplink:\n  password: *hunter2',
    'uplink:\n  password:  hun,hunter2',
    'uplink: { url: "mqtts://me:a@hunter2@host" }',
    'uplink:\n\tpassword: hunter2',
    'uplink:\n  Pass-Word = hunter2',
  ]) {
    write({ 'riser.yaml': text });
    const { findings } = await loadSite({ dir, env: {}, drivers: [] });
    t.true(findings.length > 0, text);
    t.false(JSON.stringify(findings).includes('hunter2'), JSON.stringify(findings));
  }
});
