import { existsSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { KeelsonError } from '../core/error.js';
import { openDataFolder } from './data-folder.js';
import { findLockHolder, lockDataFolder } from './data-lock.js';
import { databaseError, databaseTypes, openDatabase, type Database } from './database.js';
import type { Logger } from './logger.js';
import { migrate, requireMigrated } from './migrations.js';
import { attachEmbeddedPostgres, startEmbeddedPostgres } from './postgres/embedded.js';
import { requireWriterRole, WRITER_ROLE } from './roles.js';
import type { PlatformSettings } from './settings.js';

/** The data folder and the database behind it: the embedded one, or the one the settings name. */
export interface Storage {
  readonly dataFolder: string;
  readonly database: Database;
  /** The service's role, for connections outside the pool. Secret. */
  readonly databaseUrl: string;
  readonly embedded: boolean;
  /** One more pool on the database, of its own size; closed with the rest. */
  readonly openPool: (poolSize: number) => Database;
  /** Resolves with the reason when the embedded server ends by itself. */
  readonly ended: Promise<string>;
  /** Closes the pools, stops the embedded server, frees the data folder. */
  close(): Promise<void>;
}

export interface StorageOptions {
  readonly settings: PlatformSettings;
  readonly logger: Logger;
  readonly applicationName: string;
  /**
   * For commands beside the service: go through the embedded server of a running process, if there is one, instead of refusing; make
   * no data where there is none, and leave the schema of a database that others use as it is.
   */
  readonly attach?: boolean;
}

interface Place {
  readonly databaseUrl: string;
  readonly migrationUrl: string | undefined;
  readonly writerPassword: string | undefined;
  readonly ended: Promise<string>;
  readonly stop: () => Promise<void>;
}

/**
 * Opens data folder and database, brings the schema up to date (or checks that it is), and makes sure that the service's role is a weak one.
 *
 * @throws KeelsonError `already_running`, `invalid_config`, `unsupported_platform`, `database_unavailable`, `database_too_old`,
 * `database_too_new`, `missing_key`.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { settings, logger } = options;
  const dataFolder = await openDataFolder(settings.KEELSON_DATA, options.attach !== true);
  const place = await openPlace(dataFolder, options);
  const pools: Database[] = [];
  const openPool = (poolSize: number): Database => {
    const pool = openDatabase({
      url: place.databaseUrl,
      applicationName: options.applicationName,
      poolSize,
      connectTimeoutMs: settings.KEELSON_DATABASE_CONNECT_TIMEOUT_MS,
      statementTimeoutMs: settings.KEELSON_DATABASE_STATEMENT_TIMEOUT_MS,
      lockTimeoutMs: settings.KEELSON_DATABASE_LOCK_TIMEOUT_MS,
      idleInTransactionTimeoutMs: settings.KEELSON_DATABASE_IDLE_TIMEOUT_MS,
      onIdleError: (error) => {
        if (!closing) logger.warn({ err: error }, 'a database connection was lost');
      },
    });
    pools.push(pool);
    return pool;
  };
  let closing = false; // connections may still be on their way out when the server goes
  const close = async (): Promise<void> => {
    closing = true;
    await Promise.all(pools.map((pool) => pool.close())).finally(place.stop);
  };
  try {
    await prepare(place, logger, settings.KEELSON_DATABASE_CONNECT_TIMEOUT_MS);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    dataFolder,
    database: openPool(settings.KEELSON_DATABASE_POOL_SIZE),
    openPool,
    databaseUrl: place.databaseUrl,
    embedded: settings.KEELSON_DATABASE_URL === undefined,
    ended: place.ended,
    close,
  };
}

async function openPlace(dataFolder: string, { settings, attach }: StorageOptions): Promise<Place> {
  const never = new Promise<string>(() => undefined);
  if (settings.KEELSON_DATABASE_URL !== undefined) {
    return {
      databaseUrl: settings.KEELSON_DATABASE_URL,
      migrationUrl: attach ? undefined : settings.KEELSON_MIGRATION_URL,
      writerPassword: readWriterPassword(settings.KEELSON_DATABASE_URL),
      ended: never,
      stop: async () => undefined,
    };
  }
  if (attach && (await findLockHolder(dataFolder)) !== undefined) {
    const { databaseUrl } = await attachEmbeddedPostgres(dataFolder);
    return {
      databaseUrl,
      migrationUrl: undefined,
      writerPassword: undefined,
      ended: never,
      stop: async () => undefined,
    };
  }
  if (attach && !existsSync(join(dataFolder, 'postgres.json'))) {
    throw new KeelsonError(
      'invalid_config',
      `there is no embedded database in ${dataFolder}: set KEELSON_DATA or KEELSON_DATABASE_URL as the service has them`,
    );
  }
  const lock = await lockDataFolder(dataFolder);
  try {
    const server = await startEmbeddedPostgres({ dataFolder });
    return { ...server, stop: () => server.stop().finally(() => lock.release()) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** With a migration role the schema is brought up to date; without, it is checked. */
async function prepare(place: Place, logger: Logger, connectTimeoutMs: number): Promise<void> {
  if (place.migrationUrl !== undefined) {
    const run = await migrate({
      url: place.migrationUrl,
      connectTimeoutMs,
      ...(place.writerPassword !== undefined && { writerPassword: place.writerPassword }),
      log: (message) => logger.warn(message),
    });
    if (run.length > 0) logger.info({ migrations: run }, 'database schema brought up to date');
  }
  const client = new pg.Client({
    connectionString: place.databaseUrl,
    types: databaseTypes,
    connectionTimeoutMillis: connectTimeoutMs,
  });
  client.on('error', () => undefined); // the statement under way rejects with it
  try {
    await client.connect();
    await requireMigrated(client);
    await requireWriterRole(client);
  } catch (error) {
    throw databaseError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The password that the URL has for `keelson_writer`, if it is that role's. */
function readWriterPassword(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.username === WRITER_ROLE && url.password !== '' ? decodeURIComponent(url.password) : undefined;
}
