import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FsckFinding } from '../../src/ledger/fsck.js';
import type { Projection } from '../../src/ledger/projection.js';
import { ProjectionRunner, rebuildProjection } from '../../src/ledger/projection-runner.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { splitPage } from '../../src/ledger/page.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { changeAsSuperuser, runFsck } from './fsck-support.js';
import * as support from './support.js';
import { caughtUp, createDatabase, decisions, makePacks, openStore, runSequencer } from './support.js';

const SIZE = 2n + 100n * 6n;
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let reader: LedgerReader;
let running: support.Running | undefined;

beforeEach(async () => {
  test = await createDatabase();
  eventLog = new MemoryEventLog([decisions]);
  const store = openStore(test);
  running = await runSequencer(eventLog, store);
  reader = new LedgerReader({ database: test.database, store, hasher: nodeHasher, watch: running.watch });
  for (const pack of [support.preamble(), ...makePacks(100, 6)]) await eventLog.append(decisions, pack);
  await caughtUp(test, eventLog);
  await reader.publicationOf(await reader.log('decisions/0/g1'), SIZE, 10_000);
  await support.until(() => [...eventLog.remembered.values()].some((note) => note.includes(`\n${SIZE}\n`)));
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await test.drop();
});

const check = (projections?: Projection[]): Promise<FsckFinding[]> => runFsck(test, reader, eventLog, projections);
const asSuperuser = (...statements: string[]): Promise<void> => changeAsSuperuser(test, ...statements);

describe('fsck', () => {
  it('finds nothing in a ledger nobody touched', async () => {
    expect(await check()).toEqual([]);
  });

  it('names the entry of which one byte was changed, in a full tile', async () => {
    const log = await reader.log('decisions/0/g1');
    const target = 100n;
    const { rows } = await test.database.query<{ first_index: bigint; count: number; entries: Buffer }>(
      'select * from keelson.page where first_index <= $1 order by first_index desc limit 1',
      [target],
    );
    const row = rows[0]!;
    const entries = [...splitPage({ firstIndex: row.first_index, count: row.count, entries: row.entries })];
    const entry = entries[Number(target - row.first_index)]!;
    const at = entry.byteOffset - row.entries.byteOffset + entry.length - 1;
    await asSuperuser(
      `update keelson.page set entries = set_byte(entries, ${at}, get_byte(entries, ${at}) # 1)
       where log = ${log.id} and first_index = ${row.first_index}`,
    );
    expect(await check()).toMatchObject([{ log: 'decisions/0/g1', what: 'entry', index: target }]);
  });

  it('names the batch of an entry changed behind the last full tile', async () => {
    await asSuperuser(
      `update keelson.page set entries = set_byte(entries, octet_length(entries) - 1, 1)
       where first_index = (select max(first_index) from keelson.page)`,
    );
    const findings = await check();
    expect(findings[0]).toMatchObject({ what: 'checkpoint' });
    expect(findings[0]!.index).toBeGreaterThanOrEqual(512n);
    expect(findings.some(({ what }) => what === 'memory')).toBe(true);
  });

  it('names a tile of which one byte was changed', async () => {
    await asSuperuser(
      `update keelson.tile set hashes = set_byte(hashes, 32 * 7, get_byte(hashes, 32 * 7) # 1) where number = 1`,
    );
    expect(await check()).toMatchObject([
      { what: 'tile', index: 256n },
      { what: 'tile', index: 256n },
    ]);
  });

  it('names a checkpoint that was changed', async () => {
    await asSuperuser(`update keelson.checkpoint set root = set_byte(root, 0, get_byte(root, 0) # 1)
      where size = (select max(size) from keelson.checkpoint)`);
    const findings = await check();
    expect(findings.map(({ what }) => what)).toEqual(expect.arrayContaining(['checkpoint', 'publication']));
    expect(findings.every(({ log }) => log === 'decisions/0/g1')).toBe(true);
  });

  it('says from where on the last entries were dropped', async () => {
    await asSuperuser(`delete from keelson.page where first_index >= (select max(first_index) from keelson.page)`);
    const { rows } = await test.database.query<{ next: bigint }>(
      'select max(first_index + count) as next from keelson.page',
    );
    expect(await check()).toEqual(
      expect.arrayContaining([expect.objectContaining({ what: 'page', index: rows[0]!.next })]),
    );
  });

  it('misses entries that were dropped with everything that counted them', async () => {
    await asSuperuser(
      'delete from keelson.publication where size > 300',
      'create temporary table kept on commit drop as select max(size) as size from keelson.checkpoint where size <= 300',
      'delete from keelson.page where first_index >= (select size from kept)',
      'delete from keelson.checkpoint where size > (select size from kept)',
      'delete from keelson.dedupe where first_index >= (select size from kept)',
      'delete from keelson.tile where number >= 1 or level > 0',
      'update keelson.head set size = (select size from kept)',
    );
    const findings = await check();
    expect(findings.some(({ what, index }) => what === 'memory' && index! <= 300n)).toBe(true);
  });

  it('names two entries that were swapped', async () => {
    const { rows } = await test.database.query<{ first_index: bigint; count: number; entries: Buffer }>(
      'select * from keelson.page where count > 3 and first_index < 200 order by first_index limit 1',
    );
    const { first_index, count, entries } = rows[0]!;
    const split = [...splitPage({ firstIndex: first_index, count, entries })];
    [split[1], split[2]] = [split[2]!, split[1]!];
    const swapped = Buffer.concat(
      split.flatMap((entry) => [Buffer.from([entry.length >> 8, entry.length & 255]), entry]),
    );
    await asSuperuser(
      `update keelson.page set entries = '\\x${swapped.toString('hex')}' where first_index = ${first_index}`,
    );
    const findings = await check();
    const indexes = findings.filter(({ what }) => what === 'entry').map(({ index }) => index);
    expect(indexes).toEqual(expect.arrayContaining([first_index + 1n, first_index + 2n]));
  });

  it('names a forged signature', async () => {
    await asSuperuser(`update keelson.publication set note = replace(note, 'a', 'b') where size = ${SIZE}`);
    expect(await check()).toMatchObject([{ what: 'publication', index: SIZE }]);
  });
});

