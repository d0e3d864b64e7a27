import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { attachEmbeddedPostgres, startEmbeddedPostgres } from '../../../src/platform/postgres/embedded.js';
import { startProcess } from '../../support/process.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keelson-embedded-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A process of its own that starts the embedded Postgres; answers the postmaster's pid. */
async function startElsewhere(dataFolder: string) {
  const child = startProcess(new URL('./start-embedded.ts', import.meta.url), [dataFolder]);
  const [pid] = (await once(child, 'message')) as [number];
  return { child, pid };
}

// One cluster, in the order of its life: making one takes a second.
describe('the embedded Postgres', () => {
  test('is durable, closed, and reached by its socket alone', async () => {
    const postgres = await startEmbeddedPostgres({ dataFolder: folder });
    const settings = await query(
      postgres.migrationUrl,
      `select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums',
       'listen_addresses', 'password_encryption', 'TimeZone', 'server_encoding', 'max_wal_senders')`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      data_checksums: 'on',
      listen_addresses: '',
      password_encryption: 'scram-sha-256',
      TimeZone: 'UTC',
      server_encoding: 'UTF8',
      max_wal_senders: '0',
    });
    const rules = await query(
      postgres.migrationUrl,
      'select distinct auth_method as method, type from pg_hba_file_rules order by 1',
    );
    expect(rules).toEqual([
      { method: 'reject', type: 'host' },
      { method: 'scram-sha-256', type: 'local' },
    ]);
    const guessed = postgres.migrationUrl.replace(/:[^:@/]+@/, ':guess@');
    await expect(query(guessed, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    expect((await stat(join(folder, 'postgres.json'))).mode & 0o777).toBe(0o600);

    await query(postgres.migrationUrl, 'create table public.kept as select 42 as n');
    expect(await attachEmbeddedPostgres(folder)).toMatchObject({ migrationUrl: postgres.migrationUrl });
    await postgres.stop();
    await postgres.stop();
    expect(isAlive(postgres.pid)).toBe(false);
  });

  test('keeps its data over a restart', async () => {
    const postgres = await startEmbeddedPostgres({ dataFolder: folder });
    expect(await query(postgres.migrationUrl, 'select n from public.kept')).toEqual([{ n: 42 }]);
    await postgres.stop();
  });

  test('left behind by a killed process, is found, stopped and started afresh', async () => {
    const { child, pid } = await startElsewhere(folder);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(pid)).toBe(true);
    const postgres = await startEmbeddedPostgres({ dataFolder: folder });
    expect(isAlive(pid)).toBe(false);
    expect(postgres.pid).not.toBe(pid);
    expect(await query(postgres.migrationUrl, 'select n from public.kept')).toEqual([{ n: 42 }]);
    await postgres.stop();
  });

  test('does not go down with Ctrl-C in the terminal of its parent', async () => {
    const { child, pid } = await startElsewhere(folder);
    // The terminal signals the whole process group of the parent; the postmaster leads one of its own.
    child.kill('SIGINT');
    await once(child, 'exit');
    await sleep(200);
    expect(isAlive(pid)).toBe(true);
    await (await startEmbeddedPostgres({ dataFolder: folder })).stop();
  });

  test('comes back after a crash of its own, and tells of it', async () => {
    const crashed = await startEmbeddedPostgres({ dataFolder: folder });
    process.kill(crashed.pid, 'SIGKILL');
    expect(await crashed.ended).toContain('SIGKILL');
    const postgres = await startEmbeddedPostgres({ dataFolder: folder });
    expect(await query(postgres.migrationUrl, 'select n from public.kept')).toEqual([{ n: 42 }]);
    await postgres.stop();
  });

  test('is not fooled by the pid of another process in a stale pid file', async () => {
    const crashed = await startEmbeddedPostgres({ dataFolder: folder });
    const pidFile = join(folder, 'postgres', 'postmaster.pid');
    const text = await readFile(pidFile, 'utf8');
    process.kill(crashed.pid, 'SIGKILL');
    await crashed.ended;
    await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)));
    const postgres = await startEmbeddedPostgres({ dataFolder: folder });
    expect(await query(postgres.migrationUrl, 'select n from public.kept')).toEqual([{ n: 42 }]);
    await postgres.stop();
  });

  test('says what is wrong when it can not start', async () => {
    await expect(
      startEmbeddedPostgres({ dataFolder: folder, settings: ['shared_buffers=nonsense'] }),
    ).rejects.toMatchObject({
      code: 'database_unavailable',
    });
  });

  test('refuses data of another major version, and data without its passwords', async () => {
    const versionFile = join(folder, 'postgres', 'PG_VERSION');
    const version = await readFile(versionFile, 'utf8');
    await writeFile(versionFile, '14\n');
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toMatchObject({ code: 'database_too_old' });
    await writeFile(versionFile, version);
    await unlink(join(folder, 'postgres.json'));
    await expect(startEmbeddedPostgres({ dataFolder: folder })).rejects.toMatchObject({ code: 'missing_key' });
    expect(await readdir(folder)).not.toContain('postgres.json');
  });
});

test('an interrupted first start, below a path too long for a socket, is begun again', async () => {
  const deep = join(folder, 'x'.repeat(120));
  await mkdir(join(deep, 'postgres.new', 'base'), { recursive: true });
  const postgres = await startEmbeddedPostgres({ dataFolder: deep });
  expect(await query(postgres.databaseUrl, 'select 1 as one').catch((error: { code: string }) => error.code)).toBe(
    '28P01',
  );
  expect(await query(postgres.migrationUrl, 'select 1 as one')).toEqual([{ one: 1 }]);
  await postgres.stop();
});
