import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;
const RANDOM_BYTES = 10;
const pool = Buffer.allocUnsafe(POOL_BYTES);
let used = POOL_BYTES;

/**
 * A UUID of version 7 (RFC 9562, 5.7) as text.
 * @param unixMs milliseconds since 1970, 48 bits
 * @param random ten bytes: 12 of the first 16 bits are `rand_a`, 62 of the other 64 `rand_b`
 */
export function formatUuidV7(unixMs: number, random: Uint8Array): string {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeUIntBE(unixMs, 0, 6);
  bytes.set(random.subarray(0, RANDOM_BYTES), 6);
  return format(bytes, 7);
}

/** A UUID of version 8 (RFC 9562, 5.8), of the first 16 bytes of a digest. */
export const formatUuidV8 = (digest: Uint8Array): string => format(Buffer.from(digest.subarray(0, 16)), 8);

function format(bytes: Buffer, version: number): string {
  bytes[6] = (version << 4) | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** A fresh UUIDv7 for this moment; its random bits come from the system, drawn in pools. */
export function makeUuidV7(unixMs: number): string {
  if (used + RANDOM_BYTES > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM_BYTES;
  return formatUuidV7(unixMs, pool.subarray(used - RANDOM_BYTES, used));
}