/** Counts entries and bytes per log. */
const counting: Projection = {
  name: 'counting',
  async open(tx, schema) {
    if (schema === 'keelson')
      await tx.query('create table if not exists counted.total (log text primary key, entries int, bytes int)');
    const table = schema === 'keelson' ? 'counted.total' : `${schema}.total`;
    return {
      async fold(inner, { log, pages }) {
        const entries = pages.flatMap((page) => [...splitPage(page)]);
        const bytes = entries.reduce((sum, { length }) => sum + length, 0);
        await inner.query(
          `insert into ${table} as t values ($1, $2, $3) on conflict (log)
           do update set entries = t.entries + $2, bytes = t.bytes + $3`,
          [log.path, entries.length, bytes],
        );
      },
    };
  },
  clear: async (tx) => void (await tx.query('delete from counted.total')),
  createScratch: async (tx, schema) =>
    void (await tx.query(`create table ${schema}.total (log text primary key, entries int, bytes int)`)),
  async *compare(tx, _live, scratch) {
    const { rows } = await tx.query<{ log: string }>(`(table counted.total except table ${scratch}.total) union all
      (table ${scratch}.total except table counted.total)`);
    for (const { log } of rows) yield { log, reason: 'another count' };
  },
};

describe('ProjectionRunner', () => {
  it('folds what was there and what comes, rebuilds, and fsck compares', async () => {
    await test.tamper('create schema counted; grant all on schema counted to keelson_writer');
    const { database } = test;
    const options = { database, reader, watch: running!.watch, logger: support.logger, projection: counting };
    const total = async () =>
      (await database.query<{ entries: number; bytes: number }>('select entries, bytes from counted.total')).rows[0];
    const runner = new ProjectionRunner(options);
    runner.start();
    try {
      await runner.waitUntil('decisions/0/g1', SIZE, 20_000);
      for (const pack of makePacks(10, 6, 'more')) await eventLog.append(decisions, pack);
      await runner.waitUntil('decisions/0/g1', SIZE + 60n, 20_000);
      const before = await total();
      expect(before?.entries).toBe(Number(SIZE) + 60);

      await rebuildProjection(database, counting);
      await support.until(async () => (await total())?.entries === before?.entries);
      expect(await total()).toEqual(before);
      await expect(runner.waitUntil('decisions/0/g1', SIZE + 61n, 20)).rejects.toMatchObject({ code: 'timeout' });
    } finally {
      await runner.close();
    }
    await test.tamper('grant all on all tables in schema counted to public');
    expect(await check([counting])).toEqual([]);
    await test.tamper('update counted.total set bytes = bytes + 1');
    expect(await check([counting])).toMatchObject([
      { log: 'decisions/0/g1', what: 'projection' },
      { what: 'projection' },
    ]);
    await test.tamper('update keelson.projection_position set next_index = next_index + 5');
    expect(await check([counting])).toMatchObject([{ log: 'decisions/0/g1', what: 'projection', index: SIZE + 60n }]);
  });
});
