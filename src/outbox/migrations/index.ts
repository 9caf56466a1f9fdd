import type { Migration } from '../../sqlite/migrate.ts';
import { firstLog } from './001-log.ts';

/** Steps from an empty file to the newest version, in order. A released step is never edited. */
export const migrations: readonly Migration[] = [firstLog];
