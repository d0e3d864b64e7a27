/**
 * Ed25519 (RFC 8032), passed in: node:crypto on a server (src/platform/), noble anywhere (src/core/portable.ts).
 */

/** Holds one private key. */
export interface Signer {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** The 64-byte signature of `message`. */
  sign(message: Uint8Array): Uint8Array;
}

export interface Verifier {
  /** True iff `signature` is one of `message` under `publicKey`. Never throws: bytes of a wrong length are a false. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}
