import { hash, randomFillSync } from 'node:crypto';

const POOL_BYTES = 16_384;
let pool = Buffer.alloc(0);
let taken = 0;

/** `length` random bytes, drawn in bulk: one call of the system's generator for many small needs. */
export function drawRandom(length: number): Buffer {
  if (taken + length > pool.length) {
    pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
    taken = 0;
  }
  const bytes = pool.subarray(taken, taken + length);
  taken += length;
  return bytes;
}

/** Several byte strings or texts, each behind its `uint32` big-endian length: lp(a) ‖ lp(b) ‖ … */
export function lengthPrefixed(...parts: readonly (string | Uint8Array)[]): Buffer {
  let size = 0;
  for (const part of parts) size += 4 + (typeof part === 'string' ? Buffer.byteLength(part) : part.length);
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const part of parts) {
    const start = at + 4;
    if (typeof part === 'string') at = start + bytes.write(part, start);
    else {
      bytes.set(part, start);
      at = start + part.length;
    }
    bytes.writeUInt32BE(at - start, start - 4);
  }
  return bytes;
}

/** The pair of `lengthPrefixed`, for bytes it made: views of the parts. */
export function splitLengthPrefixed(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + bytes.readUInt32BE(at);
    parts.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

const BLOCK = 64;
let inner = Buffer.alloc(1024);
const outer = Buffer.alloc(BLOCK + 32);

/**
 * HMAC-SHA-256 (RFC 2104) of short messages under short keys as two one-shot hashes: an `Hmac` object costs several times more
 * than the hashing. Keys longer than 64 bytes are not taken.
 */
export function hmac(key: Uint8Array, message: Uint8Array): Buffer {
  if (key.length > BLOCK) throw new Error('an HMAC key is at most 64 bytes');
  const size = BLOCK + message.length;
  if (inner.length < size) inner = Buffer.alloc(size * 2);
  for (let i = 0; i < BLOCK; i++) {
    const byte = i < key.length ? (key[i] as number) : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
  inner.set(message, BLOCK);
  outer.write(hash('sha256', inner.subarray(0, size), 'binary'), BLOCK, 'latin1');
  const out = Buffer.allocUnsafe(32);
  out.write(hash('sha256', outer, 'binary'), 'latin1');
  return out;
}
