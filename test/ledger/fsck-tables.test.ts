/** fsck over everything that stands beside the entries: each table changed in turn, and put back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FsckFinding } from '../../src/ledger/fsck.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { openingRecord } from '../support/ledger-files.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { changeAsSuperuser, runFsck } from './fsck-support.js';
import * as support from './support.js';
import { caughtUp, createDatabase, decisions, makePacks, openStore, runSequencer } from './support.js';

const SIZE = 2n + 100n * 6n;
const TABLES = ['log', 'page', 'tile', 'checkpoint', 'publication', 'head', 'dedupe', 'log_schema', 'refused'];
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let reader: LedgerReader;
let running: support.Running;

beforeAll(async () => {
  test = await createDatabase();
  eventLog = new MemoryEventLog([decisions]);
  const store = openStore(test);
  running = await runSequencer(eventLog, store);
  reader = new LedgerReader({ database: test.database, store, hasher: nodeHasher, watch: running.watch });
  for (const pack of [support.preamble(), ...makePacks(100, 6)]) await eventLog.append(decisions, pack);
  await eventLog.append(decisions, support.makePack(support.makeRecord('e1/1', 'other content')));
  await caughtUp(test, eventLog);
  await support.until(() => [...eventLog.remembered.values()].some((note) => note.includes(`\n${SIZE + 1n}\n`)));
  await test.tamper(
    `create schema saved; ${TABLES.map((table) => `create table saved.${table} as table keelson.${table}`).join(';')}`,
  );
  expect(await check()).toEqual([]);
});
afterAll(async () => {
  await running.stop();
  await test.drop();
});

const check = (): Promise<FsckFinding[]> => runFsck(test, reader, eventLog);
const asSuperuser = (...statements: string[]): Promise<void> => changeAsSuperuser(test, ...statements);
const putBack = (): Promise<void> =>
  asSuperuser(
    ...TABLES.flatMap((table) => [
      `delete from keelson.${table}`,
      `insert into keelson.${table} overriding system value select * from saved.${table}`,
    ]),
  );

describe('fsck finds what a superuser changes beside the entries:', () => {
  const last = '(select max(size) from keelson.checkpoint)';
  const some = '(select max(first_index) from keelson.dedupe where first_index < 300)';
  const sizes = '(select size from keelson.publication order by size desc limit 1 offset 1)';
  const swapTiles = [0, 1].map(
    (number) => `update keelson.tile set hashes = old.hashes, root = old.root from old
                 where tile.level = 0 and old.level = 0 and tile.number = ${number} and old.number = ${1 - number}`,
  );
  it.each<[string, string | string[], FsckFinding['what'], bigint?]>([
    ['duplicate keys that are gone', `delete from keelson.dedupe where first_index = ${some}`, 'dedupe'],
    ['all duplicate keys gone', 'delete from keelson.dedupe', 'dedupe', 0n],
    [
      'a duplicate key that is another one’s',
      `update keelson.dedupe set slots = set_byte(slots, 40, get_byte(slots, 40) # 1) where first_index = ${some}`,
      'dedupe',
    ],
    ['duplicate keys that date back', `update keelson.dedupe set greatest_us = greatest_us - 9000000000`, 'dedupe'],
    ['duplicate keys of the future', `update keelson.dedupe set greatest_us = greatest_us + 9000000000`, 'dedupe', 0n],
    ['a clock put back', 'update keelson.head set greatest_us = greatest_us - 9000000000', 'head', 0n],
    ['a clock put forward', 'update keelson.head set greatest_us = greatest_us + 691200000000', 'head', SIZE + 1n],
    ['a schema forgotten', 'delete from keelson.log_schema', 'schema', 1n],
    ['a schema made up', `insert into keelson.log_schema values (1, '\\x0909090909090909', 7)`, 'schema', 7n],
    ['a log that was never opened', 'update keelson.head set opened = false', 'head', 0n],
    ['refused bytes that are gone', 'delete from keelson.refused', 'refused', SIZE],
    ['refused bytes that are others', `update keelson.refused set bytes = '\\x00'`, 'refused', SIZE],
    ['another reason to refuse', 'update keelson.refused set reason = 1', 'refused', SIZE],
    ['bytes nobody refused', `insert into keelson.refused values (1, 5, 1, '\\x00')`, 'refused', 5n],
    ['an offset taken back', `update keelson.checkpoint set next_offset = 1 where size = ${last}`, 'checkpoint'],
    ['an offset taken early', `update keelson.checkpoint set next_offset = 90 where size < 100`, 'checkpoint'],
    ['a head behind', 'update keelson.head set next_offset = 50, last_offset = 49', 'head'],
    ['another last message', `update keelson.head set last_hash = set_byte(last_hash, 3, 0)`, 'head'],
    ['another beginning', 'update keelson.checkpoint set root = set_byte(root, 3, 0) where size = 0', 'checkpoint', 0n],
    ['no beginning', 'delete from keelson.checkpoint where size = 0', 'checkpoint', 0n],
    ['a publication gone', `delete from keelson.publication where size = ${sizes}`, 'publication'],
    ['the newest publications gone', 'delete from keelson.publication where size > 300', 'memory'],
    ['all publications gone', 'delete from keelson.publication', 'memory'],
    [
      'a publication of a size that never was',
      `insert into keelson.publication select log, size + 7, root, size, note from keelson.publication
       order by size desc limit 1`,
      'publication',
    ],
    [
      'two tiles swapped',
      ['create temporary table old on commit drop as table keelson.tile', ...swapTiles],
      'tile',
      0n,
    ],
    [
      'a tile too many',
      'insert into keelson.tile select 7, log, level, root, hashes from keelson.tile where number = 0',
      'tile',
    ],
    ['a tile gone', 'delete from keelson.tile where number = 1', 'tile', 256n],
    [
      'a page cut short',
      'update keelson.page set entries = substr(entries, 1, octet_length(entries) - 1) where first_index = 0',
      'page',
      0n,
    ],
    ['a page that counts too few', 'update keelson.page set count = count - 1 where first_index = 0', 'page', 0n],
    [
      'an entry in two pages',
      'insert into keelson.page select first_index + 1, count, log, entries from keelson.page where first_index = 0',
      'page',
      1n,
    ],
    ['a page given to another log', 'update keelson.page set log = 9 where first_index = 0', 'page', 0n],
    ['a log without a name', 'delete from keelson.log', 'log'],
    ['a log with another name', `update keelson.log set path = 'lifecycle/0/g1'`, 'log'],
    ['a log under another origin', `update keelson.log set origin = 'x/lifecycle/0/g1'`, 'log'],
  ])('%s', async (name, statements, what, index) => {
    await asSuperuser(...[statements].flat());
    const found = await check();
    await putBack();
    expect(found).toContainEqual(expect.objectContaining({ what, ...(index !== undefined && { index }) }));
    // Blamed on what was changed, and the entries, which nobody changed, on nothing.
    if (what !== 'page') expect(found.filter((finding) => finding.what === 'entry')).toEqual([]);
    if (name === 'two tiles swapped')
      expect(found.filter((one) => one.what === 'tile').map((one) => one.index)).toEqual([0n, 256n]);
  });
});

describe('fsck of the logs that there must be', () => {
  const lifecycle = { topic: 'lifecycle', partition: 0 } as const;
  const origins = ['lifecycle/0/g1', 'decisions/0/g1'].map((path) => `${support.ledgerName}/${path}`);
  const hidden = `${support.ledgerName}/decisions/1/g1`;

  it.each([
    ['misses none that is there', origins, []],
    ['misses one that the lifecycle log opens with', [...origins, hidden], [{ log: hidden, what: 'log' }]],
  ])('%s', async (_, named, expected) => {
    const record = openingRecord({ ledger: support.ledgerName, origin: origins[0]!, origins: named });
    record.set(support.OPENED, 2);
    const own = new MemoryEventLog([lifecycle]);
    await own.append(lifecycle, support.makePack({ record, digest: new Uint8Array(16) }));
    const one = await runSequencer(own, openStore(test));
    await support.until(async () => {
      const { rows } = await test.database.query('select from keelson.publication where log <> 1 and size = 1');
      return rows.length === 1;
    });
    await one.stop();
    eventLog.messages.set('lifecycle/0', own.messages.get('lifecycle/0')!);
    const found = await check();
    await putBack();
    expect(found).toEqual(expected.map((finding) => expect.objectContaining(finding) as unknown));
  });
});

describe('fsck beside a server that writes', () => {
  it('finds nothing, whenever it looks', async () => {
    let writing = true;
    const written = (async () => {
      for (let i = 0; writing; i++) {
        await eventLog.append(decisions, makePacks(1, 50, `more ${i}/`)[0]!);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    try {
      const { size } = await support.headOf(test);
      for (let i = 0; i < 5; i++) expect(await check()).toEqual([]);
      expect((await support.headOf(test)).size).toBeGreaterThan(size);
    } finally {
      writing = false;
      await written;
    }
  });
});
