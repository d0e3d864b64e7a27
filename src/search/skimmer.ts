/**
 * Reads the facts of a record off its bytes: steps over every value as the schema's shape says, keeps the places of the few that search
 * wants, and makes no object on the way. What it keeps is what `searchFacts` tells of the decoded record, at a twentieth of the cost.
 */
import type { RecordFacts } from './record-facts.js';
import { KEEP, READ, type Shape } from './shape.js';

/** Records within records: more than any schema has. A schema whose type holds itself could ask for any number. */
const DEPTH_MAX = 64;
const LONG_BYTES_MAX = 10;

/** Thrown, and caught here: bytes that the shape does not read. */
const MALFORMED = new Error('bytes that the schema does not read');

export class Skimmer {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #depth = 0;
  #facts: RecordFacts | undefined;

  /**
   * Skims the body of a record, `bytes[start, end)`, into `facts`. Reads nothing outside it, and takes time in proportion to it.
   * @returns false where the shape does not read it, to its last byte; `facts` says nothing then.
   */
  skim(shape: Shape, bytes: Buffer, start: number, end: number, facts: RecordFacts): boolean {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#depth = 0;
    this.#facts = facts;
    facts.clear();
    try {
      this.#walk(shape);
    } catch (error) {
      if (error !== MALFORMED) throw error;
      return false;
    }
    return this.#at === end;
  }

  #walk(shape: Shape): void {
    switch (shape.read) {
      case READ.fixed:
        if (shape.keep === KEEP.person) this.#keep(shape.keep, this.#bytes, this.#at, this.#at + shape.size);
        this.#at += shape.size;
        return;
      case READ.long:
        this.#long();
        return;
      case READ.bytes: {
        const length = this.#length();
        if (shape.keep !== KEEP.nothing) this.#keep(shape.keep, this.#bytes, this.#at, this.#at + length);
        this.#at += length;
        return;
      }
      case READ.enum: {
        const symbol = shape.symbols[this.#long()];
        if (symbol === undefined) throw MALFORMED;
        if (shape.keep !== KEEP.nothing) this.#keep(shape.keep, symbol, 0, symbol.length);
        return;
      }
      case READ.record: {
        if (++this.#depth > DEPTH_MAX) throw MALFORMED;
        const { parts } = shape;
        for (let i = 0; i < parts.length; i++) this.#walk(parts[i]!);
        this.#depth--;
        return;
      }
      case READ.union: {
        const branch = shape.parts[this.#long()];
        if (branch === undefined) throw MALFORMED;
        this.#walk(branch);
        return;
      }
      case READ.array:
        this.#array(shape.parts[0]!);
        return;
      case READ.double:
        this.#double();
        return;
      default:
        this.#time();
    }
  }

  #keep(keep: number, source: Buffer, start: number, end: number): void {
    if (end > this.#end && source === this.#bytes) throw MALFORMED;
    const facts = this.#facts!;
    if (keep >= 0) facts.values.set(keep, source, start, end);
    else if (keep === KEEP.hop) facts.hops.push(source, start, end);
    else if (keep === KEEP.bundle) facts.bundles.push(source, start, end);
    else facts.persons.push(source, start, end);
  }

  /** Blocks of items, up to an empty one. A block with a negative count says its bytes as well: the items know better. */
  #array(items: Shape): void {
    for (let count = this.#long(); count !== 0; count = this.#long()) {
      if (count < 0) {
        count = -count;
        this.#long();
      }
      if (items.size >= 0 && items.keep === KEEP.nothing) {
        // Also items without a byte, of which a few bytes can claim any number.
        this.#at += items.size * count;
        continue;
      }
      // Any other item has a byte at least.
      if (count > this.#end - this.#at) throw MALFORMED;
      for (let i = 0; i < count; i++) this.#walk(items);
    }
  }

  #double(): void {
    if (this.#at + 8 > this.#end) throw MALFORMED;
    this.#facts!.hasRisk = true;
    this.#facts!.risk = this.#bytes.readDoubleLE(this.#at);
    this.#at += 8;
  }

  /** A length of bytes. It may reach past the end, which the next read or the end finds. */
  #length(): number {
    const length = this.#long();
    if (length < 0) throw MALFORMED;
    return length;
  }

  /** An integer, zigzag, seven bits a byte. Exact below 2^53: what is greater is no length, count or index of anything here. */
  #long(): number {
    if (this.#at >= this.#end) throw MALFORMED;
    const first = this.#bytes[this.#at++]!;
    if (first < 0x80) return (first >> 1) ^ -(first & 1);
    let value = first & 0x7f;
    let scale = 0x80;
    for (let i = 1; i < LONG_BYTES_MAX; i++) {
      if (this.#at >= this.#end) throw MALFORMED;
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      scale *= 0x80;
    }
    throw MALFORMED;
  }

  /** A time, exact in all of its 64 bits: four bytes of seven bits, four more, and what is left. */
  #time(): void {
    let low = 0;
    let middle = 0;
    let high = 0;
    for (let i = 0; ; i++) {
      if (this.#at >= this.#end || i === LONG_BYTES_MAX) throw MALFORMED;
      const byte = this.#bytes[this.#at++]!;
      const bits = byte & 0x7f;
      if (i < 4) low |= bits << (7 * i);
      else if (i < 8) middle |= bits << (7 * (i - 4));
      else high |= bits << (7 * (i - 8));
      if (byte < 0x80) break;
    }
    if (high > 0xff) throw MALFORMED;
    const lower = low | (middle << 28);
    const upper = (middle >>> 4) | (high << 24);
    const sign = -(lower & 1);
    this.#facts!.occurredLow = ((lower >>> 1) | (upper << 31)) ^ sign;
    this.#facts!.occurredHigh = (upper >>> 1) ^ sign;
  }
}
