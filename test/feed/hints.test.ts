/** Facts that a process folded itself are told at once; the tables, which have them later, are held against them. */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Feed } from '../../src/feed/feed.js';
import type { FeedShellOptions } from '../../src/feed/feed.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { FactTable } from '../../src/protocol/fact-table.js';
import { FACT_BYTES } from '../../src/protocol/fact.js';

/** Tables as far as they are written. */
class ModelStore {
  readonly table = new FactTable(nodeHasher);
  facts = Buffer.alloc(0);
  /** Runs while changes are read, after they were. */
  meanwhile = (): void => undefined;

  write(facts: Uint8Array, applies: (table: FactTable) => void): void {
    this.facts = Buffer.concat([this.facts, facts]);
    applies(this.table);
  }

  load = async (): Promise<object> => ({ table: new FactTable(nodeHasher), recent: new Uint8Array(0) });
  folded = async (): Promise<object> => ({ size: 0n, ...this.table.head() });
  changesSince = async (seq: number): Promise<Uint8Array> => {
    const changes = Uint8Array.from(this.facts.subarray(seq * FACT_BYTES));
    this.meanwhile();
    return changes;
  };
  /** Who waits for how far lifecycle is committed, to be told by the test. */
  readonly reads: (() => void)[] = [];
  readSize = (): Promise<bigint> => new Promise((resolve) => this.reads.push(() => resolve(0n)));
  forget = async (): Promise<void> => undefined;
}

let store: ModelStore;
let feed: Feed;
let told: { from: number; seq: number }[];
/** What is committed: the facts, whoever has folded them by now. */
let truth: FactTable;

beforeEach(async () => {
  store = new ModelStore();
  truth = new FactTable(nodeHasher);
  const signer = nodeSigner(new Uint8Array(32).fill(1));
  feed = new Feed({
    store,
    databaseUrl: 'postgresql://nobody@127.0.0.1:1/none',
    keys: { signer, onSigner: () => undefined },
    ledger: 'ledger.example',
    generation: 1,
    keptFacts: 1_024,
    clock: { monotonicMs: () => performance.now(), nowUs: () => 0n },
    logger: { warn: () => undefined },
    metrics: { granted: () => undefined },
    onPoints: () => undefined,
  } as unknown as FeedShellOptions);
  told = [];
  feed.onFrame((from) => told.push({ from, seq: feed.core.seq }));
  feed.start();
  await until(() => hasCore());
});
afterEach(() => feed.close());

const hasCore = (): boolean => {
  try {
    return feed.core.seq >= 0;
  } catch {
    return false;
  }
};

async function until(isSo: () => boolean): Promise<void> {
  for (const endMs = Date.now() + 10_000; !isSo(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > endMs) throw new Error('not in time');
  }
}

/** A fact more: what a process hears that folds it, and how the tables get it. */
function revoke(): { hint: { from: number; facts: Uint8Array }; write: () => void } {
  const key = new Uint8Array(randomBytes(16));
  const from = truth.seq;
  const facts = truth.put(key, 0, true, undefined)!.slice();
  return { hint: { from, facts }, write: () => store.write(facts, (table) => void table.put(key, 0, true, undefined)) };
}

it('tells a fact before the tables have it, once, and is content when they do', async () => {
  const { hint, write } = revoke();
  feed.hear(hint);
  expect(told).toEqual([{ from: 0, seq: 1 }]);
  feed.hear(hint);
  write();
  const next = revoke();
  next.write();
  await until(() => feed.core.seq === 2);
  expect(told).toEqual([
    { from: 0, seq: 1 },
    { from: 1, seq: 2 },
  ]);
  expect(feed.core.options.table.head()).toEqual(truth.head());
  expect(feed.failure).toBeUndefined();
});

it('reads what it did not hear, and leaves out what does not go on from there', async () => {
  const [first, second] = [revoke(), revoke()];
  feed.hear(second.hint);
  expect(told).toEqual([]);
  first.write();
  second.write();
  await until(() => feed.core.seq === 2);
  expect(feed.core.options.table.head()).toEqual(truth.head());
});

it('hears a fact while it reads the same', async () => {
  const { hint, write } = revoke();
  store.meanwhile = () => feed.hear(hint);
  write();
  await until(() => feed.core.seq === 1);
  expect(told).toEqual([{ from: 0, seq: 1 }]);
  const next = revoke();
  next.write();
  await until(() => feed.core.seq === 2);
  expect(feed.failure).toBeUndefined();
});

it.each(['as far', 'not as far'])('does not go on where the tables say something else, being %s', async (how) => {
  feed.hear(revoke().hint);
  if (how === 'not as far') feed.hear(revoke().hint);
  const other = new FactTable(nodeHasher);
  const key = new Uint8Array(16).fill(9);
  const facts = other.put(key, 0, true, undefined)!.slice();
  store.write(facts, (table) => void table.put(key, 0, true, undefined));
  await until(() => feed.failure !== undefined);
  expect(feed.failure).toMatchObject({ code: 'tampered' });
});

it('grants nothing by a read that began for another table, before they asked', async () => {
  const never = new AbortController().signal;
  const ask = (name: number): Promise<Uint8Array | undefined> =>
    feed.lease({ instance: new Uint8Array(16).fill(name), nonce: new Uint8Array(16) }, never);
  void ask(1);
  await until(() => store.reads.length === 1);
  // What can't be applied: the table is read anew.
  feed.hear({ from: 0, facts: new Uint8Array(FACT_BYTES).fill(255) });
  await until(hasCore);
  let granted = false;
  const second = ask(2).then((grant) => (granted = grant !== undefined));
  await until(() => store.reads.length === 2);
  store.reads[0]!();
  await turn();
  expect(granted).toBe(false);
  store.reads[1]!();
  await second;
  expect(granted).toBe(true);
});
