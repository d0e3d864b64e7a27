import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/core/entry.js';
import type { EventLog } from '../../src/eventlog/port.js';
import { entriesOf, readPages } from '../../src/ledger/page-reader.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { FaultyStore, STEPS } from '../ledger/faulty-store.js';
import * as support from '../ledger/support.js';
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
} from '../ledger/support.js';

/** So that trimming comes into it, too. */
const checkingOften = {
  KEELSON_LEDGER_BATCH_BYTES: 65_536,
  KEELSON_LEDGER_CHECK_S: 0.01,
  KEELSON_PUBLISH_INTERVAL_MS: 5,
};
let test: support.TestDatabase;
let eventLog: MemoryEventLog;
const running: support.Running[] = [];

beforeEach(async () => {
  test = await createDatabase();
  eventLog = new MemoryEventLog([decisions]);
  eventLog.batchMax = 3;
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await test.drop();
});

async function start(
  store = openStore(test) as Parameters<typeof runSequencer>[1],
  from: EventLog = eventLog,
  settings: Parameters<typeof runSequencer>[2] = {},
): Promise<support.Running> {
  const one = await runSequencer(from, store, settings);
  running.push(one);
  return one;
}

/** Every acknowledged record exactly once, in the order of the event log, and a chain that holds together. */
async function expectExactlyOnce(records: number): Promise<void> {
  const { size } = await headOf(test);
  expect(size).toBe(BigInt(records));
  const entries = entriesOf('decisions/0/g1', await readPages(test.database.pool, 1, 0n, size), 0n, size);
  const places = entries.map(parseEntry).map(({ offset, place }) => Number(offset) * 100_000 + place);
  expect(new Set(places).size).toBe(places.length);
  expect(places).toEqual([...places].sort((a, b) => a - b));
  const { rows } = await test.database.query<{ size: bigint; prev_size: bigint }>(
    'select size, prev_size from keelson.checkpoint where size > 0 order by size',
  );
  let previous = 0n;
  for (const row of rows) {
    expect(row.prev_size).toBe(previous);
    previous = row.size;
  }
  expect(previous).toBe(size);
}

/** That checkpoint is signed, shown, and remembered outside the database. */
async function untilRemembered(size: bigint): Promise<void> {
  await support.until(() => [...eventLog.remembered.values()].some((note) => note.includes(`\n${size}\n`)));
  const { rows } = await test.database.query<{ size: bigint }>('select max(size) as size from keelson.publication');
  expect(rows[0]!.size).toBe(size);
}

/** The root that the same event log gives without any fault. */
async function rootWithoutFaults(): Promise<Buffer> {
  const clean = await createDatabase();
  const memory = new MemoryEventLog([decisions]);
  for (const [name, messages] of eventLog.messages) memory.messages.set(name, messages);
  for (const [name, end] of eventLog.ends) memory.ends.set(name, end);
  const one = await runSequencer(memory, openStore(clean));
  try {
    await caughtUp(clean, memory);
    return (await headOf(clean)).root;
  } finally {
    await one.stop();
    await clean.drop();
  }
}

