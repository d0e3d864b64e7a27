/** SHA-256 and Ed25519 in plain TypeScript (noble): for browsers, and wherever node:crypto is not. About 8 times slower. */
import { getPublicKey, hashes, sign, verify } from '@noble/ed25519';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import type { Hasher } from './hasher.js';
import type { Signer, Verifier } from './signer.js';

hashes.sha512 = sha512;

export const portableHasher: Hasher = {
  sha256: (input, out, offset) => out.set(sha256(input), offset),
};

/** RFC 8032 strictly: signatures that only ZIP-215 would accept are refused. */
export const portableVerifier: Verifier = {
  verify(publicKey, message, signature) {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    return verify(signature, message, publicKey, { zip215: false });
  },
};

/** A signer with the 32-byte private key (RFC 8032 §5.1.5) `seed`, which it keeps in memory. */
export function makePortableSigner(seed: Uint8Array): Signer {
  const secret = Uint8Array.from(seed);
  return { publicKey: getPublicKey(secret), sign: (message) => sign(message, secret) };
}
