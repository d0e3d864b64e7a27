import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Partition } from '../../src/eventlog/port.js';
import { ProjectionRunner, rebuildProjection } from '../../src/ledger/projection-runner.js';
import type { Projection } from '../../src/ledger/projection.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { LedgerWatch } from '../../src/ledger/watch.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import * as support from './support.js';
import { createDatabase, decisions, makePacks, openStore, preamble, runSequencer, until } from './support.js';

const other: Partition = { topic: 'decisions', partition: 1 };
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let sequencer: support.Running;
const runners: ProjectionRunner[] = [];

beforeEach(async () => {
  test = await createDatabase();
  await test.tamper(
    'create table keelson_search.total (entries bigint not null); insert into keelson_search.total values (0)',
  );
  await test.tamper('grant select, update on keelson_search.total to keelson_writer');
  eventLog = new MemoryEventLog([decisions, other]);
  sequencer = await runSequencer(eventLog, openStore(test));
  for (const at of [decisions, other]) await eventLog.append(at, preamble());
});
afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.close();
  await sequencer.stop();
  await test.drop();
});

/** Counts entries in memory, and stores what it counted: wrong as soon as two of them fold by turns. */
const counting = (folded: () => void, idle?: () => Promise<void>): Projection => ({
  name: 'total',
  async open(tx) {
    const { rows } = await tx.query<{ entries: bigint }>('select entries from keelson_search.total');
    let total = rows[0]!.entries;
    return {
      async fold(within, { from, to }) {
        total += to - from;
        await within.query('update keelson_search.total set entries = $1', [total]);
        folded();
      },
      ...(idle ? { idle } : {}),
    };
  },
  clear: async (tx) => void (await tx.query('update keelson_search.total set entries = 0')),
  createScratch: () => Promise.resolve(),
  async *compare() {},
});

/** A runner as of another process: with connections and a view of the ledger of its own. */
function run(projection: Projection, watch = new LedgerWatch(), givesWay = false): ProjectionRunner {
  const database = test.open();
  const reader = new LedgerReader({ database, store: openStore(test), hasher: nodeHasher, watch });
  const runner = new ProjectionRunner({ database, reader, watch, logger: support.logger, projection, givesWay });
  runners.push(runner);
  runner.start();
  return runner;
}

async function total(): Promise<bigint> {
  const { rows } = await test.database.query<{ entries: bigint }>('select entries from keelson_search.total');
  return rows[0]!.entries;
}

async function committed(): Promise<bigint> {
  const { rows } = await test.database.query<{ size: bigint }>('select sum(size)::bigint as size from keelson.head');
  return rows[0]!.size;
}

async function appendEverywhere(packs: number, prefix: string): Promise<void> {
  for (const pack of makePacks(packs, 3, prefix)) {
    await eventLog.append(decisions, pack);
    await eventLog.append(other, pack);
  }
}

const settled = (entries: bigint): Promise<void> =>
  until(async () => (await committed()) === entries && (await total()) === entries);

it('one process folds at a time, whichever logs have something new', async () => {
  const folds = [0, 0];
  run(counting(() => folds[0]!++));
  run(counting(() => folds[1]!++));
  await appendEverywhere(100, 'a');
  await settled(2n * (2n + 300n));
  expect(folds.filter((count) => count > 0)).toHaveLength(1);
});

it('another takes over from a frozen one, which does not go on from what it had in memory', async () => {
  let thaw!: () => void;
  const frozen = new Promise<void>((resolve) => (thaw = resolve));
  let first = 0;
  await until(async () => (await committed()) === 4n);
  run(
    counting(
      () => first++,
      () => frozen,
    ),
  );
  await settled(4n);
  const before = first;
  run(counting(() => undefined));
  await appendEverywhere(20, 'b');
  await settled(2n * (2n + 60n));
  thaw();
  await appendEverywhere(20, 'c');
  await settled(2n * (2n + 120n));
  expect(first).toBe(before);
});

it('hands over at once when it is closed, and begins anew after a rebuild', async () => {
  const first = run(counting(() => undefined));
  await settled(4n);
  await first.close();
  const projection = counting(() => undefined);
  run(projection);
  await appendEverywhere(5, 'd');
  await settled(2n * (2n + 15n));
  await rebuildProjection(test.database, projection);
  await settled(2n * (2n + 15n));
});

it('one that gives way folds nothing while something urgent is under way, and everything then', async () => {
  let go!: () => void;
  const over = new Promise<void>((resolve) => (go = resolve));
  const watch = new LedgerWatch();
  let asked = 0;
  watch.precedence.giveWay = () => (asked++, over);
  let folds = 0;
  run(
    counting(() => folds++),
    watch,
    true,
  );
  await appendEverywhere(2, 'e');
  await until(async () => (await committed()) === 2n * (2n + 6n) && asked > 0);
  expect(folds).toBe(0);
  go();
  await settled(2n * (2n + 6n));
});
