/** Signatures for a simulation: as unforgeable as its world is small, and a hundred times as fast as Ed25519. */
import { equalBytes, formatHex } from '../../src/core/bytes.js';
import type { Signer, Verifier } from '../../src/core/signer.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';

const secrets = new Map<string, Uint8Array>();

export function digestOf(text: string): Uint8Array {
  const digest = new Uint8Array(32);
  hasher.sha256(Buffer.from(text), digest, 0);
  return digest;
}

function signatureOf(secret: Uint8Array, message: Uint8Array): Uint8Array {
  const signature = new Uint8Array(64);
  hasher.sha256(Buffer.concat([secret, message]), signature, 0);
  signature.set(signature.subarray(0, 32), 32);
  return signature;
}

export function modelSigner(name: string): Signer {
  const publicKey = digestOf(`public ${name}`);
  const secret = digestOf(`secret ${name}`);
  secrets.set(formatHex(publicKey), secret);
  return { publicKey, sign: (message) => signatureOf(secret, message) };
}

export const modelVerifier: Verifier = {
  verify(publicKey, message, signature) {
    const secret = secrets.get(formatHex(publicKey));
    return secret !== undefined && equalBytes(signatureOf(secret, message), signature);
  },
};
