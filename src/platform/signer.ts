import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import type { Signer, Verifier } from '../core/signer.js';

/** DER prefixes of PKCS #8 and SubjectPublicKeyInfo for Ed25519 (RFC 8410 §7, §4); 32 raw bytes follow. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** A signer by OpenSSL, the private key inside it, for the 32-byte Ed25519 seed `seed` (RFC 8032 §5.1.5). */
export function nodeSigner(seed: Uint8Array): Signer {
  if (seed.length !== 32) throw new Error('an Ed25519 seed has 32 bytes');
  const key = createPrivateKey({ key: Buffer.concat([PRIVATE_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = new Uint8Array(
    createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC_PREFIX.length),
  );
  return { publicKey, sign: (message) => new Uint8Array(sign(null, message, key)) };
}

const publicKeys = new Map<string, KeyObject>();
/** A feed process hears from ten thousand instances every few seconds. */
const PUBLIC_KEYS_MAX = 16_384;

/** Verifies by OpenSSL. False for anything malformed. Public keys stay parsed, the latest of them. */
export const nodeVerifier: Verifier = {
  verify(publicKey, message, signature) {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    return verify(null, message, parsePublicKey(publicKey), signature);
  },
};

/** As `nodeVerifier`, on another thread: for those who have so many to check that their own gets nothing else done. */
export function verifyLater(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  if (publicKey.length !== 32 || signature.length !== 64) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    verify(null, message, parsePublicKey(publicKey), signature, (error, isValid) => {
      if (error === null) resolve(isValid);
      else reject(error);
    });
  });
}

function parsePublicKey(raw: Uint8Array): KeyObject {
  const id = Buffer.from(raw).toString('latin1');
  let key = publicKeys.get(id);
  if (!key) {
    key = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, raw]), format: 'der', type: 'spki' });
    if (publicKeys.size >= PUBLIC_KEYS_MAX) publicKeys.delete(publicKeys.keys().next().value!);
    publicKeys.set(id, key);
  }
  return key;
}
