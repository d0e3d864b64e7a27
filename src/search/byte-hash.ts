import { randomBytes } from 'node:crypto';

const seed = randomBytes(4).readInt32LE();

/**
 * A 32-bit hash of `bytes[start, end)` and their kind, for tables that live as long as this process. It is quick and no more than that:
 * who knows the seed can make texts that collide, so a table must not get slow when they do.
 */
export function hashBytes(kind: number, bytes: Uint8Array, start: number, end: number): number {
  let mix = seed ^ Math.imul(kind, 0x9e3779b1) ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    mix = Math.imul(mix ^ word, 0x85ebca6b);
    mix ^= mix >>> 15;
  }
  for (; at < end; at++) mix = Math.imul(mix ^ bytes[at]!, 0xc2b2ae35);
  mix = Math.imul(mix ^ (mix >>> 13), 0x85ebca6b);
  return mix ^ (mix >>> 16);
}

/** Whether `bytes[start, start + length)` are those of `others` at `at`. */
export function equalBytes(bytes: Uint8Array, start: number, others: Uint8Array, at: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[start + i] !== others[at + i]) return false;
  return true;
}
