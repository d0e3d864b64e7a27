/**
 * The table of revoked keys, as every guard holds it: facts by key, and the head that says which state this is. It answers ten million
 * times a second: a look-up allocates nothing and reads one or two cache lines. 32 bytes a slot, 36 to 40 a key.
 *
 * Only a change of a fact counts: it gets the next number `seq` from 1, and
 *
 *     h(n) = SHA-256(h(n−1) ‖ fact n), h(0) = 32 zeros;   state hash = Σ SHA-256(fact) mod 2^256, over the facts that are there
 *
 * with a fact's bytes as in fact.ts; a forgotten key is a fact without flags, which the state hash leaves out.
 */
import type { Hasher } from '../core/hasher.js';
import { BLOCKED, FACT_BYTES, flagsOf, HAS_CUTOFF, IS_STALENESS, writeFact, type Fact } from './fact.js';
import { KEY_BYTES } from './keys.js';
import { KEY_WORDS, KeyMap } from './key-map.js';
import { StateHash } from './state-hash.js';

/** Which state a table is in. */
export interface TableHead {
  /** Changes so far. */
  readonly seq: number;
  /** h(seq), 32 bytes. */
  readonly chainHash: Uint8Array;
  /** 32 bytes. */
  readonly stateHash: Uint8Array;
}

/** What `checkToken` asks. A slot holds until the next change. */
export interface FactSource {
  /** Changes so far. */
  readonly seq: number;
  /** The slot of the key at `bytes[at, at + 16)`, or −1: nothing is said of it. */
  find(bytes: Uint8Array, at?: number): number;
  isBlocked(slot: number): boolean;
  /** Microseconds since 1970 UTC; −Infinity: none. */
  cutoffUs(slot: number): number;
  /** Which change made the fact what it is; not before, where the table came as a snapshot. */
  seqAt(slot: number): number;
  /** An open order that blocks the key, where such things are known. */
  orderOf?(key: Uint8Array): string | undefined;
}

/** The owner's words of a slot. The first: flags, and above them what of seq exceeds 32 bits. */
const STATUS = KEY_WORDS;
const FLAG_BITS = 3;
const VALUE_HIGH = KEY_WORDS + 1;
const VALUE_LOW = KEY_WORDS + 2;
const SEQ_LOW = KEY_WORDS + 3;
const PAYLOAD_WORDS = 4;
const SLOT_WORDS = KEY_WORDS + PAYLOAD_WORDS;
const TWO_32 = 0x1_0000_0000;
const HASH_BYTES = 32;

export class FactTable implements FactSource {
  readonly #hasher: Hasher;
  readonly #map: KeyMap;
  readonly #state = new StateHash();
  /** The chain hash, and behind it the fact that is hashed next. */
  readonly #link = new Uint8Array(HASH_BYTES + FACT_BYTES);
  readonly #fact = this.#link.subarray(HASH_BYTES);
  readonly #digest = new Uint8Array(HASH_BYTES);
  #seq = 0;

  /** An empty table. @param expected how many keys to make room for at once. */
  constructor(hasher: Hasher, expected = 0) {
    this.#hasher = hasher;
    this.#map = new KeyMap(PAYLOAD_WORDS, expected);
  }

