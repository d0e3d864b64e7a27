/** A sum of digests modulo 2^256: the hash of a set, kept up by adding what comes and subtracting what goes, in any order. */

/** Bytes of a state hash, and of each digest in it. */
export const STATE_HASH_BYTES = 32;

export class StateHash {
  /** Big-endian. */
  readonly #sum = new Uint8Array(STATE_HASH_BYTES);

  /** Adds the 32 bytes of a digest. */
  add(digest: Uint8Array): void {
    let carry = 0;
    for (let i = STATE_HASH_BYTES - 1; i >= 0; i--) {
      carry += this.#sum[i]! + digest[i]!;
      this.#sum[i] = carry;
      carry >>= 8;
    }
  }

  /** Takes a digest out again. */
  subtract(digest: Uint8Array): void {
    let borrow = 0;
    for (let i = STATE_HASH_BYTES - 1; i >= 0; i--) {
      borrow += this.#sum[i]! - digest[i]!;
      this.#sum[i] = borrow;
      borrow >>= 8;
    }
  }

  /** The sum, in fresh memory. */
  bytes(): Uint8Array {
    return this.#sum.slice();
  }
}
