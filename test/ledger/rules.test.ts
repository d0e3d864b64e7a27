import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signCheckpoint } from '../../src/core/checkpoint.js';
import { parseEntry } from '../../src/core/entry.js';
import { digest } from '../../src/core/merkle.js';
import { formatPartition } from '../../src/eventlog/port.js';
import { entriesOf, readPages } from '../../src/ledger/page-reader.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { changeAsSuperuser } from './fsck-support.js';
import * as support from './support.js';
import {
  caughtUp,
  createDatabase,
  decisions,
  headOf,
  makePack,
  makePacks,
  makeRecord,
  openStore,
  preamble,
  runSequencer,
} from './support.js';

const DAY_US = 86_400_000_000n;
const origin = `${support.ledgerName}/decisions/0/g1`;
const name = formatPartition(decisions);
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let running: support.Running | undefined;

beforeEach(async () => {
  test = await createDatabase();
  eventLog = new MemoryEventLog([decisions]);
});
afterEach(async () => {
  await running?.stop();
  running = undefined;
  await test.drop();
});

async function append(...packs: Uint8Array[]): Promise<void> {
  for (const pack of packs) await eventLog.append(decisions, pack);
}

async function run(): Promise<support.Running> {
  running = await runSequencer(eventLog, openStore(test));
  return running;
}

async function restart(): Promise<support.Running> {
  await running?.stop();
  return run();
}

const entries = async () => {
  const { size } = await headOf(test);
  return entriesOf('decisions/0/g1', await readPages(test.database.pool, 1, 0n, size), 0n, size).map(parseEntry);
};
const codes = (one: support.Running): unknown[] =>
  one.sequencer.problems().map(({ error }) => (error as { code?: string }).code);
const published = async (): Promise<bigint[]> =>
  (await test.database.query<{ size: bigint }>('select size from keelson.publication order by size')).rows.map(
    ({ size }) => size,
  );

describe('duplicates', () => {
  it('are recognised for seven days of the log’s own time, before and after a restart', async () => {
    await append(preamble(), makePack(makeRecord('a')));
    await run();
    await caughtUp(test, eventLog);
    eventLog.nowUs += 7n * DAY_US - 10_000n;
    await append(makePack(makeRecord('a')));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(3n);

    await restart();
    await append(makePack(makeRecord('a')));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(3n);

    eventLog.nowUs += 20_000n;
    await append(makePack(makeRecord('a'), makeRecord('a')));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(4n);
    // From now on the key is the new entry's.
    eventLog.nowUs += 6n * DAY_US;
    await append(makePack(makeRecord('a')));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(4n);
  });

  it('are recognised at seven days to the microsecond, and not one later', async () => {
    const WEEK_US = 7n * DAY_US;
    const start = eventLog.nowUs;
    await append(preamble());
    const appendAt = async (us: bigint, ...ids: string[]): Promise<bigint> => {
      eventLog.nowUs = start + us;
      await append(makePack(...ids.map((id) => makeRecord(id))));
      await caughtUp(test, eventLog);
      return (await headOf(test)).size;
    };
    await run();
    expect(await appendAt(1_000n, 'a')).toBe(3n);
    expect(await appendAt(1_001n, 'b')).toBe(4n);
    expect(await appendAt(1_000n + WEEK_US, 'a', 'b')).toBe(4n);
    expect(await appendAt(1_001n + WEEK_US, 'a', 'b')).toBe(5n);
  });

  it('weeks that no log can need are dropped, others are not', async () => {
    await append(preamble(), ...makePacks(3));
    await run();
    await caughtUp(test, eventLog);
    eventLog.nowUs += 30n * DAY_US;
    await append(...makePacks(3, 1, 'later'));
    await caughtUp(test, eventLog);
    const drop = (): Promise<number> => openStore(test).dropOldSlots();
    expect(await drop()).toBe(1);
    expect(await drop()).toBe(0);
    await restart();
    await append(...makePacks(3, 1, 'later'));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(8n);
    await expect(test.database.query('select keelson.drop_dedupe_partitions(1)')).rejects.toThrow();
  });

  it('are kept for every week that one batch reaches into, when a backlog of weeks is read', async () => {
    await append(preamble());
    for (const pack of makePacks(5, 200)) {
      eventLog.nowUs += 9n * DAY_US;
      await append(pack);
    }
    await run();
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(1002n);
  });

  it('whose keys are gone stop the log, before one is taken twice', async () => {
    await append(preamble(), ...makePacks(3, 200));
    await run();
    await caughtUp(test, eventLog);
    for (const gone of ['first_index > 0 and first_index < 300', 'first_index > 300']) {
      await running!.stop();
      await test.tamper('create table kept as table keelson.dedupe');
      await changeAsSuperuser(test, `delete from keelson.dedupe where ${gone}`);
      await run();
      await support.until(() => codes(running!).length > 0);
      expect(codes(running!)).toEqual(['tampered']);
      await changeAsSuperuser(test, 'delete from keelson.dedupe', 'insert into keelson.dedupe table kept');
      await test.tamper('drop table kept');
    }
    await restart();
    await append(...makePacks(3, 200));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(602n);
  });

  it('with other content are conflicts: refused, kept, and the first entry stays', async () => {
    const other = makeRecord('a', 'other');
    await append(preamble(), makePack(makeRecord('a'), other), makePack(makeRecord('a', 'a third')));
    await run();
    await caughtUp(test, eventLog);
    const [, , first, refused, again] = await entries();
    expect(first).toMatchObject({ kind: 'record' });
    expect(refused).toMatchObject({ kind: 'refused', reason: 'conflict', place: 1 });
    expect(again).toMatchObject({ kind: 'refused', reason: 'conflict', offset: 2n });
    if (refused?.kind !== 'refused') throw new Error('not refused');
    expect(Buffer.from(refused.sha256)).toEqual(Buffer.from(digest(nodeHasher, other.record)));
    expect(Buffer.from(refused.dedupe)).toEqual(Buffer.from(other.record.subarray(10, 26)));
    const { rows } = await test.database.query<{ bytes: Buffer }>('select bytes from keelson.refused where index = 3');
    expect(rows[0]!.bytes).toEqual(other.record);
  });
});

