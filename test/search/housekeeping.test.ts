import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Facts, Row } from './facts.js';
import { Housekeeper } from '../../src/search/housekeeping.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { clear, foldBatches, makeLogs, SCHEMA } from './harness.js';

let test: TestDatabase;
let log: number;

beforeAll(async () => {
  test = await createDatabase();
  [log] = (await makeLogs(test.database, 1)) as [number];
});
afterAll(() => test.drop());
beforeEach(() => clear(test.database));

const facts: Facts = {
  eventId: 'e',
  type: 'decision.made',
  occurredAtUs: 0n,
  producer: 'gateway',
  agents: ['a'],
  principals: [],
  policies: [],
  tokens: [],
  sessions: [],
};
const rows = (from: number, count: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({ log, index: BigInt(from + i), appendedAtUs: BigInt(from + i), facts }));

async function states(): Promise<Record<string, number>> {
  const found = await test.database.query<{ state: string; count: bigint }>(
    `select state, count(*) from ${SCHEMA}.part group by state`,
  );
  return Object.fromEntries(found.rows.map(({ state, count }) => [state, Number(count)]));
}

const makeHousekeeper = (waiting: number, errors: unknown[]): Housekeeper =>
  new Housekeeper(
    {
      database: test.database,
      schema: SCHEMA,
      rule: { smallRows: 2, fan: 4, maxRows: 100 },
      onError: (error) => errors.push(error),
    },
    waiting,
  );

describe('Housekeeper', () => {
  it('indexes what a fold before it left, then what this one fills, and merges when it is quiet', async () => {
    const errors: unknown[] = [];
    await foldBatches(test.database, [rows(0, 4)], 2, 2);
    const keeper = makeHousekeeper(2, errors);
    await keeper.indexed();
    expect(await states()).toEqual({ open: 1, indexed: 2 });
    await foldBatches(test.database, [rows(4, 4)], 2, 2);
    keeper.filled(2);
    await keeper.indexed();
    expect(await states()).toEqual({ open: 1, indexed: 4 });
    // One round merges, the next one drops.
    while ((await states()).indexed !== 1 || (await states()).dropped !== undefined) keeper.quiet();
    expect(await states()).toEqual({ open: 1, indexed: 1 });
    await keeper.close();
    expect(errors).toEqual([]);
  });

  it('lets a fold wait while too many parts have no indexes, and only then', async () => {
    await foldBatches(test.database, [rows(0, 12)], 2, 2);
    const keeper = makeHousekeeper(6, []);
    await keeper.room();
    expect((await states()).full ?? 0).toBeLessThanOrEqual(4);
    await keeper.close();
  });

  it('tells what failed, and goes on', async () => {
    const errors: unknown[] = [];
    await foldBatches(test.database, [rows(0, 4)], 2, 2);
    const hidden = `alter table ${SCHEMA}.part_%s rename to hidden`;
    const { rows: full } = await test.database.query<{ id: number }>(
      `select id from ${SCHEMA}.part where state = 'full' order by id`,
    );
    await test.database.query(hidden.replace('%s', String(full[0]!.id)));
    const keeper = makeHousekeeper(2, errors);
    await keeper.indexed();
    expect(errors.length).toBe(1);
    await test.database.query(`alter table ${SCHEMA}.hidden rename to part_${full[0]!.id}`);
    await keeper.indexed();
    expect(await states()).toEqual({ open: 1, indexed: 2 });
    await keeper.close();
  });
});
