/** Inclusion and consistency proofs of RFC 9162 (§2.1.3, §2.1.4), made out of tiles and checked without them. */
import { equalBytes } from './bytes.js';
import { KeelsonError } from './error.js';
import type { Hasher } from './hasher.js';
import { emptyRoot, HASH_BYTES, hashNode } from './merkle.js';
import { hashRanges, type LeafRange, type TileReader } from './subtree.js';

/** A tree's size and root hash. */
export interface TreeHead {
  readonly size: bigint;
  readonly root: Uint8Array;
}

/** The root of the first `size` leaves, out of the tiles of a tree of that size. */
export async function readRoot(hasher: Hasher, size: bigint, reader: TileReader): Promise<Uint8Array> {
  const [root] = await hashRanges(hasher, [{ start: 0n, end: size }], size, reader);
  return root!;
}

/**
 * The inclusion proof of leaf `index` in the tree of its first `size` leaves, from leaf to root.
 * @throws KeelsonError `out_of_range` unless index < size; and what the reader rejects with.
 */
export async function proveInclusion(
  hasher: Hasher,
  index: bigint,
  size: bigint,
  reader: TileReader,
): Promise<Uint8Array[]> {
  return hashRanges(hasher, inclusionRanges(index, size), size, reader);
}

/**
 * Checks, by RFC 9162 §2.1.3.2, that `leaf` is the hash of entry `index` in the tree `head`.
 * @throws KeelsonError `bad_proof`.
 */
export function checkInclusion(
  hasher: Hasher,
  index: bigint,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  head: TreeHead,
): void {
  if (index < 0n || index >= head.size) throw badProof(`no entry ${index} in a tree of ${head.size}`);
  requireHashes([leaf, head.root, ...proof]);
  let fn = index;
  let sn = head.size - 1n;
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0n) throw badProof('the proof is too long');
    if (isOdd(fn) || fn === sn) {
      hash = hashNode(hasher, sibling, hash);
      while (fn !== 0n && !isOdd(fn)) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else {
      hash = hashNode(hasher, hash, sibling);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  if (sn !== 0n) throw badProof('the proof is too short');
  if (!equalBytes(hash, head.root)) throw badProof('the proof leads to another root');
}

/**
 * The proof that the tree of `size` leaves continues the one of its first `oldSize`.
 * Empty for equal sizes, and from the empty tree, which every tree continues.
 * @throws KeelsonError `out_of_range` unless oldSize ≤ size; and what the reader rejects with.
 */
export async function proveConsistency(
  hasher: Hasher,
  oldSize: bigint,
  size: bigint,
  reader: TileReader,
): Promise<Uint8Array[]> {
  return hashRanges(hasher, consistencyRanges(oldSize, size), size, reader);
}

/**
 * Checks, by RFC 9162 §2.1.4.2, that the tree `head` continues the tree `old`: same leaves, more behind them.
 * @throws KeelsonError `bad_proof`.
 */
export function checkConsistency(hasher: Hasher, old: TreeHead, proof: readonly Uint8Array[], head: TreeHead): void {
  if (old.size < 0n || old.size > head.size) throw badProof(`${head.size} entries can't continue ${old.size}`);
  if (old.size === 0n) {
    requireHashes([head.root]);
    if (!equalBytes(old.root, emptyRoot(hasher))) throw badProof('not the root of the empty tree');
  }
  if (old.size === head.size && !equalBytes(old.root, head.root)) throw badProof(`two roots for ${old.size} entries`);
  if (old.size === head.size || old.size === 0n) {
    if (proof.length > 0) throw badProof('the proof is too long');
    return;
  }
  if (proof.length === 0) throw badProof('the proof is too short');
  requireHashes([old.root, head.root, ...proof]);
  const path = isPowerOfTwo(old.size) ? [old.root, ...proof] : proof;
  let fn = old.size - 1n;
  let sn = head.size - 1n;
  while (isOdd(fn)) [fn, sn] = [fn >> 1n, sn >> 1n];
  let oldHash = path[0]!;
  let hash = path[0]!;
  for (const sibling of path.slice(1)) {
    if (sn === 0n) throw badProof('the proof is too long');
    if (isOdd(fn) || fn === sn) {
      oldHash = hashNode(hasher, sibling, oldHash);
      hash = hashNode(hasher, sibling, hash);
      while (fn !== 0n && !isOdd(fn)) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else {
      hash = hashNode(hasher, hash, sibling);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  if (sn !== 0n) throw badProof('the proof is too short');
  if (!equalBytes(oldHash, old.root)) throw badProof('the proof leads to another old root');
  if (!equalBytes(hash, head.root)) throw badProof('the proof leads to another root');
}

/** PATH(index, D[size]) of RFC 9162 §2.1.3.1: the subtrees whose hashes are the proof. */
function inclusionRanges(index: bigint, size: bigint): LeafRange[] {
  if (index < 0n || index >= size) throw new KeelsonError('out_of_range', `no entry ${index} in a tree of ${size}`);
  const ranges: LeafRange[] = [];
  let [start, end] = [0n, size];
  while (end - start > 1n) {
    const split = start + splitOf(end - start);
    if (index < split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  return ranges.reverse();
}

/** PROOF(oldSize, D[size]) of RFC 9162 §2.1.4.1. */
function consistencyRanges(oldSize: bigint, size: bigint): LeafRange[] {
  if (oldSize < 0n || oldSize > size) throw new KeelsonError('out_of_range', `${oldSize} is not a size up to ${size}`);
  if (oldSize === 0n) return [];
  const ranges: LeafRange[] = [];
  let [start, end] = [0n, size];
  while (end !== oldSize) {
    const split = start + splitOf(end - start);
    if (oldSize <= split) {
      ranges.push({ start: split, end });
      end = split;
    } else {
      ranges.push({ start, end: split });
      start = split;
    }
  }
  if (start > 0n) ranges.push({ start, end });
  return ranges.reverse();
}

/** The largest power of two below `count`, which is at least 2. */
const splitOf = (count: bigint): bigint => 1n << BigInt((count - 1n).toString(2).length - 1);

const isOdd = (n: bigint): boolean => (n & 1n) === 1n;

const isPowerOfTwo = (n: bigint): boolean => (n & (n - 1n)) === 0n;

function requireHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw badProof('a hash is not 32 bytes');
}

const badProof = (message: string): KeelsonError => new KeelsonError('bad_proof', message);
