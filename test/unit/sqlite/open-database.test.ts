import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'ava';
import { openDatabase } from '../../../src/sqlite/open-database.ts';
import { listSetAside, setAside } from '../../../src/sqlite/set-aside.ts';
import { temporaryFolder } from '../../support/open-outbox.ts';

const first = {
  title: 'first',
  sql: 'CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1)',
};
const second = { title: 'second', sql: 'ALTER TABLE t ADD COLUMN b INTEGER' };
const applicationId = 0x1234;

test('a file is durable at its second opening too', (t) => {
  const options = {
    path: path.join(temporaryFolder(t), 'a.db'),
    applicationId,
    migrations: [first],
    maxBytes: 1_000_000,
  };
  for (let i = 0; i < 3; i += 1) {
    const db = openDatabase(options);
    const values = [
      'journal_mode',
      'synchronous',
      'auto_vacuum',
      'max_page_count',
      'trusted_schema',
    ];
    t.deepEqual(
      values.map((name) => db.pragma(name, { simple: true })),
      ['wal', 2, 2, 244, 0],
    );
    db.close();
  }
  t.deepEqual(readdirSync(path.dirname(options.path)), ['a.db']);
});

test('migrations run once each and in order', (t) => {
  const file = path.join(temporaryFolder(t), 'a.db');
  openDatabase({ path: file, applicationId, migrations: [first] }).close();
  openDatabase({ path: file, applicationId, migrations: [first, second] }).close();
  const db = openDatabase({ path: file, applicationId, migrations: [first, second] });
  t.deepEqual(db.prepare('SELECT * FROM t').all(), [{ a: 1, b: null }]);
  t.is(db.pragma('user_version', { simple: true }), 2);
  db.close();
});

test('a migration that fails leaves the version before it', (t) => {
  const file = path.join(temporaryFolder(t), 'a.db');
  const broken = {
    title: 'broken',
    sql: 'INSERT INTO t VALUES (2); INSERT INTO nowhere VALUES (1)',
  };
  openDatabase({ path: file, applicationId, migrations: [first] }).close();
  t.throws(() => openDatabase({ path: file, applicationId, migrations: [first, broken] }), {
    message: /nowhere/,
  });
  const db = openDatabase({ path: file, applicationId, migrations: [first, second] });
  t.deepEqual(db.prepare('SELECT a FROM t').all(), [{ a: 1 }]);
  db.close();
});

test('another process is told that the file is in use, and gets it after a kill -9', (t) => {
  const file = path.join(temporaryFolder(t), 'a.db');
  const options = { path: file, applicationId, migrations: [first], lockWaitMs: 50 };
  const source = new URL('../../../src/sqlite/open-database.ts', import.meta.url).href;
  const inChild = (then: string) =>
    spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      `import { openDatabase } from '${source}';
       try { const db = openDatabase(${JSON.stringify(options)}); ${then} }
       catch (error) { console.log(error.code, error.facts.locked); }`,
    ]);
  const db = openDatabase(options);
  t.is(String(inChild('console.log("opened")').stdout).trim(), 'OUTBOX_UNAVAILABLE true');
  db.close();
  const killed = inChild(
    'db.exec("INSERT INTO t VALUES (7)"); process.kill(process.pid, "SIGKILL"); setTimeout(() => {}, 1e6);',
  );
  t.is(killed.signal, 'SIGKILL');
  const again = openDatabase(options);
  t.is(again.prepare('SELECT count(*) AS n FROM t WHERE a = 7').pluck().get(), 1);
  again.close();
});

test('what is set aside keeps its log and never takes the place of another', (t) => {
  const folder = temporaryFolder(t);
  const file = path.join(folder, 'store.db');
  for (let i = 0; i < 2; i += 1) {
    writeFileSync(file, 'x');
    writeFileSync(`${file}-wal`, 'y');
    setAside(file);
  }
  t.deepEqual(readdirSync(folder).sort(), [
    'store.corrupt-1.db',
    'store.corrupt-1.db-wal',
    'store.corrupt-2.db',
    'store.corrupt-2.db-wal',
  ]);
  t.deepEqual(listSetAside(file), ['store.corrupt-1.db', 'store.corrupt-2.db']);
});
