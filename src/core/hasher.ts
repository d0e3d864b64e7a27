/**
 * SHA-256, passed in: node:crypto on a server (src/platform/hasher.ts), noble anywhere (src/core/portable.ts).
 * A hasher writes into the caller's buffer, so that a tree of a million leaves allocates nothing per node.
 */
export interface Hasher {
  /** Writes the 32 bytes SHA-256(input) to `out` at `offset`. `input` and `out` may share memory: input is read first. */
  sha256(input: Uint8Array, out: Uint8Array, offset: number): void;
}
