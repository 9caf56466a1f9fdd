import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { type ExecutionContext } from 'ava';

const root = path.join(import.meta.dirname, '../..');
const unit = readFileSync(path.join(root, 'systemd/riser.service'), 'utf8');

/** Tests that need a program of systemd say so in their name when it is not installed. */
function needs(program: string) {
  const file = ['/usr/bin', '/bin', '/usr/sbin']
    .map((folder) => path.join(folder, program))
    .find(existsSync);
  return {
    test: file === undefined ? test.skip : test,
    note: file === undefined ? ` (not run: ${program} is missing)` : '',
    run: (...args: string[]) =>
      spawnSync(file ?? program, args, { encoding: 'utf8', timeout: 60_000 }),
  };
}

const analyze = needs('systemd-analyze');
const sysusers = needs('systemd-sysusers');
const tmpfiles = needs('systemd-tmpfiles');

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'riser-unit-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

const exposure = (file: string, threshold = '15') =>
  analyze.run('security', '--offline=true', `--threshold=${threshold}`, file);

analyze.test(`the unit keeps to its exposure limit${analyze.note}`, (t) => {
  const { status, stdout } = exposure(path.join(root, 'systemd/riser.service'));
  t.is(status, 0, stdout.slice(-300));
});

analyze.test(`the unit keeps to its exposure limit with serial adapters${analyze.note}`, (t) => {
  const made = folder(t);
  cpSync(path.join(root, 'systemd/riser.service'), path.join(made, 'riser.service'));
  mkdirSync(path.join(made, 'riser.service.d'));
  cpSync(
    path.join(root, 'systemd/examples/riser-serial.conf'),
    path.join(made, 'riser.service.d/serial.conf'),
  );
  const { status, stdout } = exposure(path.join(made, 'riser.service'));
  t.is(status, 0, stdout.slice(-300));
  // Else the drop-in was not read and nothing was tested.
  t.not(exposure(path.join(made, 'riser.service'), '13').status, 0);
});

analyze.test(`a unit without its sandbox would be noticed${analyze.note}`, (t) => {
  const file = path.join(folder(t), 'riser.service');
  writeFileSync(file, unit.replace(/^ProtectSystem=.*$/m, '').replace(/^PrivateDevices=.*$/m, ''));
  t.not(exposure(file).status, 0);
});

analyze.test(`systemd understands every line of the unit${analyze.note}`, (t) => {
  const file = path.join(folder(t), 'riser.service');
  // The release is not installed where tests run; a program that exists stands for its Node.
  writeFileSync(file, unit.replace('/opt/riser/node/bin/node', '/bin/true'));
  const { status, stderr } = analyze.run('verify', '--man=no', file);
  t.is(stderr.trim(), '');
  t.is(status, 0);
});

sysusers.test(`the user of the service is made without a shell${sysusers.note}`, (t) => {
  const made = folder(t);
  mkdirSync(path.join(made, 'etc'));
  const { status, stderr } = sysusers.run(
    `--root=${made}`,
    path.join(root, 'systemd/riser.sysusers.conf'),
  );
  t.is(status, 0, stderr);
  const passwd = readFileSync(path.join(made, 'etc/passwd'), 'utf8');
  t.regex(
    passwd,
    /^riser:[^:]*:\d+:\d+:Riser edge gateway:\/var\/lib\/riser:\/usr\/sbin\/nologin$/m,
  );
  t.regex(readFileSync(path.join(made, 'etc/group'), 'utf8'), /^riser:/m);
});

tmpfiles.test(
  `the folder of secrets is for root alone, the others can be read${tmpfiles.note}`,
  (t) => {
    const made = folder(t);
    mkdirSync(path.join(made, 'etc'));
    const { status, stderr } = tmpfiles.run(
      '--create',
      `--root=${made}`,
      path.join(root, 'systemd/riser.tmpfiles.conf'),
    );
    t.is(status, 0, stderr);
    const mode = (name: string) => statSync(path.join(made, 'etc/riser', name)).mode & 0o777;
    t.is(mode('secrets'), 0o700);
    for (const name of [
      '.',
      'conf.d',
      'links.d',
      'devices.d',
      'points.d',
      'profiles.d',
      'tenants.d',
    ]) {
      t.is(mode(name), 0o755, name);
    }
  },
);

test('the unit starts what a release contains and leaves out what would break it', (t) => {
  t.regex(unit, /^ExecStart=\/opt\/riser\/node\/bin\/node .* \/opt\/riser\/src\/main\.ts run /m);
  t.true(existsSync(path.join(root, 'src/main.ts')));
  t.regex(unit, /^Type=notify$/m);
  t.regex(unit, /^NotifyAccess=all$/m);
  t.regex(unit, /^LoadCredential=secrets:\/etc\/riser\/secrets$/m);
  t.notRegex(unit, /^(ProcSubset|IPAddressAllow|IPAddressDeny|MemoryDenyWriteExecute)=/m);
});

test('the serial rule names adapters and touches nothing else', (t) => {
  const lines = readFileSync(path.join(root, 'systemd/60-riser-serial.rules'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  // Comma-separated KEY op "value" pairs, as in udev(7); udevadm verify is not in Debian 12.
  const pair = /^[A-Z_]+(\{[A-Za-z_]+\})?(==|!=|=|\+=|:=)"[^"]*"$/;
  for (const line of lines) {
    for (const part of line.split(', ')) t.regex(part, pair);
  }
  const labels = lines.flatMap((line) => line.match(/LABEL="([^"]+)"/)?.[1] ?? []);
  for (const line of lines) {
    const target = line.match(/GOTO="([^"]+)"/)?.[1];
    if (target !== undefined) t.true(labels.includes(target), target);
  }
  t.false(lines.some((line) => /RUN|PROGRAM/.test(line)));
});
