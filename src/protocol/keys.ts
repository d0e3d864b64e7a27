/**
 * Keys: what a revocation names. A key is one identity that a token descends from, so that a leaver is a handful of facts
 * whether they hold one token or a hundred thousand:
 *
 *     key = first 16 bytes of HMAC-SHA-256(guard key, lp(type) ‖ lp(issuer) ‖ lp(value) …)
 *
 * with lp(x) the UTF-8 bytes of x behind their length, a big-endian uint32. Without the guard key a key tells nothing about whom
 * it stands for. docs/revocation.md, "Keys".
 */
import { encodeUtf8 } from '../core/bytes.js';
import type { Hasher } from '../core/hasher.js';

export const KEY_BYTES = 16;

export type KeyType =
  | 'token'
  | 'grant'
  | 'session'
  | 'principal'
  | 'delegation'
  | 'agent'
  | 'client'
  | 'tool'
  | 'environment'
  /** What a person holds as a member of a group; values: the person's id at the issuer, the group. */
  | 'membership'
  /** The one key that every part moves, so that a guard can prove that it refuses. */
  | 'canary';

/**
 * The key of one identity, in fresh memory. `issuer` is '' for what Keelson itself names.
 * @param guardKey the secret of the generation, of any length; 32 bytes are usual.
 */
export function deriveKey(
  hasher: Hasher,
  guardKey: Uint8Array,
  type: KeyType,
  issuer: string,
  ...values: readonly string[]
): Uint8Array {
  const parts = [type, issuer, ...values].map(encodeUtf8);
  const message = new Uint8Array(parts.reduce((size, part) => size + 4 + part.length, 0));
  const view = new DataView(message.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length);
    message.set(part, at + 4);
    at += 4 + part.length;
  }
  return hmac(hasher, guardKey, message).slice(0, KEY_BYTES);
}

/** The reserved key that every part moves. */
export const deriveCanaryKey = (hasher: Hasher, guardKey: Uint8Array): Uint8Array =>
  deriveKey(hasher, guardKey, 'canary', '', '');

const BLOCK_BYTES = 64;
const HASH_BYTES = 32;

/** HMAC-SHA-256 (RFC 2104). */
function hmac(hasher: Hasher, key: Uint8Array, message: Uint8Array): Uint8Array {
  const inner = new Uint8Array(BLOCK_BYTES + message.length);
  const outer = new Uint8Array(BLOCK_BYTES + HASH_BYTES);
  if (key.length > BLOCK_BYTES) hasher.sha256(key, inner, 0);
  else inner.set(key);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    outer[i] = inner[i]! ^ 0x5c;
    inner[i]! ^= 0x36;
  }
  inner.set(message, BLOCK_BYTES);
  hasher.sha256(inner, outer, BLOCK_BYTES);
  hasher.sha256(outer, outer, 0);
  return outer.subarray(0, HASH_BYTES);
}
