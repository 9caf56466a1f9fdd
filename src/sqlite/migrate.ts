import type { Database } from 'better-sqlite3';

/** SQL that leads from the version before to the next. Never edited once it is released. */
export interface Migration {
  /** One line for the person who reads the log. */
  readonly title: string;
  readonly sql: string;
}

/** Brings a file to the newest version, each step in one transaction together with its number. */
export function migrate(db: Database, migrations: readonly Migration[]): void {
  const from = Number(db.pragma('user_version', { simple: true }));
  for (const [index, { sql }] of migrations.entries()) {
    if (index < from) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`user_version = ${index + 1}`);
    })();
  }
}
