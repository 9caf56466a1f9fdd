import { readFileSync } from 'node:fs';
import test from 'ava';
import { type Lockfile, missingOptionals } from '../../../tools/complete-lockfile.ts';

const lockfile = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lockfile;

test('the lock file has every optional package of every platform, so that npm ci takes it', (t) => {
  t.deepEqual([...missingOptionals(lockfile).keys()], []);
});

test('every package that a release is made of is locked by its integrity', (t) => {
  const unlocked = Object.entries(lockfile.packages).filter(
    ([name, { dev, integrity }]) => name !== '' && dev !== true && typeof integrity !== 'string',
  );
  t.deepEqual(unlocked, []);
});
