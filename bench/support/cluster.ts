import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openDatabase, type Database } from '../../src/platform/database.js';
import { migrate } from '../../src/platform/migrations.js';
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.js';

/** The benchmark's own Postgres: the embedded one, durable, with the same settings for Keelson and for every baseline. */
export interface BenchCluster {
  /** A new empty database; with Keelson's schema unless `migrated` is false. */
  createDatabase(name: string, migrated?: boolean): Promise<BenchDatabase>;
  /** CPU the server's processes have used since it started, in microseconds. */
  cpuUs(): number;
  stop(): Promise<void>;
}

export interface BenchDatabase {
  readonly url: string;
  readonly adminUrl: string;
  readonly database: Database;
  /** Runs SQL as superuser. */
  query(sql: string): Promise<pg.QueryResult<Record<string, unknown>>>;
  /** Bytes of write-ahead log the cluster has written so far. */
  walBytes(): Promise<number>;
  drop(): Promise<void>;
}

/** Autovacuum off, so that no run pays for another's; write-ahead log recycled, as on a database that has run for a while. */
const SETTINGS = [
  'autovacuum=off',
  'shared_buffers=2GB',
  'min_wal_size=8GB',
  'max_wal_size=16GB',
  'checkpoint_timeout=1h',
  'max_connections=100',
];

export async function startCluster(): Promise<BenchCluster> {
  const folder = await mkdtemp(join(process.env['KEELSON_BENCH_FOLDER'] ?? tmpdir(), 'keelson-bench-'));
  const postgres = await startEmbeddedPostgres({ dataFolder: folder, settings: SETTINGS });
  const stop = async (): Promise<void> => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)));
  }
  const withDatabase = (url: string, name: string): string => {
    const changed = new URL(url);
    changed.pathname = `/${name}`;
    return changed.href;
  };
  const onAdmin = async <T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  return {
    async createDatabase(name, migrated = true) {
      await onAdmin(postgres.migrationUrl, (client) => client.query(`create database ${name} template template0`));
      const adminUrl = withDatabase(postgres.migrationUrl, name);
      const url = migrated ? withDatabase(postgres.databaseUrl, name) : adminUrl;
      if (migrated) await migrate({ url: adminUrl, writerPassword: postgres.writerPassword });
      const database = openDatabase({
        url,
        applicationName: 'keelson-bench',
        poolSize: 10,
        connectTimeoutMs: 10_000,
        statementTimeoutMs: 600_000,
        lockTimeoutMs: 60_000,
        idleInTransactionTimeoutMs: 600_000,
      });
      return {
        url,
        adminUrl,
        database,
        query: (sql) => onAdmin(adminUrl, (client) => client.query(sql)),
        walBytes: () =>
          onAdmin(adminUrl, async (client) => {
            const { rows } = await client.query<{ bytes: string }>(
              `select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text as bytes`,
            );
            return Number(rows[0]?.bytes);
          }),
        async drop() {
          await database.close();
          await onAdmin(postgres.migrationUrl, (client) => client.query(`drop database ${name} with (force)`));
        },
      };
    },
    cpuUs: () => familyCpuUs(postgres.pid),
    stop,
  };
}

/** User and system time of a process, its children, and the children it has reaped (Linux; 0 elsewhere). */
function familyCpuUs(pid: number): number {
  try {
    const ticksPerS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    const ticks = (id: number, reaped: boolean): number => {
      try {
        const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
        return (reaped ? [11, 12, 13, 14] : [11, 12]).reduce((sum, at) => sum + Number(fields[at]), 0);
      } catch {
        return 0; // ended between the two reads
      }
    };
    const sum = children.reduce((total, child) => total + ticks(Number(child), false), ticks(pid, true));
    return (sum / ticksPerS) * 1e6;
  } catch {
    return 0;
  }
}
