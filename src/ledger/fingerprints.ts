import { randomBytes } from 'node:crypto';

const LOAD_MAX = 0.6;
const CAPACITY_MIN = 1024;

/**
 * Which entries may hold a dedupe key: 32-bit fingerprints and where each stands, open addressing, 8 bytes a slot. A match
 * is a maybe, whose truth is read elsewhere; no match is a certain no. Fingerprints are keyed per table, so that nobody can
 * prepare keys that collide.
 *
 * Positions are entry indexes, at most 2^32 − 2 above the table's base.
 */
export class Fingerprints {
  readonly #seeds = new Uint32Array(randomBytes(32).buffer.slice(0)).slice(0, 8);
  #base: number;
  /** Pairs: fingerprint, position − base + 1; a zero in the second place is an empty slot. */
  #slots: Uint32Array;
  #mask: number;
  #count = 0;

  /** @param base no position below it is ever inserted; @param expected how many to make room for */
  constructor(base: number, expected = 0) {
    this.#base = base;
    const capacity = capacityFor(expected);
    this.#slots = new Uint32Array(capacity * 2);
    this.#mask = capacity - 1;
  }

  get count(): number {
    return this.#count;
  }

  /** The fingerprint of the 16 bytes at `at`. */
  of(bytes: Uint8Array, at: number): number {
    const seeds = this.#seeds;
    let mix = seeds[7]!;
    for (let word = 0; word < 4; word++) {
      const i = at + word * 4;
      const value = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
      mix = Math.imul(mix ^ value ^ seeds[word]!, 0x9e3779b1 ^ (seeds[4]! << 1));
      mix ^= mix >>> 15;
    }
    mix = Math.imul(mix ^ seeds[5]!, 0x85ebca6b);
    mix ^= mix >>> 13;
    return mix >>> 0;
  }

  /** Whether any entry has this fingerprint. */
  has(fingerprint: number): boolean {
    const slots = this.#slots;
    for (let at = fingerprint & this.#mask; slots[at * 2 + 1] !== 0; at = (at + 1) & this.#mask) {
      if (slots[at * 2] === fingerprint) return true;
    }
    return false;
  }

  /** The positions with this fingerprint, highest first. */
  positions(fingerprint: number): number[] {
    const found: number[] = [];
    const slots = this.#slots;
    for (let at = fingerprint & this.#mask; slots[at * 2 + 1] !== 0; at = (at + 1) & this.#mask) {
      if (slots[at * 2] === fingerprint) found.push(slots[at * 2 + 1]! - 1 + this.#base);
    }
    return found.sort((a, b) => b - a);
  }

  /** Adds a position. When the table must grow, positions below `floor` are let go. */
  insert(fingerprint: number, position: number, floor = 0): void {
    if (this.#count + 1 > (this.#mask + 1) * LOAD_MAX) this.#grow(floor);
    const relative = position - this.#base + 1;
    if (relative < 1 || relative > 0xffffffff)
      throw new Error(`position ${position} is out of reach of base ${this.#base}`);
    this.#put(fingerprint, relative);
  }

  #put(fingerprint: number, relative: number): void {
    const slots = this.#slots;
    let at = fingerprint & this.#mask;
    while (slots[at * 2 + 1] !== 0) at = (at + 1) & this.#mask;
    slots[at * 2] = fingerprint;
    slots[at * 2 + 1] = relative;
    this.#count++;
  }

  #grow(floor: number): void {
    const old = this.#slots;
    const least = Math.max(1, floor - this.#base + 1);
    let kept = 0;
    for (let i = 1; i < old.length; i += 2) if (old[i]! >= least) kept++;
    const capacity = capacityFor(kept * 2);
    this.#slots = new Uint32Array(capacity * 2);
    this.#mask = capacity - 1;
    this.#count = 0;
    const shift = least - 1;
    this.#base += shift;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1]! >= least) this.#put(old[i]!, old[i + 1]! - shift);
  }
}

function capacityFor(count: number): number {
  let capacity = CAPACITY_MIN;
  while (capacity * LOAD_MAX < count + 1) capacity *= 2;
  return capacity;
}
