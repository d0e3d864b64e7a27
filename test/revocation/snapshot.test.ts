/** What a start takes up instead of folding everything, and what it does not. */
import { createSecretKey } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENTRY_HEADER_BYTES } from '../../src/core/entry.js';
import { ProjectionRunner, rebuildProjection } from '../../src/ledger/projection-runner.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { LedgerWatch } from '../../src/ledger/watch.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { Follower } from '../../src/revocation/follower.js';
import { findLifecycle, revocationProjection } from '../../src/revocation/projection.js';
import { Snapshots } from '../../src/revocation/snapshot.js';
import type { RevocationState } from '../../src/revocation/state.js';
import * as support from '../ledger/support.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { expectSame } from './fold-over.js';
import { MATERIAL, Simulation } from './simulation.js';

const LIFECYCLE = { topic: 'lifecycle', partition: 0 } as const;
const PATH = 'lifecycle/0/g1';
const EVERY = 12n;

let test: support.TestDatabase;
let eventLog: MemoryEventLog;
let sequencer: support.Running;
/** Records that were committed, without the first ones, of which the fold knows nothing. */
let committed = 0;
let before = 0n;
const told: string[] = [];

const logger = {
  warn: ({ why }: { why?: string }) => void told.push(why ?? 'warning'),
  error: () => void told.push('can not be read'),
} as never;
const snapshots = (release = '1.0.0', seed = 1): Snapshots =>
  new Snapshots({
    material: MATERIAL,
    macKey: createSecretKey(Buffer.alloc(32, seed)),
    release,
    logger,
    everyEntries: EVERY,
  });

const sizeOf = async (): Promise<bigint> => (await support.headOf(test)).size;
const load = async (which = snapshots()): Promise<{ state: RevocationState; size: bigint }> =>
  which.load(test.database.pool, (await findLifecycle(test.database.pool))!, await sizeOf());

/** Commits what the simulation has more than the ledger. */
async function commit(sim: Simulation): Promise<void> {
  const records = sim.entries.slice(committed).map((entry) => entry.subarray(ENTRY_HEADER_BYTES));
  committed = sim.entries.length;
  const schemas = records.map((record) => support.schemaRecord(Buffer.from(record.subarray(2, 10))));
  const digest = Buffer.alloc(16);
  const packs = [...schemas, ...records.map((record) => ({ record, digest }))];
  for (const one of packs) await eventLog.append(LIFECYCLE, support.makePack(one));
  const { end } = await eventLog.bounds(LIFECYCLE);
  await support.until(async () => (await support.headOf(test)).nextOffset === end);
}

function live(sim: Simulation): void {
  for (const who of ['dana', 'eve', 'finn']) {
    sim.say('hr', { type: 'principal.joined', principal: sim.person(who), groups: ['a', 'b'] });
    sim.say('hr', { type: 'agent.registered', agent: `${who}-bot`, owner: sim.person(who), risk_level: 'low' });
  }
  sim.say('hr', { type: 'tool.registered', tool: 'deploy', risk_level: 'high' });
}

beforeAll(async () => {
  test = await support.createDatabase();
  eventLog = new MemoryEventLog([LIFECYCLE]);
  sequencer = await support.runSequencer(eventLog, support.openStore(test));
  await eventLog.append(LIFECYCLE, support.makePack(support.openedRecord()));
});
afterAll(async () => {
  await sequencer.stop();
  await test.drop();
});

/** Folds as a server does, until `isDone`. */
async function run(isDone: () => Promise<boolean>): Promise<void> {
  const { database } = test;
  const { watch } = sequencer;
  const reader = new LedgerReader({ database, store: support.openStore(test), hasher: nodeHasher, watch });
  const projection = revocationProjection({ snapshots: snapshots(), database });
  const runner = new ProjectionRunner({ database, reader, watch, logger: support.logger, projection });
  runner.start();
  try {
    await runner.waitUntil(PATH, await sizeOf(), 20_000);
    await support.until(isDone);
  } finally {
    await runner.close();
  }
}

const keptSize = async (): Promise<bigint | undefined> =>
  (await test.database.query<{ size: bigint }>('select size from keelson.revocation_snapshot')).rows[0]?.size;