describe('what the sequencer refuses', () => {
  it('unknown schemas until the log is told of them, malformed records and packs', async () => {
    const later = Buffer.from('0909090909090909', 'hex');
    const early = makeRecord('early', 'early', later);
    const broken = { record: Buffer.from('not a record'), digest: Buffer.alloc(16) };
    await append(
      preamble(),
      makePack(early),
      makePack(support.schemaRecord(later), early, support.schemaRecord(later), support.openedRecord()),
      makePack(broken, makeRecord('fine')),
      Buffer.from('not a pack'),
      makePack(makeRecord('after')),
    );
    await run();
    await caughtUp(test, eventLog);
    const seen = (await entries()).slice(2).map((entry) => (entry.kind === 'refused' ? entry.reason : entry.offset));
    expect(seen).toEqual(['unknown_schema', 2n, 2n, 'malformed_record', 3n, 'malformed_pack', 5n]);
    await restart();
    await append(makePack(makeRecord('of the later schema', '', later)), preamble());
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(10n);
  });
});

describe('an event log that is not the one the ledger read', () => {
  const cases: [string, () => Promise<void>][] = [
    ['messages gone that were never taken', async () => void eventLog.starts.set(name, 9n)],
    [
      'fewer messages than were taken',
      async () => {
        eventLog.messages.set(name, eventLog.messages.get(name)!.slice(0, 2));
        eventLog.ends.set(name, 2n);
      },
    ],
    [
      'another message where the last one stood',
      async () => {
        const messages = eventLog.messages.get(name)!;
        messages[3] = { ...messages[3]!, pack: makePack(makeRecord('made anew')) };
      },
    ],
    [
      'fewer offsets than were taken, and holes where messages stood',
      async () => {
        eventLog.messages.set(name, []);
        eventLog.starts.set(name, 4n);
        eventLog.ends.set(name, 4n);
      },
    ],
    ['the last message gone', async () => void eventLog.messages.get(name)!.pop()],
  ];
  it.each(cases)('%s: the log stops and is not ready', async (what, change) => {
    await append(preamble(), ...makePacks(3));
    if (what.includes('holes')) eventLog.punchHole(decisions, 3n);
    await run();
    await caughtUp(test, eventLog);
    await running!.stop();
    await change();
    if (eventLog.ends.get(name) === 4n && eventLog.starts.get(name) === 9n) eventLog.ends.set(name, 12n);
    await run();
    await support.until(() => codes(running!).length > 0);
    expect(codes(running!)).toEqual(['event_log_truncated']);
    expect(() => running!.sequencer.requireReady()).toThrow(expect.objectContaining({ code: 'event_log_truncated' }));
    expect((await headOf(test)).size).toBe(5n);
  });

  it('is noticed while running, also when nothing comes', async () => {
    await append(preamble(), ...makePacks(3));
    running = await runSequencer(eventLog, openStore(test), {
      settings: { KEELSON_LEDGER_BATCH_BYTES: 65_536, KEELSON_LEDGER_CHECK_S: 0.05, KEELSON_PUBLISH_INTERVAL_MS: 5 },
    });
    await caughtUp(test, eventLog);
    const messages = eventLog.messages.get(name)!;
    messages[3] = { ...messages[3]!, pack: makePack(makeRecord('made anew')) };
    await support.until(() => codes(running!).includes('event_log_truncated'));
  });
});

