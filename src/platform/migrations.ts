import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { KeelsonError } from '../core/error.js';
import { databaseError } from './database.js';
import { prepareRoles } from './roles.js';

/** Numbered SQL files, one transaction each run, never edited once released. The same path from src/ and from dist/. */
const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url));

/** The advisory lock of whoever migrates this database. */
const LOCK = 7_313_046_111;

export interface MigrateOptions {
  /** A role that may become `keelson_owner`; the first time, one that may make it. */
  readonly url: string;
  /** Given to `keelson_writer` if this makes it. */
  readonly writerPassword?: string;
  readonly connectTimeoutMs?: number;
  readonly log?: (message: string) => void;
}

/**
 * Brings the schema `keelson` up to this program's version; answers the names of what was run now. All of it commits, or nothing.
 * Concurrent calls wait for one another (advisory lock); the second finds nothing to do.
 *
 * @throws KeelsonError `database_unavailable`, `database_too_old` (Postgres itself), `database_too_new`, `invalid_config`.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const client = new pg.Client({
    connectionString: options.url,
    application_name: 'keelson-migrate',
    connectionTimeoutMillis: options.connectTimeoutMs ?? 0,
  });
  client.on('error', () => undefined); // the statement under way rejects with it
  try {
    await client.connect();
    await client.query('select pg_advisory_lock($1)', [LOCK]); // held until the connection ends
    await prepareRoles(client, options.writerPassword);
    refuseNewer(await appliedMigrations(client), await knownMigrations());
    const log = options.log ?? (() => undefined);
    const run = await runner({
      dbClient: client,
      dir: FOLDER,
      direction: 'up',
      schema: 'keelson',
      migrationsSchema: 'keelson',
      migrationsTable: 'migration',
      lockValue: LOCK,
      advisoryLockMode: 'wait',
      logger: { debug: () => undefined, info: () => undefined, warn: log, error: log },
    });
    return run.map(({ name }) => name);
  } catch (error) {
    throw databaseError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Whether the schema is this program's, for a service that may not migrate.
 *
 * @throws KeelsonError `database_too_old` (migrations are missing), `database_too_new`.
 */
export async function requireMigrated(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  const known = await knownMigrations();
  const applied = await appliedMigrations(client);
  refuseNewer(applied, known);
  const missing = known.filter((name) => !applied.includes(name));
  if (missing.length > 0) {
    throw new KeelsonError(
      'database_too_old',
      `the database lacks ${missing.length === known.length ? 'all' : 'some'} migrations (${missing.join(', ')}): ` +
        'set KEELSON_MIGRATION_URL to a role that may run them',
    );
  }
}

function refuseNewer(applied: readonly string[], known: readonly string[]): void {
  const unknown = applied.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new KeelsonError(
      'database_too_new',
      `the database was used by a newer Keelson (${unknown.join(', ')}): start that version, or a newer one`,
    );
  }
}

async function appliedMigrations(client: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rowCount } = await client.query(
    `select from pg_class join pg_namespace on pg_namespace.oid = relnamespace where nspname = 'keelson' and relname = 'migration'`,
  );
  if (!rowCount) return [];
  return (await client.query<{ name: string }>('select name from keelson.migration order by id')).rows.map(
    ({ name }) => name,
  );
}

async function knownMigrations(): Promise<string[]> {
  const files = await readdir(FOLDER);
  return files.flatMap((file) => (file.endsWith('.sql') ? [file.slice(0, -4)] : [])).sort();
}
