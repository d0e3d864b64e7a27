import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import { KeelsonError } from '../core/error.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * AES-256-GCM under a random nonce: nonce (12) ‖ ciphertext ‖ tag (16).
 * @param about additional data: what this belongs to, so that it opens nowhere else.
 */
export function encrypt(key: KeyObject | Uint8Array, plain: Uint8Array, about: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(about);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

/** The pair of `encrypt`. @throws KeelsonError `tampered`: another key, or bytes that were changed or moved. */
export function decrypt(key: KeyObject | Uint8Array, sealed: Uint8Array, about: Uint8Array): Buffer {
  const end = sealed.length - TAG_BYTES;
  if (end < NONCE_BYTES) throw new KeelsonError('tampered', 'what the vault holds is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(about);
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(NONCE_BYTES, end));
  try {
    decipher.final();
  } catch (cause) {
    throw new KeelsonError('tampered', 'what the vault holds does not open with its key', { cause });
  }
  return plain;
}
