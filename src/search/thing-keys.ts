import { equalBytes, hashBytes } from './byte-hash.js';
import { THING_KINDS, writeThingKey, type ThingKind } from './keys.js';

/** A text, its length and kind before it, and its key. */
const SLOT_BYTES = 64;
const KEY_AT = SLOT_BYTES - 16;
const TEXT_AT = 2;
const TEXT_MAX = KEY_AT - TEXT_AT;
const SLOTS = 4096;

/** Keys of the things that come again soon (a session's decisions, a token's uses), so that each is hashed once: a small table. */
export class ThingKeys {
  readonly #slots = Buffer.alloc(SLOTS * SLOT_BYTES);

  /** The same as `writeThingKey`. */
  write(out: Buffer, at: number, kind: ThingKind, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > TEXT_MAX) return writeThingKey(out, at, kind, bytes, start, end);
    const slots = this.#slots;
    const code = THING_KINDS[kind].charCodeAt(0);
    const slot = (hashBytes(code, bytes, start, end) & (SLOTS - 1)) * SLOT_BYTES;
    const known =
      slots[slot] === code && slots[slot + 1] === length && equalBytes(bytes, start, slots, slot + TEXT_AT, length);
    if (!known) {
      writeThingKey(slots, slot + KEY_AT, kind, bytes, start, end);
      slots[slot] = code;
      slots[slot + 1] = length;
      for (let i = 0; i < length; i++) slots[slot + TEXT_AT + i] = bytes[start + i]!;
    }
    for (let i = 0; i < 16; i++) out[at + i] = slots[slot + KEY_AT + i]!;
  }
}
