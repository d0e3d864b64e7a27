import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase, type Database } from '../../src/platform/database.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let created: TestDatabase;
let database: Database;
beforeAll(async () => {
  created = await createDatabase();
  database = created.database;
});
afterAll(() => created.drop());

describe('a database', () => {
  test('gives whole numbers as bigint and times with all their digits', async () => {
    const { rows } = await database.query(
      `select 9223372036854775807::int8 as big, 7::int4 as small, array[1, null, -9223372036854775808]::int8[] as list,
       '2024-01-20 10:30:00.123456+00'::timestamptz as at, '{}'::int8[] as none`,
    );
    expect(rows).toEqual([
      {
        big: 9223372036854775807n,
        small: 7,
        list: [1n, null, -9223372036854775808n],
        at: '2024-01-20 10:30:00.123456+00',
        none: [],
      },
    ]);
  });

  test('logs in as the writer role, which owns nothing', async () => {
    const { rows } = await database.query('select current_user::text as role');
    expect(rows).toEqual([{ role: 'keelson_writer' }]);
    await expect(database.query('create table keelson.mine (n int)')).rejects.toMatchObject({ code: '42501' });
  });

  test('a transaction commits, or leaves nothing', async () => {
    await created.tamper('create table public.t (n int8); grant all on public.t to keelson_writer');
    await database.transaction((client) => client.query('insert into t values (1)'));
    await expect(
      database.transaction(async (client) => {
        await client.query('insert into t values (2)');
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect((await database.query('select n from t')).rows).toEqual([{ n: 1n }]);
  });

  test('a transaction whose failed statement was swallowed does not look committed', async () => {
    await expect(
      database.transaction(async (client) => {
        await client.query('select 1/0').catch(() => undefined);
      }),
    ).rejects.toThrow('ROLLBACK');
  });

  test('a connection cut inside a transaction is unavailable, and the pool goes on', async () => {
    await expect(
      database.transaction(async (client) => {
        const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
        await created.tamper('select pg_terminate_backend($1)', [rows[0]!.pid]);
        await client.query('select 1');
      }),
    ).rejects.toMatchObject({ code: 'database_unavailable' });
    expect((await database.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a slow statement is a timeout, a held lock is unavailable', async () => {
    const hasty = created.open({ statementTimeoutMs: 50 });
    await expect(hasty.query('select pg_sleep(10)')).rejects.toMatchObject({ code: 'timeout' });
    const waiting = created.open({ lockTimeoutMs: 50 });
    await database.transaction(async (client) => {
      await client.query('select pg_advisory_xact_lock(1)');
      await expect(waiting.query('select pg_advisory_lock(1)')).rejects.toMatchObject({ code: 'database_unavailable' });
    });
  });

  test.each([
    ['nobody listens', 'postgresql://x:y@127.0.0.1:1/z'],
    ['no such socket', 'postgresql://x:y@localhost/z?host=%2Fnowhere'],
  ])('unavailable when %s', async (_, url) => {
    const options = { applicationName: 'x', poolSize: 1, connectTimeoutMs: 2_000 };
    const absent = openDatabase({
      ...options,
      url,
      statementTimeoutMs: 0,
      lockTimeoutMs: 0,
      idleInTransactionTimeoutMs: 0,
    });
    await expect(absent.query('select 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    await absent.close();
  });

  test('a wrong password is unavailable, and a bug in SQL stays what it is', async () => {
    const wrong = created.open({ url: created.url.replace(/:[^:@/]+@/, ':wrong@') });
    await expect(wrong.query('select 1')).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(database.query('select nonsense')).rejects.toMatchObject({ code: '42703' });
  });
});
