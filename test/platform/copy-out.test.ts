import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyOut } from '../../src/platform/copy-out.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

let test: TestDatabase;
beforeAll(async () => {
  test = await createDatabase();
});
afterAll(() => test.drop());

describe('copyOut', () => {
  it('gives every byte as it is, nulls, and rows bigger than what the socket brings at once', async () => {
    const rows = await copyOut(
      test.database.pool,
      `select n::int8, case when n % 3 <> 0 then n end, (select string_agg(set_byte('\\x00', 0, i % 256), '' order by i)
         from generate_series(0, n * 70000) i) from generate_series(0, 6) n order by n`,
    );
    expect(rows.length).toBe(7);
    rows.forEach(([index, sometimes, bytes], n) => {
      expect(index!.readBigInt64BE()).toBe(BigInt(n));
      expect(sometimes?.readInt32BE()).toBe(n % 3 === 0 ? undefined : n);
      expect(bytes!.equals(Buffer.from(Array.from({ length: n * 70_000 + 1 }, (_, i) => i % 256)))).toBe(true);
    });
  });

  it('gives no rows where there are none, and sees its own transaction', async () => {
    expect(await copyOut(test.database.pool, 'select 1 where false')).toEqual([]);
    await test.database.transaction(async (tx) => {
      await tx.query('create temp table mine (n int) on commit drop');
      await tx.query('insert into mine values (7)');
      const rows = await copyOut(tx, 'select n from mine');
      expect(rows.map(([n]) => n!.readInt32BE())).toEqual([7]);
      expect((await tx.query<{ n: number }>('select n from mine')).rows).toEqual([{ n: 7 }]);
    });
  });

  it('rejects what the server refuses, before and after the first row; the connection goes on', async () => {
    const client = await test.database.pool.connect();
    try {
      await expect(copyOut(client, 'select nothing')).rejects.toMatchObject({ code: '42703' });
      await expect(copyOut(client, 'select 1 / (3 - n) from generate_series(1, 5) n')).rejects.toMatchObject({
        code: '22012',
      });
      expect((await copyOut(client, 'select 1'))[0]![0]!.readInt32BE()).toBe(1);
    } finally {
      client.release();
    }
  });

  it('gives up a connection that says nothing', async () => {
    await expect(copyOut(test.database.pool, 'select pg_sleep(30)', 50)).rejects.toThrow('timeout');
    expect((await copyOut(test.database.pool, 'select 1')).length).toBe(1);
  });
});
