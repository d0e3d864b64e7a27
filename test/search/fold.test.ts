import fc from 'fast-check';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ProjectionDifference } from '../../src/ledger/projection.js';
import type { Facts, Row } from './facts.js';
import { EVERYTHING, type Filter } from '../../src/search/filter.js';
import { compareSearch } from '../../src/search/compare.js';
import { dropMergedPart, indexFullPart, keepParts, mergeParts } from '../../src/search/parts.js';
import { search, type SearchOptions } from '../../src/search/search.js';
import { clearTables, createTables } from '../../src/search/tables.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { appendRows, clear, foldBatches, keepHouse, makeLogs, openFold, SCHEMA, storePosition } from './harness.js';
import { factsArbitrary, searchModel, subjectOf } from './model.js';

const RULE = { smallRows: 2, fan: 2, maxRows: 1000 };
let test: TestDatabase;
let logs: number[];
let options: SearchOptions;

beforeAll(async () => {
  test = await createDatabase();
  logs = await makeLogs(test.database, 2);
  options = { database: test.database, schema: SCHEMA, timeoutMs: 10_000 };
});
afterAll(() => test.drop());
beforeEach(() => clear(test.database));

const someFacts = (count: number): Facts[] =>
  fc.sample(factsArbitrary, { numRuns: count, seed: 7 }).map((facts, i) => ({ ...facts, eventId: `event-${i}` }));

/** Two logs by turns, three rows a batch. */
function someBatches(count: number): Row[][] {
  const batches: Row[][] = [];
  someFacts(count).forEach((facts, i) => {
    const turn = Math.floor(i / 3);
    const row: Row = {
      log: logs[turn % 2]!,
      index: BigInt(Math.floor(turn / 2) * 3 + (i % 3)),
      appendedAtUs: BigInt(i),
      facts,
    };
    if (i % 3 === 0) batches.push([row]);
    else batches.at(-1)!.push(row);
  });
  return batches;
}

const places = (hits: readonly { log: number; index: bigint }[]): string[] =>
  hits.map(({ log, index }) => `${log}/${index}`);

async function expectComplete(batches: readonly (readonly Row[])[]): Promise<void> {
  const rows = batches.flat();
  const page = await search(options, EVERYTHING, 'asc', 1000);
  expect(places(page.hits)).toEqual(places(searchModel(rows, EVERYTHING, 'asc')));
  for (const { facts } of rows.slice(0, 10)) {
    const filter: Filter = { ...EVERYTHING, things: [{ kind: 'event', text: facts.eventId }] };
    const { hits } = await search(options, filter, 'desc', 10);
    expect(places(hits)).toEqual(places(searchModel(rows, filter, 'desc')));
  }
}

/** Runs `work` with the n-th statement of its transaction failing: before it is run, or after. Answers whether it came to that. */
async function withFault(
  n: number,
  when: 'lost' | 'reported lost',
  work: (tx: PoolClient) => Promise<unknown>,
): Promise<boolean> {
  const client = await test.database.pool.connect();
  let count = 0;
  let failed = false;
  const fail = (): never => {
    failed = true;
    throw new Error('the connection is gone');
  };
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const faulty = async (...args: unknown[]): Promise<unknown> => {
    const mine = ++count === n;
    if (mine && when === 'lost') fail();
    const result = await query(...args);
    if (mine) fail();
    return result;
  };
  // COPY is handed to the connection and answers through itself: it counts, and fails before.
  const proxy = new Proxy(client, {
    get: (target, name) => {
      if (name !== 'query') return Reflect.get(target, name) as unknown;
      return (first: unknown, ...rest: unknown[]) => {
        if (typeof first === 'string') return faulty(first, ...rest);
        if (++count === n) fail();
        return query(first, ...rest);
      };
    },
  });
  try {
    await proxy.query('begin');
    await work(proxy);
    await proxy.query('commit');
  } catch (error) {
    if (!failed) throw error;
    await client.query('rollback');
  } finally {
    client.release();
  }
  return failed;
}

