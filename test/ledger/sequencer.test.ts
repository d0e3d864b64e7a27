import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/core/checkpoint.js';
import { parseEntry } from '../../src/core/entry.js';
import { makeVerifierKey } from '../../src/core/key.js';
import { hashLeaf } from '../../src/core/merkle.js';
import { entriesOf, readPages } from '../../src/ledger/page-reader.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { referenceRoot } from '../support/tree.js';
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
  runSequencer,
} from './support.js';

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

async function entries(): Promise<Uint8Array[]> {
  const { size } = await headOf(test);
  return entriesOf('decisions/0/g1', await readPages(test.database.pool, 1, 0n, size), 0n, size);
}

describe('sequencer', () => {
  it('appends every record once, in order, under a root that RFC 9162 gives', async () => {
    const packs = [support.preamble(), ...makePacks(40, 17), ...makePacks(30, 1, 'single')];
    for (const pack of packs) await eventLog.append(decisions, pack);
    running = await runSequencer(eventLog, openStore(test));
    await caughtUp(test, eventLog);

    const { size, root } = await headOf(test);
    expect(size).toBe(BigInt(2 + 40 * 17 + 30));
    const stored = await entries();
    expect(root).toEqual(
      Buffer.from(
        referenceRoot(
          nodeHasher,
          stored.map((entry) => hashLeaf(nodeHasher, entry)),
        ),
      ),
    );
    const parsed = stored.map(parseEntry);
    const places = parsed.map(({ offset, place }) => Number(offset) * 1000 + place);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(parsed[3]).toMatchObject({ kind: 'record', offset: 1n, place: 1, partition: 0 });
    expect(running.sequencer.problems()).toEqual([]);
  });

  it('publishes a checkpoint of what it has, signed under the origin', async () => {
    for (const pack of [support.preamble(), ...makePacks(5, 3)]) await eventLog.append(decisions, pack);
    running = await runSequencer(eventLog, openStore(test));
    await caughtUp(test, eventLog);
    const store = openStore(test);
    const log = { id: 1, path: 'decisions/0/g1', origin: `${support.ledgerName}/decisions/0/g1`, at: decisions };
    await support.until(async () => (await store.newestPublication(log))?.size === 17n);
    const note = (await store.newestPublication(log))!.note;
    const key = makeVerifierKey(nodeHasher, log.origin, support.signer.publicKey);
    const { size, root } = await headOf(test);
    expect(openCheckpoint(note, key, support.verifier)).toMatchObject({ size, root: new Uint8Array(root) });
    await support.until(() => eventLog.remembered.get(log.origin) === note);
  });

  it('takes what comes while it runs, and goes on after a restart', async () => {
    running = await runSequencer(eventLog, openStore(test));
    await eventLog.append(decisions, support.preamble());
    await caughtUp(test, eventLog);
    await eventLog.append(decisions, makePack(makeRecord('a')));
    eventLog.punchHole(decisions, 3n);
    await caughtUp(test, eventLog);
    await running.stop();
    await eventLog.append(decisions, makePack(makeRecord('b')));
    running = await runSequencer(eventLog, openStore(test));
    await caughtUp(test, eventLog);
    expect((await headOf(test)).size).toBe(4n);
  });
});
