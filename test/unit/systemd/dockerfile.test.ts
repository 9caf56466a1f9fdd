import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';

const root = path.join(import.meta.dirname, '../../..');
const instructions = readFileSync(path.join(root, 'Dockerfile'), 'utf8')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => {
    const [word = '', ...rest] = line.trim().split(/\s+/);
    return { word, rest, text: rest.join(' ') };
  });
const of = (word: string) => instructions.filter((instruction) => instruction.word === word);
const lastStage = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'));

test('the container runs as a user that is not root, given by number', (t) => {
  const users = lastStage.filter(({ word }) => word === 'USER');
  t.deepEqual(
    users.map(({ text }) => text),
    ['10001:10001'],
  );
});

test('every base image is named with a version', (t) => {
  const defaults = new Map(of('ARG').map(({ text }) => text.split('=') as [string, string]));
  for (const { rest } of of('FROM')) {
    const image = (rest[0] ?? '').replace(/\$\{(\w+)\}/, (_, name) => defaults.get(name) ?? '');
    t.regex(image, /^[a-z0-9/.-]+:[a-z0-9.-]+/, image);
    t.false(image.endsWith(':latest'), image);
  }
});

test('the container tells whether it is ready, keeps its state in a volume, and stops by SIGTERM', (t) => {
  const [health] = lastStage.filter(({ word }) => word === 'HEALTHCHECK');
  t.regex(health!.text, /CMD \["riser", "ready"\]$/);
  t.is(of('VOLUME')[0]!.text, '/var/lib/riser');
  t.is(of('STOPSIGNAL')[0]!.text, 'SIGTERM');
});

test('what is copied exists and is not kept from the builder', (t) => {
  const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n');
  t.true(ignored.includes('*'));
  for (const { rest } of of('COPY').filter(({ text }) => !text.startsWith('--from='))) {
    for (const source of rest.slice(0, -1)) {
      const found = source.includes('*')
        ? globSync(source, { cwd: root }).length > 0
        : existsSync(path.join(root, source));
      t.true(found, source);
      const first = source.replace(/^\.\//, '').split('/')[0];
      t.true(ignored.includes(`!${first}`), `${source} is ignored`);
    }
  }
});

test('packages come from the lock file, without development tools, and a failure ends the build', (t) => {
  const runs = of('RUN').map(({ text }) => text);
  t.true(runs.includes('npm ci --omit=dev'));
  t.false(runs.some((text) => /\|\| true|npm install|npm i |curl|wget/.test(text)));
});