it('is kept once there is enough to fold, and taken up: what is folded on from it is as if all had been', async () => {
  const sim = new Simulation();
  live(sim);
  sim.say('hr', { type: 'principal.offboarded', principal: sim.person('dana') });
  await sim.settle();
  await commit(sim);
  before = await sizeOf();
  await run(async () => (await keptSize()) === before);
  const loaded = await load();
  expect(loaded.size).toBe(before);
  expect([...loaded.state.causes.keys()]).toHaveLength(1);
  expect(loaded.state.table.head()).toEqual(sim.state.table.head());

  sim.say('hr', { type: 'principal.offboarded', principal: sim.person('eve') });
  await sim.settle();
  await commit(sim);
  const follower = new Follower(test.database, sequencer.watch, snapshots());
  // Two that ask at once fold each entry once.
  await Promise.all([follower.catchUp(), follower.catchUp(), follower.catchUp()]);
  follower.close();
  expect(follower.size).toBe(await sizeOf());
  const whole = new Follower(test.database, sequencer.watch, snapshots('folds anew'));
  await whole.catchUp();
  whole.close();
  expectSame(follower.state, whole.state);
  expect(follower.state.table.head()).toEqual(sim.state.table.head());
  expect(follower.state.table.term).toBe(sim.term);
  expect(told.splice(0)).toEqual(['another release wrote it']);
});

it('is no other state where there is none: who decides on a ledger that begins goes on with what they have', async () => {
  const other = await support.createDatabase();
  const follower = new Follower(other.database, new LedgerWatch(), snapshots());
  const { state } = follower;
  await follower.catchUp();
  const log = new MemoryEventLog([LIFECYCLE]);
  const running = await support.runSequencer(log, support.openStore(other));
  await log.append(LIFECYCLE, support.makePack(support.openedRecord()));
  await support.until(async () => (await support.headOf(other)).size > 0n);
  await follower.catchUp();
  expect(follower.size).toBe((await support.headOf(other)).size);
  expect(follower.state).toBe(state);
  follower.close();
  await running.stop();
  await other.drop();
});

it('is not taken up, and that is told, where it is of another release, key, ledger or place, or damaged', async () => {
  expect(await load(snapshots('1.0.1'))).toMatchObject({ size: 0n });
  expect(await load(snapshots('1.0.0', 2))).toMatchObject({ size: 0n });
  expect(told.splice(0)).toEqual(['another release wrote it', 'its MAC is wrong']);
  for (const [change, why] of [
    [`state = set_byte(state, 40, get_byte(state, 40) # 1)`, 'its MAC is wrong'],
    [`state = ''`, 'its MAC is wrong'],
    [`mac = set_byte(mac, 0, get_byte(mac, 0) # 1)`, 'its MAC is wrong'],
    [`size = size - 1`, 'its MAC is wrong'],
    [`size = size + 1000`, 'it is of more entries'],
  ] as const) {
    await test.tamper('create table kept as select * from keelson.revocation_snapshot');
    await test.tamper(`update keelson.revocation_snapshot set ${change}`);
    expect(await load()).toMatchObject({ size: 0n, state: { index: -1 } });
    expect(told.splice(0)).toEqual([why]);
    await test.tamper(
      'delete from keelson.revocation_snapshot; insert into keelson.revocation_snapshot select * from kept; drop table kept',
    );
  }
  expect(await load()).toMatchObject({ size: before });
  expect(told).toEqual([]);
});

it('keeps nobody from folding where it can not be kept', async () => {
  const log = (await findLifecycle(test.database.pool))!;
  const { state } = await load();
  const size = await sizeOf();
  await test.tamper('alter table keelson.revocation_snapshot rename to away');
  expect(await snapshots().keep(test.database.pool, log, { state, size }, 0n)).toBe(size);
  await test.tamper('alter table keelson.away rename to revocation_snapshot');
  expect(told.splice(0)).toEqual(['warning']);
  expect(await keptSize()).toBe(before);
});

it('goes with a rebuild, and comes again the same', async () => {
  const stateOf = async (): Promise<RevocationState> => (await load()).state;
  await run(async () => true);
  await rebuildProjection(test.database, revocationProjection({ snapshots: snapshots(), database: test.database }));
  expect(await keptSize()).toBeUndefined();
  const size = await sizeOf();
  await run(async () => (await keptSize()) === size);
  const rebuilt = await stateOf();
  const follower = new Follower(test.database, sequencer.watch, snapshots('folds anew'));
  await follower.catchUp();
  follower.close();
  expectSame(rebuilt, follower.state);
});