describe('a fault at every awaited write', () => {
  const faults = STEPS.flatMap((step) => (['lost', 'unreported'] as const).map((fault) => [step, fault] as const));
  it.each(faults)(
    '%s, %s: at assignment, in the first batches, between two, and at the next start',
    async (broken, fault) => {
      const faulty = new FaultyStore();
      faulty.fault = (step, call) => (step === broken && [1, 2, 4].includes(call) ? fault : undefined);
      for (const pack of [preamble(), ...makePacks(20, 3)]) await eventLog.append(decisions, pack);
      const startFaulty = (): Promise<support.Running> =>
        start(faulty.wrap(openStore(test)), faulty.wrapEventLog(eventLog), { settings: checkingOften });
      await startFaulty();
      await support.until(async () => (await headOf(test)).size >= 20n);
      await eventLog.append(decisions, makePack(makeRecord('e5/1'), makeRecord('last')));
      await eventLog.append(decisions, makePacks(3, 3)[2]!);
      await caughtUp(test, eventLog);
      await expectExactlyOnce(2 + 60 + 1);
      await untilRemembered(63n);
      await support.until(() => (faulty.calls.get('trim') ?? 0) > 4);
      const calls = faulty.calls.get(broken) ?? 0;

      await running.shift()!.stop();
      faulty.calls.clear();
      await startFaulty();
      for (const pack of makePacks(5, 3, 'again')) await eventLog.append(decisions, pack);
      await caughtUp(test, eventLog);
      await expectExactlyOnce(2 + 60 + 1 + 15);
      await untilRemembered(78n);
      expect((await headOf(test)).root).toEqual(await rootWithoutFaults());
      expect(calls + (faulty.calls.get(broken) ?? 0)).toBeGreaterThan(0);
    },
  );

  it('is survived at random, again and again', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    let state = seed;
    const random = (): number => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) / 0x7fffffff;
    const faulty = new FaultyStore();
    faulty.fault = () => (random() < 0.15 ? (random() < 0.5 ? 'lost' : 'unreported') : undefined);
    await start(faulty.wrap(openStore(test)), faulty.wrapEventLog(eventLog), { settings: checkingOften });
    await eventLog.append(decisions, preamble());
    for (const pack of makePacks(60, 2)) {
      await eventLog.append(decisions, pack);
      if (random() < 0.3) eventLog.punchHole(decisions);
      if (random() < 0.3) await eventLog.append(decisions, pack);
      if (random() < 0.2) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await support.until(async () => (await headOf(test)).nextOffset === (await eventLog.bounds(decisions)).end, 50_000);
    await expectExactlyOnce(2 + 120);
    expect((await headOf(test)).root).toEqual(await rootWithoutFaults());
  });
});

describe('two sequencers', () => {
  it('a frozen one, waking, is fenced: what it had in hand is never in the ledger twice', async () => {
    const faulty = new FaultyStore();
    const store = faulty.wrap(openStore(test));
    await start(store);
    await eventLog.append(decisions, preamble());
    await caughtUp(test, eventLog);

    // Freeze before sealing: pages are copied, the transaction is open, the head is as it was.
    let thaw!: () => void;
    const frozen = new Promise<void>((resolve) => (thaw = resolve));
    let reached!: () => void;
    const atSeal = new Promise<void>((resolve) => (reached = resolve));
    const openLane = store.openLane.bind(store);
    const freezing = new Proxy(store, {
      get: (target, name) =>
        name !== 'openLane'
          ? (Reflect.get(target, name) as unknown)
          : async (log: Parameters<typeof openLane>[0]) => {
              const lane = await openLane(log);
              return new Proxy(lane, {
                get: (inner, step) =>
                  step !== 'seal'
                    ? (Reflect.get(inner, step) as unknown)
                    : async (sealing: Parameters<typeof inner.seal>[0]) => {
                        reached();
                        await frozen;
                        return inner.seal(sealing);
                      },
              });
            },
    });
    await running.shift()!.stop();
    await start(freezing);
    for (const pack of makePacks(5)) await eventLog.append(decisions, pack);
    await atSeal;

    // The other one waits for the frozen one's pages, then ends its connection and goes on.
    await start(openStore(test, 200));
    await caughtUp(test, eventLog);
    await expectExactlyOnce(7);
    thaw();
    for (const pack of makePacks(5, 1, 'after')) await eventLog.append(decisions, pack);
    await caughtUp(test, eventLog);
    await expectExactlyOnce(12);
  });

  it('both at work all the time make one ledger', async () => {
    await start();
    await start();
    await eventLog.append(decisions, preamble());
    for (const pack of makePacks(40, 2)) {
      await eventLog.append(decisions, pack);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await caughtUp(test, eventLog);
    await expectExactlyOnce(82);
    expect((await headOf(test)).root).toEqual(await rootWithoutFaults());
  });

  it('connections cut by the database are replaced', async () => {
    await start();
    await eventLog.append(decisions, preamble());
    for (const pack of makePacks(30, 5)) {
      await eventLog.append(decisions, pack);
      await test.tamper(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'keelson-sequencer%'`);
    }
    await caughtUp(test, eventLog);
    await expectExactlyOnce(152);
  });
});
