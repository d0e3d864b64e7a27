import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { inject } from 'vitest';
import { openDatabase, type Database, type DatabaseOptions } from '../../src/platform/database.js';
import { migrate } from '../../src/platform/migrations.js';
import type {} from './run-folder.js';
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.js';

/*
 * One Postgres per test run, the embedded one, started by the first test that asks and stopped by the global set-up
 * (`removeRunFolder`). It does not fsync: tests kill Keelson, never the machine.
 */
const TEMPLATE = 'keelson_template';

interface State {
  readonly adminUrl: string;
  readonly writerUrl: string;
  readonly writerPassword: string;
  readonly pid: number;
}

export interface TestDatabase {
  /** Opened as the service's role, `keelson_writer`. */
  readonly database: Database;
  /** URL of the service's role. */
  readonly url: string;
  /** URL of a superuser: for migrations, and to tamper. */
  readonly adminUrl: string;
  readonly name: string;
  /** One more pool on it. */
  readonly open: (options?: Partial<DatabaseOptions>) => Database;
  /** Runs SQL as superuser. */
  readonly tamper: (sql: string, values?: unknown[]) => Promise<pg.QueryResult>;
  /** Closes `database`, throws everybody else out, removes the database. */
  readonly drop: () => Promise<void>;
}

/** A database of its own, migrated (`migrated: false`: without even the schema), or a copy of one that nobody uses just now. */
export async function createDatabase({
  migrated = true,
  copyOf,
}: { migrated?: boolean; copyOf?: TestDatabase } = {}): Promise<TestDatabase> {
  const state = await startPostgres();
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onAdmin(state.adminUrl, (client) =>
    client.query(`create database ${name} template ${copyOf?.name ?? (migrated ? TEMPLATE : 'template0')}`),
  );
  const url = withDatabase(state.writerUrl, name);
  const adminUrl = withDatabase(state.adminUrl, name);
  const opened: Database[] = [];
  const open = (options: Partial<DatabaseOptions> = {}): Database => {
    const database = openDatabase({
      url,
      applicationName: 'keelson-test',
      poolSize: 5,
      connectTimeoutMs: 10_000,
      statementTimeoutMs: 60_000,
      lockTimeoutMs: 20_000,
      idleInTransactionTimeoutMs: 60_000,
      ...options,
    });
    opened.push(database);
    return database;
  };
  return {
    name,
    url,
    adminUrl,
    database: open(),
    open,
    tamper: (sql, values) => onAdmin(adminUrl, (client) => client.query(sql, values)),
    async drop() {
      await Promise.all(opened.map((database) => database.close().catch(() => undefined)));
      await onAdmin(state.adminUrl, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}

async function onAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

/** The run's Postgres; whoever makes the folder `starting` first starts it, the others wait for its state file. */
async function startPostgres(): Promise<State> {
  const folder = inject('runFolder');
  const stateFile = join(folder, 'state.json');
  const first = await mkdir(join(folder, 'starting')).then(
    () => true,
    () => false,
  );
  if (!first) {
    for (;;) {
      const text = await readFile(stateFile, 'utf8').catch(() => undefined);
      if (text === undefined) await sleep(50);
      else {
        const state = JSON.parse(text) as State | { failure: string };
        if ('failure' in state) throw new Error(`the test Postgres did not start: ${state.failure}`);
        return state;
      }
    }
  }
  const write = async (state: State | { failure: string }): Promise<void> => {
    await writeFile(`${stateFile}.tmp`, JSON.stringify(state));
    await rename(`${stateFile}.tmp`, stateFile);
  };
  try {
    const postgres = await startEmbeddedPostgres({
      dataFolder: folder,
      settings: ['fsync=off', 'max_connections=200', 'min_wal_size=80MB', 'autovacuum=off'],
    });
    await writeFile(join(folder, 'postgres.pid'), String(postgres.pid));
    const state: State = {
      adminUrl: postgres.migrationUrl,
      writerUrl: postgres.databaseUrl,
      writerPassword: postgres.writerPassword,
      pid: postgres.pid,
    };
    await onAdmin(state.adminUrl, (client) => client.query(`create database ${TEMPLATE}`));
    await migrate({ url: withDatabase(state.adminUrl, TEMPLATE), writerPassword: state.writerPassword });
    await write(state);
    return state;
  } catch (error) {
    await write({ failure: String((error as Error).message) });
    throw error;
  }
}
