import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { emptyRoot } from '../../src/core/merkle.js';
import type { Lane, Sealing } from '../../src/ledger/store.js';
import type { Log } from '../../src/ledger/log.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import * as support from './support.js';
import { createDatabase, decisions, openStore } from './support.js';

let test: support.TestDatabase;
let log: Log;
let lane: Lane;

beforeEach(async () => {
  test = await createDatabase();
  const store = openStore(test);
  log = await store.openLog(decisions, `${support.ledgerName}/decisions/0/g1`);
  await store.ensurePartitions(0, 0n);
  lane = await store.openLane(log);
});
afterEach(async () => {
  lane.close();
  await test.drop();
});

const root = emptyRoot(nodeHasher);
/** Nothing but offsets, which go on from `from` to `to`. */
const sealing = (from: bigint, to: bigint): Sealing => ({
  log,
  from: { size: 0n, root, nextOffset: from },
  to: { size: 0n, root, nextOffset: to, last: undefined, greatestUs: 0n, opened: false },
  tiles: [],
  slots: [],
  schemas: [],
  refused: [],
});
const nextOffset = async (): Promise<bigint> =>
  (await test.database.query<{ next_offset: bigint }>('select next_offset from keelson.head')).rows[0]!.next_offset;

describe('a lane', () => {
  it('moves the head from where it is, and from nowhere else', async () => {
    await lane.written();
    expect(await lane.seal(sealing(0n, 5n))).toBe(true);
    expect(await nextOffset()).toBe(0n);
    await lane.commit();
    expect(await nextOffset()).toBe(5n);
    await lane.written();
    expect(await lane.seal(sealing(0n, 6n))).toBe(false);
    await lane.commit();
    expect(await nextOffset()).toBe(5n);
  });

  it('does not take a commit that the database turned into a rollback for one', async () => {
    await lane.written();
    expect(await lane.seal(sealing(0n, 5n))).toBe(true);
    // The head goes forward only.
    await expect(lane.seal({ ...sealing(5n, 4n), log })).rejects.toThrow();
    await expect(lane.commit()).rejects.toThrow('ROLLBACK');
    expect(await nextOffset()).toBe(0n);
  });

  it('rejects what is no page, and leaves nothing', async () => {
    const noPage = 'no page';
    const message = Buffer.concat([Buffer.of(0x64, 0, 0, 0, 4 + noPage.length), Buffer.from(noPage)]);
    lane.write(message);
    await expect(lane.written()).rejects.toThrow();
    await expect(lane.commit()).rejects.toThrow();
    const { rows } = await test.database.query('select from keelson.page');
    expect(rows).toEqual([]);
  });
});
