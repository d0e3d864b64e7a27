import { expect, it } from 'vitest';
import { Hints } from '../../src/ledger/fold-batch.js';
import type { CommittedBatch } from '../../src/ledger/pipeline.js';

const log = { id: 1, path: 'decisions/0/g1', origin: 'o', at: { topic: 'decisions', partition: 0 } } as const;
const MIB = 1024 * 1024;

/** A batch of entries `[from, to)` with one page of so many bytes. */
const batch = (from: number, to: number, bytes = 10): CommittedBatch =>
  ({
    log,
    from: BigInt(from),
    to: BigInt(to),
    pages: [{ firstIndex: BigInt(from), count: to - from, entries: new Uint8Array(bytes) }],
  }) as unknown as CommittedBatch;

const take = (hints: Hints, from: number): [bigint, bigint, number] | undefined => {
  const taken = hints.take(log, BigInt(from));
  return taken && [taken.from, taken.to, taken.pages.length];
};

it('takes batches that follow one another as one, up to a gap', () => {
  const hints = new Hints();
  for (const one of [batch(0, 3), batch(3, 5), batch(5, 9), batch(10, 12)]) hints.add(one);
  expect(take(hints, 3)).toEqual([3n, 9n, 2]);
  expect(take(hints, 9)).toBeUndefined();
  expect(hints.firstOf(log)).toBe(10n);
  expect(take(hints, 10)).toEqual([10n, 12n, 1]);
  expect(hints.isEmpty).toBe(true);
});

it('takes one batch at least, and not too much', () => {
  const hints = new Hints();
  for (const one of [batch(0, 1, 9 * MIB), batch(1, 2, 3 * MIB), batch(2, 3, MIB), batch(3, 4, 1)]) hints.add(one);
  expect(take(hints, 0)).toEqual([0n, 1n, 1]);
  expect(take(hints, 1)).toEqual([1n, 3n, 2]);
  expect(take(hints, 3)).toEqual([3n, 4n, 1]);
});

it('keeps the oldest when there is too much to keep, and takes more once they are taken', () => {
  const hints = new Hints();
  for (let i = 0; i < 100; i++) hints.add(batch(i, i + 1, MIB));
  for (let i = 0; i < 64; i += 4) expect(take(hints, i)).toEqual([BigInt(i), BigInt(i + 4), 4]);
  expect(take(hints, 64)).toBeUndefined();
  hints.add(batch(100, 101));
  expect(hints.firstOf(log)).toBe(100n);
});
