import { randomFillSync } from 'node:crypto';

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
