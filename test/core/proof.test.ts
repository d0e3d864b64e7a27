import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { KeelsonError } from '../../src/core/error.js';
import { hashLeaf, HASH_BYTES } from '../../src/core/merkle.js';
import { portableHasher } from '../../src/core/portable.js';
import {
  checkConsistency,
  checkInclusion,
  proveConsistency,
  proveInclusion,
  readRoot,
  type TreeHead,
} from '../../src/core/proof.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { referenceRoot, TileStore } from '../support/tree.js';
import consistencyVectors from '../vectors/merkle/merkle-consistency.json' with { type: 'json' };
import inclusionVectors from '../vectors/merkle/merkle-inclusion.json' with { type: 'json' };

const refused: unknown = expect.objectContaining({ name: 'KeelsonError', code: 'bad_proof' });
const leafOf = (i: number): Uint8Array => hashLeaf(hasher, Uint8Array.of(i, i >> 8, i >> 16));

/** Leaves, their tiles, and the head at every size up to `size`. */
function growTree(size: number): { leaves: Uint8Array[]; store: TileStore; heads: TreeHead[] } {
  const store = new TileStore(hasher);
  const leaves: Uint8Array[] = [];
  const heads: TreeHead[] = [{ size: 0n, root: store.frontier.root() }];
  for (let i = 0; i < size; i++) {
    leaves.push(leafOf(i));
    store.append(leaves[i]!);
    heads.push({ size: BigInt(i + 1), root: store.frontier.root() });
  }
  return { leaves, store, heads };
}

/** A refusal is cheap but for its stack, and a million of them are made here. */
const { stackTraceLimit } = Error;
beforeAll(() => void (Error.stackTraceLimit = 0));
afterAll(() => void (Error.stackTraceLimit = stackTraceLimit));

/**
 * Calls `check` with one bit of one of `hashes` flipped, each time another: every bit there is, or one of each hash, chosen
 * by what it holds. Answers how often that was not refused.
 */
function countAccepted(hashes: readonly Uint8Array[], everyBit: boolean, check: () => void): number {
  let accepted = 0;
  for (const hash of hashes) {
    const only = hash[31]!;
    for (let bit = everyBit ? 0 : only; bit < (everyBit ? HASH_BYTES * 8 : only + 1); bit++) {
      hash[bit >> 3]! ^= 1 << (bit & 7);
      try {
        check();
        accepted++;
      } catch (error) {
        if (!(error instanceof KeelsonError) || error.code !== 'bad_proof') throw error;
      } finally {
        hash[bit >> 3]! ^= 1 << (bit & 7);
      }
    }
  }
  return accepted;
}

describe('inclusion', () => {
  const { leaves, store, heads } = growTree(130);

  it('is proved for every leaf of every tree to 130, and no bit of a proof can be another', async () => {
    for (let size = 1; size <= 130; size++) {
      const head = heads[size]!;
      for (let i = 0; i < size; i++) {
        const proof = await proveInclusion(hasher, BigInt(i), BigInt(size), store);
        checkInclusion(hasher, BigInt(i), leaves[i]!, proof, head);
        const check = (): void => checkInclusion(hasher, BigInt(i), leaves[i]!, proof, head);
        expect(countAccepted([leaves[i]!, head.root], false, check)).toBe(0);
        expect(countAccepted(proof, size <= 33, check)).toBe(0);
      }
    }
  });

  it('holds for one index, one size and one length of proof only', async () => {
    for (let size = 1; size <= 33; size++) {
      const head = heads[size]!;
      for (let i = 0; i < size; i++) {
        const proof = await proveInclusion(hasher, BigInt(i), BigInt(size), store);
        const check = (index: number, hashes: Uint8Array[]) => () =>
          checkInclusion(hasher, BigInt(index), leaves[i]!, hashes, head);
        for (let other = -1; other <= size + 1; other++) if (other !== i) expect(check(other, proof)).toThrow(refused);
        expect(check(i, [...proof, head.root])).toThrow(refused);
        if (proof.length > 0) expect(check(i, proof.slice(0, -1))).toThrow(refused);
        if (proof.length > 0)
          expect(
            check(
              i,
              proof.map((hash) => hash.slice(1)),
            ),
          ).toThrow(refused);
      }
    }
  });

  it.each([
    [-1n, 5n],
    [5n, 5n],
    [0n, 0n],
  ])('has no proof of leaf %s in a tree of %s', async (index, size) => {
    await expect(proveInclusion(hasher, index, size, store)).rejects.toMatchObject({ code: 'out_of_range' });
  });

  it('agrees with the published vectors', () => {
    for (const { name, leafIdx, treeSize, root, leafHash, proof, wantErr } of inclusionVectors) {
      const check = (): void => {
        const head = { size: BigInt(treeSize), root: Buffer.from(root, 'base64') };
        const hashes = (proof ?? []).map((hash) => Buffer.from(hash, 'base64'));
        checkInclusion(hasher, BigInt(leafIdx), Buffer.from(leafHash, 'base64'), hashes, head);
      };
      if (wantErr) expect(check, name).toThrow(refused);
      else expect(check, name).not.toThrow();
    }
  });
});

