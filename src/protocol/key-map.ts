/**
 * An open-addressing table over 128-bit keys in one typed array. Keys are outputs of a MAC, so their first 32 bits are the hash; a
 * slot's home grows with the key, and colliding keys are kept in order behind it. So slots are in ascending order of keys, a
 * look-up ends at the first greater key, a removal moves the followers back (no tombstones), and the layout depends on the keys
 * alone, not on the order in which they came.
 */
import { KEY_BYTES } from './keys.js';

/** Words of 32 bits that a key takes in a slot. */
export const KEY_WORDS = KEY_BYTES / 4;
/** Full to this share, a map grows. */
const MAX_LOAD = 0.9;
const GROWTH = 1.125;
const MIN_CAPACITY = 64;
/** Slots behind the last home, for what collides there; the last one is always empty. */
const MIN_TAIL = 32;

/**
 * A slot is a position in `words`: four words of key, then the owner's own, of which the first must not be 0. Positions hold until
 * the next `insert` or `remove`.
 */
export class KeyMap {
  /** All slots, and where the owner keeps its words. Another array after an insert. */
  words: Int32Array;
  readonly #stride: number;
  #capacity: number;
  #tail: number;
  #size = 0;

  /** @param payloadWords the owner's words in a slot, at least 1. */
  constructor(payloadWords: number, expected = 0) {
    this.#stride = KEY_WORDS + payloadWords;
    this.#capacity = Math.max(MIN_CAPACITY, Math.ceil(expected / MAX_LOAD));
    this.#tail = MIN_TAIL;
    this.words = new Int32Array((this.#capacity + this.#tail) * this.#stride);
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes in use. */
  get byteLength(): number {
    return this.words.byteLength;
  }

  /** The slot of the key at `bytes[at, at + 16)`, or −1. Allocates nothing. */
  find(bytes: Uint8Array, at = 0): number {
    const words = this.words;
    const stride = this.#stride;
    const first = readWord(bytes, at);
    for (let slot = this.#home(first); words[slot + KEY_WORDS] !== 0; slot += stride) {
      const word = words[slot]!;
      if (word === first) {
        if (
          words[slot + 1] === readWord(bytes, at + 4) &&
          words[slot + 2] === readWord(bytes, at + 8) &&
          words[slot + 3] === readWord(bytes, at + 12)
        ) {
          return slot;
        }
      } else if (word >>> 0 > first >>> 0) return -1;
    }
    return -1;
  }

  /** The slot of the key, made with `mark` as the owner's first word and zeros behind it where it was not there. */
  insert(bytes: Uint8Array, at: number, mark: number): number {
    for (;;) {
      const slot = this.#place(bytes, at);
      if (this.words[slot + KEY_WORDS] !== 0 && this.#compare(bytes, at, slot) === 0) return slot;
      if (this.#size + 1 > this.#capacity * MAX_LOAD) {
        this.#rebuild(Math.ceil(this.#capacity * GROWTH), this.#tail);
        continue;
      }
      let end = slot;
      while (this.words[end + KEY_WORDS] !== 0) end += this.#stride;
      if (end + this.#stride === this.words.length) {
        this.#rebuild(this.#capacity, this.#tail * 2);
        continue;
      }
      this.words.copyWithin(slot + this.#stride, slot, end);
      for (let i = 0; i < KEY_WORDS; i++) this.words[slot + i] = readWord(bytes, at + 4 * i);
      this.words.fill(0, slot + KEY_WORDS, slot + this.#stride);
      this.words[slot + KEY_WORDS] = mark;
      this.#size++;
      return slot;
    }
  }

  /** Removes what is at `slot`. */
  remove(slot: number): void {
    const stride = this.#stride;
    let end = slot + stride;
    while (this.words[end + KEY_WORDS] !== 0 && this.#home(this.words[end]!) < end) end += stride;
    this.words.copyWithin(slot, slot + stride, end);
    this.words.fill(0, end - stride, end);
    this.#size--;
  }

  /** The slots in use, in ascending order of their keys. */
  *slots(): Generator<number> {
    for (let slot = 0; slot < this.words.length; slot += this.#stride) {
      if (this.words[slot + KEY_WORDS] !== 0) yield slot;
    }
  }

  /** Writes the key at `slot` to `out[at, at + 16)`. */
  readKey(slot: number, out: Uint8Array, at: number): void {
    for (let i = 0; i < KEY_WORDS; i++) {
      const word = this.words[slot + i]!;
      out[at + 4 * i] = word >>> 24;
      out[at + 4 * i + 1] = word >>> 16;
      out[at + 4 * i + 2] = word >>> 8;
      out[at + 4 * i + 3] = word;
    }
  }

  /** Where a key that starts with `first` stands, if nothing collides. Never falls while `first` grows. */
  #home(first: number): number {
    return Math.trunc((first >>> 0) * (this.#capacity / 0x1_0000_0000)) * this.#stride;
  }

  /** The first slot from the key's home that is empty or holds this key or a greater one. */
  #place(bytes: Uint8Array, at: number): number {
    let slot = this.#home(readWord(bytes, at));
    while (this.words[slot + KEY_WORDS] !== 0 && this.#compare(bytes, at, slot) > 0) slot += this.#stride;
    return slot;
  }

  #compare(bytes: Uint8Array, at: number, slot: number): number {
    for (let i = 0; i < KEY_WORDS; i++) {
      const a = readWord(bytes, at + 4 * i) >>> 0;
      const b = this.words[slot + i]! >>> 0;
      if (a !== b) return a < b ? -1 : 1;
    }
    return 0;
  }

  /** Moves all to a new array; slots come in order of keys, so each goes to its home or right behind the one before. */
  #rebuild(capacity: number, tail: number): void {
    const stride = this.#stride;
    const old = this.words;
    const slots = [...this.slots()];
    this.#capacity = capacity;
    const places = new Float64Array(slots.length);
    let end = 0;
    slots.forEach((slot, i) => {
      places[i] = Math.max(end, this.#home(old[slot]!));
      end = places[i] + stride;
    });
    this.#tail = Math.max(tail, end / stride + 1 - capacity);
    this.words = new Int32Array((capacity + this.#tail) * stride);
    slots.forEach((slot, i) => this.words.set(old.subarray(slot, slot + stride), places[i]));
  }
}

/** Big-endian, so that words compare as the bytes do. */
const readWord = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
