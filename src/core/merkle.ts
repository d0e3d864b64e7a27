/**
 * The hashes of an RFC 9162 Merkle tree (§2.1.1): leaf = SHA-256(00 ‖ entry), node = SHA-256(01 ‖ left ‖ right),
 * empty tree = SHA-256(""). A tree of n > 1 leaves splits at the largest power of two below n.
 */
import type { Hasher } from './hasher.js';

/** Bytes of one hash. */
export const HASH_BYTES = 32;

/** SHA-256 of `input` in fresh memory. */
export function digest(hasher: Hasher, input: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hasher.sha256(input, out, 0);
  return out;
}

/** The leaf hash of an entry, in fresh memory. */
export function hashLeaf(hasher: Hasher, entry: Uint8Array): Uint8Array {
  const input = new Uint8Array(entry.length + 1);
  input.set(entry, 1);
  return digest(hasher, input);
}

/**
 * The leaf hash of the entry at `buffer[start, end)`, written to `out` at `offset`, without copying the entry: the byte
 * before it (at least one is there, in a bundle its length's low byte) is borrowed for the prefix 00 and put back.
 */
export function hashLeafInPlace(
  hasher: Hasher,
  buffer: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  offset: number,
): void {
  if (start < 1 || end < start || end > buffer.length) throw new Error(`no room for a leaf at ${start}..${end}`);
  const borrowed = buffer[start - 1]!;
  buffer[start - 1] = 0;
  try {
    // A plain view: one of a Buffer's own kind costs several times as much.
    hasher.sha256(new Uint8Array(buffer.buffer, buffer.byteOffset + start - 1, end - start + 1), out, offset);
  } finally {
    buffer[start - 1] = borrowed;
  }
}

/** The hash of an inner node, in fresh memory. */
export function hashNode(hasher: Hasher, left: Uint8Array, right: Uint8Array): Uint8Array {
  const input = new Uint8Array(1 + 2 * HASH_BYTES);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + HASH_BYTES);
  return digest(hasher, input);
}

/** The root of the tree without leaves. */
export const emptyRoot = (hasher: Hasher): Uint8Array => digest(hasher, new Uint8Array(0));

/**
 * The root of a perfect subtree: of `hashes[first, first + count)`, 32 bytes each, where `count` is a power of two.
 */
export function hashPerfect(hasher: Hasher, hashes: Uint8Array, first: number, count: number): Uint8Array {
  if (count < 1 || (count & (count - 1)) !== 0 || (first + count) * HASH_BYTES > hashes.length) {
    throw new Error(`no perfect subtree at ${first}, ${count} wide`);
  }
  const row = new Uint8Array(count * HASH_BYTES); // not slice: of a Buffer that would be the caller's own memory
  row.set(hashes.subarray(first * HASH_BYTES, (first + count) * HASH_BYTES));
  const slot = new Uint8Array(1 + 2 * HASH_BYTES);
  slot[0] = 1;
  for (let width = count; width > 1; width /= 2) {
    for (let i = 0; i < width; i += 2) {
      slot.set(row.subarray(i * HASH_BYTES, (i + 2) * HASH_BYTES), 1);
      hasher.sha256(slot, row, (i / 2) * HASH_BYTES);
    }
  }
  return row.slice(0, HASH_BYTES);
}