describe('consistency', () => {
  const { store, heads } = growTree(130);

  it('is proved for every prefix of every tree to 130, and no bit of a proof can be another', async () => {
    for (let size = 0; size <= 130; size++) {
      const head = heads[size]!;
      for (let oldSize = 0; oldSize <= size; oldSize++) {
        const old = heads[oldSize]!;
        const proof = await proveConsistency(hasher, old.size, head.size, store);
        checkConsistency(hasher, old, proof, head);
        const other = { ...head, root: head.root.slice() };
        const check = (): void => checkConsistency(hasher, old, proof, other);
        const roots = oldSize === 0 ? [old.root] : [old.root, other.root];
        expect(countAccepted(roots, false, check)).toBe(0);
        expect(countAccepted(proof, size <= 33, check)).toBe(0);
      }
    }
  });

  it('holds for one pair of sizes and one length of proof only', async () => {
    for (let size = 1; size <= 33; size++) {
      for (let oldSize = 1; oldSize <= size; oldSize++) {
        const [old, head] = [heads[oldSize]!, heads[size]!];
        const proof = await proveConsistency(hasher, old.size, head.size, store);
        const check = (hashes: Uint8Array[], oldHead: TreeHead) => () =>
          checkConsistency(hasher, oldHead, hashes, head);
        for (let other = 1; other <= size + 1; other++) {
          if (other !== oldSize) expect(check(proof, { ...old, size: BigInt(other) })).toThrow(refused);
        }
        expect(check([...proof, head.root], old)).toThrow(refused);
        if (proof.length > 0) expect(check(proof.slice(0, -1), old)).toThrow(refused);
      }
    }
  });

  it('refuses an empty tree with entries, and a root for no entries that is not the empty one', () => {
    const [empty, one] = [heads[0]!, heads[1]!];
    checkConsistency(hasher, empty, [], one);
    expect(() => checkConsistency(hasher, { size: 0n, root: one.root }, [], one)).toThrow(refused);
    expect(() => checkConsistency(hasher, empty, [], { size: 0n, root: one.root })).toThrow(refused);
    expect(() => checkConsistency(hasher, one, [], empty)).toThrow(refused);
    expect(() => checkConsistency(hasher, { size: -1n, root: one.root }, [], one)).toThrow(refused);
  });

  it('has no proof from a size beyond the tree', async () => {
    await expect(proveConsistency(hasher, 6n, 5n, store)).rejects.toMatchObject({ code: 'out_of_range' });
    await expect(proveConsistency(hasher, -1n, 5n, store)).rejects.toMatchObject({ code: 'out_of_range' });
  });

  it('agrees with the published vectors', () => {
    for (const { name, size1, size2, root1, root2, proof, wantErr } of consistencyVectors) {
      const check = (): void => {
        const [old, head] = [
          { size: BigInt(size1), root: Buffer.from(root1, 'base64') },
          { size: BigInt(size2), root: Buffer.from(root2, 'base64') },
        ];
        checkConsistency(
          hasher,
          old,
          (proof ?? []).map((hash) => Buffer.from(hash, 'base64')),
          head,
        );
      };
      if (wantErr) expect(check, name).toThrow(refused);
      else expect(check, name).not.toThrow();
    }
  });
});

describe('large trees', () => {
  const { leaves, store, heads } = growTree(70_000);
  const sizes = fc.integer({ min: 1, max: leaves.length });

  it('prove any leaf and any prefix, at any size, out of at most two tiles a level', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, at) => {
        const head = heads[size]!;
        const index = BigInt(at % size);
        store.read.length = 0;
        const proof = await proveInclusion(hasher, index, head.size, store);
        expect(store.read.length).toBeLessThanOrEqual(2 * 3);
        checkInclusion(hasher, index, leaves[Number(index)]!, proof, head);
        const old = heads[Number(index) + 1]!;
        checkConsistency(hasher, old, await proveConsistency(hasher, old.size, head.size, store), head);
        expect(formatHex(await readRoot(hasher, head.size, store))).toBe(formatHex(head.root));
      }),
      { numRuns: 300 },
    );
  });

  it('have the root of the definition', () => {
    expect(formatHex(heads[70_000]!.root)).toBe(formatHex(referenceRoot(hasher, leaves)));
  });

  it('hash alike by node:crypto and noble', async () => {
    const size = 66_000n;
    const proof = await proveInclusion(portableHasher, 12_345n, size, store);
    expect(proof).toEqual(await proveInclusion(hasher, 12_345n, size, store));
    checkInclusion(portableHasher, 12_345n, leaves[12_345]!, proof, heads[66_000]!);
  });

  it('are not made of tiles of a wrong length', async () => {
    const short = { readTiles: async () => [new Uint8Array(31)] };
    await expect(readRoot(hasher, 1n, short)).rejects.toThrow(/31 bytes/);
  });
});
