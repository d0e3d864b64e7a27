/** What a feed process asks of the database (src/feed/store.ts), held to what it stands on: by the simulation's model, and by Postgres. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { applyChanges, type FeedStore } from '../../../src/feed/store.js';
import { nodeHasher as hasher } from '../../../src/platform/hasher.js';
import { FACT_BYTES } from '../../../src/protocol/fact.js';
import { FactTable } from '../../../src/protocol/fact-table.js';

export type FeedReads = Pick<FeedStore, 'readSize' | 'changesSince' | 'folded'>;

export interface Harness {
  readonly store: FeedReads;
  /** Commits one more entry of lifecycle, which changes the table once it is folded. Resolves when it is committed. */
  commit(): Promise<void>;
  /** Resolves once all that is committed is folded. */
  fold(): Promise<void>;
  /** From now on the same store leads to a database that can be read and takes no writes. */
  refuseWrites(): Promise<void>;
  close(): Promise<void>;
}

const LIMIT = 1000;

/** Two processes. */
const [A, B] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;

/** Runs the contract. A test may find what those before it committed. */
export function describeFeedStore(name: string, start: () => Promise<Harness>): void {
  describe(`a feed's store: ${name}`, () => {
    let harness: Harness;
    beforeEach(async () => {
      harness = await start();
    });
    afterEach(() => harness.close());

    test('counts an entry as soon as it is committed, whether it is folded or not', async () => {
      for (let i = 0; i < 3; i++) {
        const before = await harness.store.readSize(A);
        await harness.commit();
        expect(await harness.store.readSize(A)).toBeGreaterThan(before);
      }
    });

    test('answers several processes at once, and each as often as it asks', async () => {
      await harness.commit();
      await harness.fold();
      const { size } = await harness.store.folded();
      const sizes = await Promise.all([A, B, A, B, A].map((process) => harness.store.readSize(process)));
      for (const one of sizes) expect(one).toBeGreaterThanOrEqual(size);
    });

    test('is never folded further than committed, and never unfolds', async () => {
      for (let i = 0; i < 3; i++) {
        const { size: early } = await harness.store.folded();
        await harness.commit();
        const { size } = await harness.store.folded();
        expect(size).toBeGreaterThanOrEqual(early);
        expect(size).toBeLessThanOrEqual(await harness.store.readSize(A));
      }
      const committed = await harness.store.readSize(A);
      await harness.fold();
      expect((await harness.store.folded()).size).toBeGreaterThanOrEqual(committed);
    });

    test('tells changes that lead, from any seq and in any cut, to the head that it tells', async () => {
      const { seq: before } = await harness.store.folded();
      for (let i = 0; i < 4; i++) await harness.commit();
      await harness.fold();
      const { seq, chainHash } = await harness.store.folded();
      expect(seq).toBeGreaterThanOrEqual(before + 4);
      for (const limit of [1, 3, LIMIT]) {
        const table = new FactTable(hasher);
        while (table.seq < seq) {
          const changes = await harness.store.changesSince(table.seq, Math.min(limit, seq - table.seq));
          expect(changes.length).toBeGreaterThan(0);
          expect(changes.length).toBeLessThanOrEqual(limit * FACT_BYTES);
          expect(applyChanges(table, changes)).toBe(true);
        }
        expect(table.head().chainHash).toEqual(new Uint8Array(chainHash));
      }
    });

    test('does not say how far lifecycle is committed where it can not write, though it can be read', async () => {
      await harness.commit();
      await harness.fold();
      const { seq } = await harness.store.folded();
      await harness.refuseWrites();
      await expect(harness.store.readSize(A)).rejects.toMatchObject({ code: 'database_unavailable' });
      expect((await harness.store.folded()).seq).toBeGreaterThanOrEqual(seq);
      expect((await harness.store.changesSince(0, seq)).length).toBe(seq * FACT_BYTES);
    });
  });
}
