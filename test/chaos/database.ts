/** A Postgres that can be killed: durable settings, its own folder, the same address after every restart. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/platform/postgres/embedded.js';

export class KillableDatabase {
  readonly #folder: string;
  #postgres: EmbeddedPostgres;

  private constructor(folder: string, postgres: EmbeddedPostgres) {
    this.#folder = folder;
    this.#postgres = postgres;
  }

  static async start(): Promise<KillableDatabase> {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-chaos-postgres-'));
    return new KillableDatabase(folder, await startEmbeddedPostgres({ dataFolder: folder }));
  }

  /** The service's role, and the one that migrates; the same whatever happens. */
  env(database = 'keelson'): Record<string, string> {
    return {
      KEELSON_DATABASE_URL: withDatabase(this.#postgres.databaseUrl, database),
      KEELSON_MIGRATION_URL: withDatabase(this.#postgres.migrationUrl, database),
    };
  }

  /** One more database, empty. */
  async create(database: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.#postgres.migrationUrl });
    await client.connect();
    await client.query(`create database ${database}`).finally(() => client.end());
  }

  /** Kills every process of it at once, as a power cut would, then starts it again. */
  async killAndRestart(): Promise<void> {
    process.kill(this.#postgres.pid, 'SIGKILL');
    await this.#postgres.ended;
    for (const end = Date.now() + 60_000; ;) {
      try {
        this.#postgres = await startEmbeddedPostgres({ dataFolder: this.#folder });
        return;
      } catch (error) {
        // Backends that have not yet noticed still hold the shared memory.
        if (Date.now() > end) throw error;
        await sleep(200);
      }
    }
  }

  async stop(): Promise<void> {
    await this.#postgres.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
