import { equalBytes } from './byte-hash.js';

/** Places a name may be at: looking up is as quick for names somebody made to collide. What finds no place is not held. */
const PROBES_MAX = 24;
/** Bytes of a name at most. */
export const NAME_BYTES_MAX = 128;
const PREFIX_BYTES = 2;

/**
 * Integers by the bytes of a name and its kind: a bounded table in front of the database, open addressing with triangular steps. It may
 * forget, and then the database is asked; it never answers for another name.
 */
export class NameTable {
  /** Three words a slot: hash, start in `#texts`, integer (0: empty). */
  readonly #slots: Int32Array;
  readonly #mask: number;
  /** Kind, length, and bytes of each name. */
  #texts = Buffer.allocUnsafe(4096);
  #used = 0;
  #count = 0;

  /** @param limit how many names it holds. */
  constructor(private readonly limit: number) {
    let capacity = 16;
    while (capacity < limit * 2) capacity *= 2;
    this.#slots = new Int32Array(capacity * 3);
    this.#mask = capacity - 1;
  }

  get isFull(): boolean {
    return this.#count >= this.limit;
  }

  /** The integer of a name, 0 where it is not here. @param hash of `hashBytes` */
  find(hash: number, kind: number, bytes: Buffer, start: number, end: number): number {
    const slots = this.#slots;
    for (let step = 1, at = hash & this.#mask; step <= PROBES_MAX; at = (at + step++) & this.#mask) {
      const slot = at * 3;
      if (slots[slot + 2] === 0) return 0;
      if (slots[slot] === hash && this.#isAt(slots[slot + 1]!, kind, bytes, start, end)) return slots[slot + 2]!;
    }
    return 0;
  }

  /** Holds a name that is not here, as long as there is room. @param id positive */
  add(hash: number, kind: number, bytes: Buffer, start: number, end: number, id: number): void {
    if (this.isFull) return;
    const slots = this.#slots;
    for (let step = 1, at = hash & this.#mask; step <= PROBES_MAX; at = (at + step++) & this.#mask) {
      const slot = at * 3;
      if (slots[slot + 2] !== 0) continue;
      slots[slot] = hash;
      slots[slot + 1] = this.#store(kind, bytes, start, end);
      slots[slot + 2] = id;
      this.#count++;
      return;
    }
  }

  #isAt(text: number, kind: number, bytes: Buffer, start: number, end: number): boolean {
    const texts = this.#texts;
    const length = end - start;
    return (
      texts[text] === kind && texts[text + 1] === length && equalBytes(bytes, start, texts, text + PREFIX_BYTES, length)
    );
  }

  #store(kind: number, bytes: Buffer, start: number, end: number): number {
    const needed = this.#used + PREFIX_BYTES + (end - start);
    if (needed > this.#texts.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#texts.length * 2));
      this.#texts.copy(grown, 0, 0, this.#used);
      this.#texts = grown;
    }
    const text = this.#used;
    this.#texts[text] = kind;
    this.#texts[text + 1] = end - start;
    bytes.copy(this.#texts, text + PREFIX_BYTES, start, end);
    this.#used = needed;
    return text;
  }
}