describe('publication', () => {
  it('never shows a size twice, and shows after a restart what was stored before it', async () => {
    await append(preamble(), ...makePacks(20));
    await run();
    await support.until(async () => (await published()).at(-1) === 22n);
    const before = await published();
    await restart();
    await append(makePack(makeRecord('more')));
    await support.until(async () => (await published()).at(-1) === 23n);
    expect((await published()).slice(0, before.length)).toEqual(before);
  });

  it('of an older database waits for the replay to arrive at the remembered root', async () => {
    await append(preamble(), ...makePacks(20));
    await run();
    await support.until(() => eventLog.remembered.get(origin)?.includes('\n22\n') === true);
    const note = eventLog.remembered.get(origin)!;
    await running!.stop();
    await test.drop();
    test = await createDatabase();
    await run();
    await support.until(async () => (await published()).at(-1) === 22n);
    expect((await published()).filter((size) => size > 0n)).toEqual([22n]);
    const { rows } = await test.database.query<{ note: string }>(
      'select note from keelson.publication where size = 22',
    );
    expect(rows[0]!.note).toBe(note);
    expect(codes(running!)).toEqual([]);
  });

  it('of an older database is not helped along by what came after it was put back', async () => {
    await append(preamble(), ...makePacks(5));
    const head = { origin, size: 9n, root: new Uint8Array(32).fill(9) };
    eventLog.remembered.set(origin, signCheckpoint(nodeHasher, head, support.signer));
    await run();
    await support.until(() => codes(running!).includes('database_too_old'));
    for (const pack of makePacks(5, 1, 'later')) {
      await append(pack);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(codes(running!)).toEqual(['database_too_old']);
    expect((await headOf(test)).size).toBe(7n);
    expect(await published()).toEqual([]);
  });

  it('of an older database goes on, once it has arrived, with what came meanwhile', async () => {
    eventLog.batchMax = 4;
    await append(preamble(), ...makePacks(20));
    await run();
    await support.until(() => eventLog.remembered.get(origin)?.includes('\n22\n') === true);
    await running!.stop();
    await test.drop();
    test = await createDatabase();
    running = await runSequencer(eventLog, openStore(test));
    await append(...makePacks(30, 1, 'meanwhile'));
    await support.until(async () => (await published()).at(-1) === 52n);
    expect((await published()).filter((size) => size > 0n && size < 22n)).toEqual([]);
    expect(codes(running)).toEqual([]);
  });

  it('is refused where the replay can’t arrive, or arrives elsewhere', async () => {
    await append(preamble(), ...makePacks(5));
    const sign = (size: bigint, signer = support.signer): string =>
      signCheckpoint(nodeHasher, { origin, size, root: new Uint8Array(32).fill(9) }, signer);
    eventLog.remembered.set(origin, sign(100n));
    await run();
    await support.until(() => codes(running!).includes('database_too_old'));
    expect(await published()).toEqual([]);

    eventLog.remembered.set(origin, sign(4n));
    await restart();
    await support.until(() => codes(running!).includes('fork_refused'));
    eventLog.remembered.set(origin, sign(4n, nodeSigner(new Uint8Array(32).fill(8))));
    await restart();
    await support.until(() => codes(running!).includes('fork_refused'));
    expect(await published()).toEqual([]);
  });
});

describe('the database', () => {
  it('refuses the service every change of what is written', async () => {
    await append(preamble(), ...makePacks(3));
    await run();
    await caughtUp(test, eventLog);
    const tables = ['log', 'page', 'page_0', 'tile', 'checkpoint', 'publication', 'dedupe', 'log_schema', 'refused'];
    for (const table of [...tables, 'head']) {
      for (const change of [`delete from keelson.${table}`, `truncate keelson.${table}`]) {
        await expect(test.database.query(change), change).rejects.toMatchObject({ code: '42501' });
        // Not even its owner's or a superuser's, unless they switch the triggers off.
        await expect(
          test.tamper(change.replace('truncate', 'truncate table') + (change.startsWith('t') ? ' cascade' : '')),
          change,
        ).rejects.toMatchObject({ code: '42501' });
      }
    }
    await expect(test.tamper('update keelson.page_0 set count = 1')).rejects.toMatchObject({ code: '42501' });
    await expect(test.database.query('update keelson.head set size = 0, next_offset = 99')).rejects.toMatchObject({
      code: '42501',
    });
    await expect(test.database.query('alter table keelson.page disable trigger all')).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('has no place for a fork', async () => {
    await append(preamble(), ...makePacks(3));
    await run();
    await caughtUp(test, eventLog);
    const { size, root } = await headOf(test);
    await support.until(async () => (await published()).at(-1) === size);
    const other = Buffer.alloc(32, 9);
    const insert = (values: unknown[]): Promise<unknown> =>
      test.database.query(
        `insert into keelson.checkpoint (log, size, root, prev_size, prev_root, next_offset) values (1, $1, $2, $3, $4, 99)`,
        values,
      );
    await expect(insert([size, other, 0n, other])).rejects.toMatchObject({ code: '23505' });
    await expect(insert([size + 1n, other, size, other])).rejects.toMatchObject({ code: '23503' });
    await expect(insert([size + 1n, other, size - 1n, root])).rejects.toMatchObject({ code: '23503' });
    await insert([size + 1n, other, size, root]);
    await expect(insert([size + 2n, other, size, root])).rejects.toMatchObject({ code: '23505' });
    const publish = (values: unknown[]): Promise<unknown> =>
      test.database.query(
        `insert into keelson.publication (log, size, root, prev_size, note) values (1, $1, $2, $3, '')`,
        values,
      );
    await expect(publish([size + 1n, root, size])).rejects.toMatchObject({ code: '23503' });
  });
});
