/** Names that the same cause always gets, whoever decides: so that what is written twice is written once. */
import { encodeUtf8, formatHex } from '../core/bytes.js';
import type { Hasher } from '../core/hasher.js';

/** The log that all causes and orders are in. */
export const LIFECYCLE = 'lifecycle/0/g1';

const NAME_BYTES = 16;

/** First 16 bytes of SHA-256(lp('order') ‖ lp(producer) ‖ lp(cause id)), in hex. */
export const orderName = (hasher: Hasher, producer: string, cause: string): string =>
  nameOf(hasher, [prefixed('order'), prefixed(producer), prefixed(cause)]);

/** First 16 bytes of SHA-256(lp(cause's producer) ‖ lp(cause id) ‖ uint64 term ‖ uint32 number), in hex. */
export function partName(hasher: Hasher, producer: string, cause: string, term: bigint, number: number): string {
  const tail = new Uint8Array(12);
  const view = new DataView(tail.buffer);
  view.setBigUint64(0, term);
  view.setUint32(8, number);
  return nameOf(hasher, [prefixed(producer), prefixed(cause), tail]);
}

function nameOf(hasher: Hasher, parts: readonly Uint8Array[]): string {
  const input = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    input.set(part, at);
    at += part.length;
  }
  const digest = new Uint8Array(32);
  hasher.sha256(input, digest, 0);
  return formatHex(digest.subarray(0, NAME_BYTES));
}

/** lp(text): its UTF-8 bytes behind their length, a big-endian uint32. */
function prefixed(text: string): Uint8Array {
  const bytes = encodeUtf8(text);
  const out = new Uint8Array(4 + bytes.length);
  new DataView(out.buffer).setUint32(0, bytes.length);
  out.set(bytes, 4);
  return out;
}