describe('a crash between any two writes', () => {
  it.each(['lost', 'reported lost'] as const)('of folding: %s', async (when) => {
    const batches = someBatches(12);
    for (let n = 1, more = true; more; n++) {
      await clear(test.database);
      await foldBatches(test.database, batches.slice(0, 2), 4, 2);
      // The third batch meets the fault, and is folded again from the position that the database holds.
      const batch = batches[2]!;
      more = await withFault(n, when, async (tx) => {
        const fold = await openFold(tx, 4, 2);
        await appendRows(fold, tx, batch);
        await storePosition(tx, batch[0]!.log, batch.at(-1)!.index + 1n);
      });
      const { rows } = await test.database.query<{ next_index: bigint }>(
        'select next_index from keelson.projection_position where log = $1',
        [batch[0]!.log],
      );
      await foldBatches(test.database, rows[0]!.next_index > batch[0]!.index ? [] : [batch], 4, 2);
      await foldBatches(test.database, batches.slice(3), 4, 2);
      await keepHouse(test.database, undefined);
      await expectComplete(batches);
    }
  });

  it.each([
    ['indexing', indexFullPart],
    ['merging', (tx: PoolClient, schema: string) => mergeParts(tx, schema, RULE)],
    ['dropping', dropMergedPart],
  ] as const)('of %s, lost or reported lost', async (what, work) => {
    const batches = someBatches(18);
    for (const when of ['lost', 'reported lost'] as const) {
      for (let n = 1, more = true; more; n++) {
        await clear(test.database);
        await foldBatches(test.database, batches, 4, 2);
        if (what !== 'indexing') await keepHouse(test.database, undefined);
        if (what === 'dropping') await test.database.transaction((tx) => mergeParts(tx, SCHEMA, RULE));
        more = await withFault(n, when, (tx) => work(tx, SCHEMA));
        await expectComplete(batches);
        await keepHouse(test.database, RULE);
        await expectComplete(batches);
        expect(await differences()).toEqual([]);
      }
    }
  });
});

const SCRATCH = 'search_scratch';

/** Differences between the live projection and one refolded from these batches; of the summary alone without them. */
async function differences(batches?: readonly (readonly Row[])[]): Promise<ProjectionDifference[]> {
  if (batches !== undefined) {
    await test.tamper(
      `drop schema if exists ${SCRATCH} cascade; create schema ${SCRATCH} authorization keelson_writer`,
    );
  }
  return test.database.transaction(async (tx) => {
    const scratch = batches === undefined ? SCHEMA : SCRATCH;
    if (batches !== undefined) {
      await createTables(tx, scratch);
      const fold = await openFold(tx, Infinity, Infinity, 100, scratch);
      for (const batch of batches) await appendRows(fold, tx, batch);
    }
    const found: ProjectionDifference[] = [];
    for await (const difference of compareSearch(tx, SCHEMA, scratch)) found.push(difference);
    return found;
  });
}

/** The same rows, each log's in order, cut and interleaved otherwise. */
function dealAnew(batches: readonly (readonly Row[])[], cut: number): Row[][] {
  return logs
    .toReversed()
    .map((log) => batches.flat().filter((row) => row.log === log))
    .flatMap((rows) =>
      Array.from({ length: Math.ceil(rows.length / cut) }, (_, i) => rows.slice(i * cut, (i + 1) * cut)),
    );
}

