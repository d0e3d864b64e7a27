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
  /** How stale a table may be where a tool is called; value: the tool. Of no token. */
  | 'staleness'
  /** The one key that every part moves, so that a guard can prove that it refuses. */
  | 'canary';

/** Derives keys under one guard key: the key of `issuer` ('' for what Keelson itself names) and its values, in fresh memory. */
export type KeyDeriver = (type: KeyType, issuer: string, ...values: readonly string[]) => Uint8Array;

const BLOCK_BYTES = 64;
const HASH_BYTES = 32;

/**
 * A deriver that keeps its buffers: for many keys at once.
 * @param guardKey the secret of the generation, of any length; 32 bytes are usual.
 */
export function makeKeyDeriver(hasher: Hasher, guardKey: Uint8Array): KeyDeriver {
  // HMAC-SHA-256 (RFC 2104): inner is the padded secret and the message, outer the padded secret and the hash of inner.
  let inner = new Uint8Array(512);
  const outer = new Uint8Array(BLOCK_BYTES + HASH_BYTES);
  const secret = new Uint8Array(BLOCK_BYTES);
  if (guardKey.length > BLOCK_BYTES) hasher.sha256(guardKey, secret, 0);
  else secret.set(guardKey);
  for (let i = 0; i < BLOCK_BYTES; i++) {
    inner[i] = secret[i]! ^ 0x36;
    outer[i] = secret[i]! ^ 0x5c;
  }

  /** Writes lp(text) to `inner` at `at`; returns where it ends. */
  const write = (text: string, at: number): number => {
    const need = at + 4 + text.length * 3;
    if (need > inner.length) {
      const larger = new Uint8Array(need * 2);
      larger.set(inner);
      inner = larger;
    }
    const end = writeUtf8(text, inner, at + 4);
    const length = end - at - 4;
    inner[at] = length >>> 24;
    inner[at + 1] = length >>> 16;
    inner[at + 2] = length >>> 8;
    inner[at + 3] = length;
    return end;
  };

  const mac = new Uint8Array(HASH_BYTES);
  return (type, issuer, ...values) => {
    let end = write(issuer, write(type, BLOCK_BYTES));
    for (const value of values) end = write(value, end);
    hasher.sha256(inner.subarray(0, end), outer, BLOCK_BYTES);
    hasher.sha256(outer, mac, 0);
    return mac.slice(0, KEY_BYTES);
  };
}

/** One key; `makeKeyDeriver` for many. */
export const deriveKey = (
  hasher: Hasher,
  guardKey: Uint8Array,
  type: KeyType,
  issuer: string,
  ...values: readonly string[]
): Uint8Array => makeKeyDeriver(hasher, guardKey)(type, issuer, ...values);

/** The reserved key that every part moves. */
export const deriveCanaryKey = (hasher: Hasher, guardKey: Uint8Array): Uint8Array =>
  deriveKey(hasher, guardKey, 'canary', '', '');

/** Writes `text` to `out`, which has room for three bytes a character; returns where it ends. */
function writeUtf8(text: string, out: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) {
      const bytes = encodeUtf8(text);
      out.set(bytes, at);
      return at + bytes.length;
    }
    out[at + i] = code;
  }
  return at + text.length;
}
