/**
 * HMAC-SHA-256 (RFC 2104) of many short messages. Key block and message are laid out in place, one behind the other, for two
 * one-shot hashes: an `Hmac` object, and every buffer that one call hands to the next, cost several times more than the hashing.
 * Between calls digests travel as binary strings, one character a byte: no buffer is made for a key that is used once.
 */
import { hash } from 'node:crypto';

/** Bytes as text, a character (U+0000 to U+00FF) each. */
export type Binary = string;

const BLOCK = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** A message that needs more has memory of its own, and only for as long. */
const ROOM_BYTES = 16 * 1024;
/** Texts up to this length are written by hand: a call costs more. */
const SHORT_TEXT = 48;

const standing = Buffer.alloc(ROOM_BYTES, INNER_PAD);
const outer = Buffer.alloc(BLOCK + 32, OUTER_PAD);
/** The short beginnings of `standing`, made when first hashed. */
const views: (Buffer | undefined)[] = [];
const VIEWS = 1024;

/** Key block ‖ message. */
let inner = standing;
/** Where the message ends. */
let end = BLOCK;
/** Of the key in the two blocks: behind it stands the padding. */
let keyLength = 0;

/** Begins: the key of the digests that follow, until the next one. @param key at most 64 bytes */
export function setMacKey(key: Uint8Array | Binary): void {
  const { length } = key;
  if (length > BLOCK) throw new Error('an HMAC key is at most 64 bytes');
  // Whatever a thrown error left unfinished is forgotten.
  inner = standing;
  end = BLOCK;
  for (let i = 0; i < length; i++) {
    const byte = typeof key === 'string' ? key.charCodeAt(i) : key[i]!;
    inner[i] = byte ^ INNER_PAD;
    outer[i] = byte ^ OUTER_PAD;
  }
  for (let i = length; i < keyLength; i++) {
    inner[i] = INNER_PAD;
    outer[i] = OUTER_PAD;
  }
  keyLength = length;
}

/** Adds to the message, as it is; texts as UTF-8. */
export function putMac(part: Uint8Array | string): void {
  if (typeof part === 'string') {
    reserve(part.length * 3);
    end = writeText(inner, part, end);
  } else {
    reserve(part.length);
    inner.set(part, end);
    end += part.length;
  }
}

/** Adds to the message behind its `uint32` length. */
export function putMacPrefixed(part: Uint8Array | string): void {
  reserve(4);
  const start = end + 4;
  end = start;
  putMac(part);
  inner.writeUInt32BE(end - start, start - 4);
}

/** The digest of the message under the key; the key stays, the next message begins. */
export function takeMac(): Binary {
  const message =
    inner === standing && end < VIEWS ? (views[end] ??= standing.subarray(0, end)) : inner.subarray(0, end);
  outer.write(hash('sha256', message, 'binary'), BLOCK, 'latin1');
  inner = standing;
  end = BLOCK;
  return hash('sha256', outer, 'binary');
}

/** One message under one key. @param key at most 64 bytes */
export function hmac(key: Uint8Array, message: Uint8Array | string): Buffer {
  setMacKey(key);
  putMac(message);
  return toBytes(takeMac());
}

export const toBytes = (binary: Binary): Buffer => Buffer.from(binary, 'latin1');

function reserve(bytes: number): void {
  if (end + bytes <= inner.length) return;
  const grown = Buffer.allocUnsafeSlow((end + bytes) * 2);
  inner.copy(grown, 0, 0, end);
  inner = grown;
}

/** Writes a text as UTF-8 at `at`; there is room. Answers where it ends. */
export function writeText(bytes: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > SHORT_TEXT) return at + bytes.write(text, at);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return at + bytes.write(text, at);
    bytes[at + i] = unit;
  }
  return at + length;
}