describe('the state', () => {
  it.each([1, 4, 100])('does not depend on how logs interleave and batches are cut (%d)', async (cut) => {
    const batches = someBatches(30);
    await foldBatches(test.database, batches, 7, 3);
    await keepHouse(test.database, RULE);
    expect(await differences(dealAnew(batches, cut))).toEqual([]);
  });

  it('is the same after a rebuild, whose integers are new ones', async () => {
    const batches = someBatches(30);
    await foldBatches(test.database, batches, 7, 3);
    await keepHouse(test.database, RULE);
    const before = await test.database.query<{ id: number }>(`select max(id) as id from ${SCHEMA}.name`);
    await clear(test.database);
    expect(await search(options, EVERYTHING, 'desc', 10)).toMatchObject({ hits: [] });
    await foldBatches(test.database, dealAnew(batches, 5), 4, 2);
    await expectComplete(batches);
    const after = await test.database.query<{ id: number }>(`select min(id) as id from ${SCHEMA}.name`);
    expect(after.rows[0]!.id).toBeGreaterThan(before.rows[0]!.id);
  });

  it('is told apart from another, row by row', async () => {
    const batches = someBatches(30);
    await foldBatches(test.database, batches, 7, 3);
    await keepHouse(test.database, RULE);
    const { rows } = await test.database.query<{ id: number }>(
      `select id from ${SCHEMA}.part where state = 'indexed' order by id`,
    );
    const part = `${SCHEMA}.part_${rows[0]!.id}`;
    const first = (
      await test.database.query<{ log: number; index: bigint }>(
        `select log, index from ${part} order by log, index limit 3`,
      )
    ).rows;
    const [changed, lost, doubled] = first as [(typeof first)[0], (typeof first)[0], (typeof first)[0]];
    const at = ({ log, index }: { log: number; index: bigint }): string => `where log = ${log} and index = ${index}`;
    const path = (log: number): string => `decisions/${logs.indexOf(log)}/g1`;
    await test.database.query(`update ${part} set keys = keys[2:] ${at(changed)}`);
    await test.database.query(`delete from ${part} ${at(lost)}`);
    await test.database.query(`insert into ${part} select * from ${part} ${at(doubled)}`);
    const found = await differences(batches);
    expect(found.filter(({ index }) => index !== undefined)).toEqual(
      [changed, lost, doubled].map(({ log, index }) => ({
        log: path(log),
        index,
        reason: expect.any(String) as string,
      })),
    );
    // One row fewer, one more: the counts are right, the summary is not.
    expect(found.some(({ index }) => index === undefined)).toBe(true);
  });

  it.each([
    [
      'a holding',
      `delete from ${SCHEMA}.holding where (name, part) in (select name, part from ${SCHEMA}.holding limit 1)`,
    ],
    ['a bound', `update ${SCHEMA}.part set last_appended_us = last_appended_us - 1 where state = 'indexed'`],
    ['a log', `update ${SCHEMA}.part set last_indexes[1] = 0 where state = 'indexed'`],
  ])('is told apart when %s of the summary is wrong', async (_, sql) => {
    await foldBatches(test.database, someBatches(30), 7, 3);
    await keepHouse(test.database, undefined);
    expect(await differences()).toEqual([]);
    await test.database.query(sql);
    expect(await differences()).not.toEqual([]);
  });

  it('is told apart by an alias', async () => {
    const alone: Facts = { ...someFacts(1)[0]!, linked: [] };
    const linked: Facts = { ...alone, linked: [subjectOf(1), subjectOf(2)] };
    const row = (facts: Facts): Row[][] => [[{ log: logs[0]!, index: 0n, appendedAtUs: 0n, facts }]];
    await foldBatches(test.database, row(linked), 7, 3);
    expect(await differences(row(linked))).toEqual([]);
    expect(await differences(row(alone))).not.toEqual([]);
  });
});

describe('a search beside housekeeping', () => {
  it('finds everything while parts are merged and dropped under it', async () => {
    const batches = someBatches(60);
    await foldBatches(test.database, batches, 3, 1);
    let over = false;
    const house = keepHouse(test.database, RULE).finally(() => (over = true));
    let rounds = 0;
    while (!over || rounds === 0) {
      const page = await search(options, EVERYTHING, 'desc', 1000);
      expect(page.hits.length).toBe(60);
      rounds++;
    }
    await house;
    expect(await differences(batches)).toEqual([]);
  });

  it('drops no part while somebody reads them all', async () => {
    await foldBatches(test.database, someBatches(30), 7, 3);
    await keepHouse(test.database, undefined);
    await test.database.transaction((tx) => mergeParts(tx, SCHEMA, RULE));
    const drop = (): Promise<boolean> => test.database.transaction((tx) => dropMergedPart(tx, SCHEMA));
    await test.database.transaction(async (tx) => {
      await keepParts(tx);
      expect(await drop()).toBe(false);
    });
    expect(await drop()).toBe(true);
  });

  it('says not_ready where there is no projection yet', async () => {
    const empty = await createDatabase();
    try {
      const [log] = await makeLogs(empty.database, 1);
      await empty.database.transaction((tx) => storePosition(tx, log!, 1n));
      const begun = search({ ...options, database: empty.database }, EVERYTHING, 'desc', 10);
      await expect(begun).rejects.toMatchObject({ code: 'not_ready' });
    } finally {
      await empty.drop();
    }
  });

  it('refuses to go on from a page that a rebuild has not reached yet', async () => {
    const batches = someBatches(12);
    await foldBatches(test.database, batches, 7, 3);
    const page = await search(options, EVERYTHING, 'desc', 2);
    await test.database.transaction((tx) => clearTables(tx, SCHEMA));
    await test.database.query('delete from keelson.projection_position');
    await expect(search(options, EVERYTHING, 'desc', 2, page.next)).rejects.toMatchObject({ code: 'not_ready' });
    await foldBatches(test.database, batches, 7, 3);
    expect((await search(options, EVERYTHING, 'desc', 100, page.next)).hits.length).toBe(10);
  });
});