  /**
   * A table that goes on from another's head and facts, each key once. Its state hash tells whether they belong together.
   * @param facts with `seq`, where it is known which change made them what they are.
   */
  static restore(
    hasher: Hasher,
    head: Omit<TableHead, 'stateHash'>,
    facts: Iterable<Fact & { readonly seq?: number }>,
    expected: number,
  ): FactTable {
    const table = new FactTable(hasher, expected);
    table.#link.set(head.chainHash);
    for (const fact of facts) {
      table.#seq = fact.seq ?? head.seq;
      const [flags, valueUs] = [flagsOf(fact), valueOf(fact)];
      writeFact(table.#fact, 0, fact.key, 0, flags, valueUs);
      table.#store(-1, fact.key, 0, flags, valueUs);
    }
    table.#seq = head.seq;
    return table;
  }

  /** How many facts are there. */
  get size(): number {
    return this.#map.size;
  }

  get seq(): number {
    return this.#seq;
  }

  /** Bytes that the facts take. */
  get byteLength(): number {
    return this.#map.byteLength;
  }

  /** The head, in fresh memory. */
  head(): TableHead {
    return { seq: this.#seq, chainHash: this.#link.slice(0, HASH_BYTES), stateHash: this.stateHash() };
  }

  /** The state hash, in fresh memory. */
  stateHash(): Uint8Array {
    return this.#state.bytes();
  }

  find(bytes: Uint8Array, at = 0): number {
    return this.#map.find(bytes, at);
  }

  isBlocked(slot: number): boolean {
    return (this.#map.words[slot + STATUS]! & BLOCKED) !== 0;
  }

  cutoffUs(slot: number): number {
    return (this.#map.words[slot + STATUS]! & HAS_CUTOFF) === 0 ? -Infinity : this.#valueUs(slot);
  }

  /** How stale a table may be, microseconds; undefined: the key is of another type. */
  stalenessUs(slot: number): number | undefined {
    return (this.#map.words[slot + STATUS]! & IS_STALENESS) === 0 ? undefined : this.#valueUs(slot);
  }

  seqAt(slot: number): number {
    const words = this.#map.words;
    return (words[slot + STATUS]! >>> FLAG_BITS) * TWO_32 + (words[slot + SEQ_LOW]! >>> 0);
  }

  /** All facts, in ascending order of their keys. The table must not change meanwhile. */
  *facts(): Generator<Fact> {
    for (const slot of this.#map.slots()) {
      const key = new Uint8Array(KEY_BYTES);
      this.#map.readKey(slot, key, 0);
      const cutoffUs = this.cutoffUs(slot);
      const stalenessUs = this.stalenessUs(slot);
      const fact = { key, blocked: this.isBlocked(slot), cutoffUs: cutoffUs === -Infinity ? undefined : cutoffUs };
      yield stalenessUs === undefined ? fact : { ...fact, stalenessUs };
    }
  }

  /**
   * The bytes of all facts of this moment, 25 each, in ascending order of their keys, in pieces of up to `count` facts. They are of a copy,
   * 32 bytes a slot, which is made at once: the table may change before the last piece is taken.
   */
  copyFacts(count: number): Generator<Uint8Array> {
    return encodeSlots(this.#map.words.slice(), count);
  }

  /**
   * Says of the key at `key[keyAt, keyAt + 16)` what it is from now on; neither blocked nor a cutoff: nothing.
   * @param cutoffUs a safe integer.
   * @returns the 25 bytes of the change, a view that the next one overwrites; undefined where the fact is as it was: that counts
   *   for nothing.
   */
  put(key: Uint8Array, keyAt: number, blocked: boolean, cutoffUs: number | undefined): Uint8Array | undefined {
    const flags = (blocked ? BLOCKED : 0) | (cutoffUs === undefined ? 0 : HAS_CUTOFF);
    return this.#put(key, keyAt, flags, cutoffUs ?? 0);
  }

  /** Takes a fact over as it is. @returns as `put`. */
  putFact(fact: Fact): Uint8Array | undefined {
    return this.#put(fact.key, 0, flagsOf(fact), valueOf(fact));
  }

  #put(key: Uint8Array, keyAt: number, flags: number, valueUs: number): Uint8Array | undefined {
    const slot = this.#map.find(key, keyAt);
    const oldFlags = slot < 0 ? 0 : this.#map.words[slot + STATUS]! & ((1 << FLAG_BITS) - 1);
    const oldValueUs = slot < 0 ? 0 : this.#valueUs(slot);
    if (oldFlags === flags && oldValueUs === valueUs) return undefined;
    if (slot >= 0) {
      writeFact(this.#fact, 0, key, keyAt, oldFlags, oldValueUs);
      this.#state.subtract(this.#digestFact());
    }
    writeFact(this.#fact, 0, key, keyAt, flags, valueUs);
    this.#seq++;
    this.#hasher.sha256(this.#link, this.#link, 0);
    this.#store(slot, key, keyAt, flags, valueUs);
    return this.#fact;
  }

  #store(slot: number, key: Uint8Array, keyAt: number, flags: number, valueUs: number): void {
    if (flags === 0) {
      this.#map.remove(slot);
      return;
    }
    this.#state.add(this.#digestFact());
    const status = flags | (Math.floor(this.#seq / TWO_32) << FLAG_BITS);
    const at = slot >= 0 ? slot : this.#map.insert(key, keyAt, status);
    const words = this.#map.words;
    const high = Math.floor(valueUs / TWO_32);
    words[at + STATUS] = status;
    words[at + VALUE_HIGH] = high;
    words[at + VALUE_LOW] = valueUs - high * TWO_32;
    words[at + SEQ_LOW] = this.#seq;
  }

  #valueUs(slot: number): number {
    const words = this.#map.words;
    return words[slot + VALUE_HIGH]! * TWO_32 + (words[slot + VALUE_LOW]! >>> 0);
  }

  /** SHA-256 of the fact in `#fact`. */
  #digestFact(): Uint8Array {
    this.#hasher.sha256(this.#fact, this.#digest, 0);
    return this.#digest;
  }
}

const valueOf = ({ cutoffUs, stalenessUs }: Fact): number => stalenessUs ?? cutoffUs ?? 0;

function* encodeSlots(words: Int32Array, count: number): Generator<Uint8Array> {
  const makePiece = (): DataView => new DataView(new ArrayBuffer(count * FACT_BYTES));
  let piece = makePiece();
  let at = 0;
  for (let slot = 0; slot < words.length; slot += SLOT_WORDS) {
    const status = words[slot + STATUS]!;
    if (status === 0) continue;
    for (let i = 0; i < KEY_WORDS; i++) piece.setInt32(at + 4 * i, words[slot + i]!);
    piece.setUint8(at + KEY_BYTES, status & ((1 << FLAG_BITS) - 1));
    piece.setInt32(at + KEY_BYTES + 1, words[slot + VALUE_HIGH]!);
    piece.setInt32(at + KEY_BYTES + 5, words[slot + VALUE_LOW]!);
    at += FACT_BYTES;
    if (at < piece.byteLength) continue;
    yield new Uint8Array(piece.buffer);
    piece = makePiece();
    at = 0;
  }
  if (at > 0) yield new Uint8Array(piece.buffer, 0, at);
}
