/** Avro's binary encoding (1.12), read by a shape: what a verifier needs of it. */
import { decodeUtf8 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';

/** What stands in the bytes, in order. `optional`: a union of null and that. */
export type Shape =
  | 'null'
  | 'boolean'
  | 'long'
  | 'double'
  | 'string'
  | 'bytes'
  | { readonly fixed: number }
  | { readonly symbols: readonly string[] }
  | { readonly items: Shape }
  | { readonly optional: Shape }
  | { readonly branches: readonly Shape[] }
  | { readonly fields: readonly (readonly [name: string, shape: Shape])[] };

/** Longs are bigints; bytes are views. */
export type AvroValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly AvroValue[]
  | { readonly [field: string]: AvroValue };

/** @throws KeelsonError `malformed_record` by every method, where the bytes are not what is expected. */
export class AvroReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  /** @param what the bytes are, for the message. */
  constructor(
    bytes: Uint8Array,
    private readonly what: string,
  ) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    if (count < 0 || count > this.#bytes.length - this.#at) this.fail('it ends too early');
    this.#at += count;
  }

  fixed(count: number): Uint8Array {
    const start = this.#at;
    this.skip(count);
    return this.#bytes.subarray(start, this.#at);
  }

  /** A zig-zag varint of at most 64 bits. */
  long(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at];
      this.skip(1);
      value |= BigInt(byte! & 0x7f) << shift;
      if (byte! < 0x80) return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
    }
    return this.fail('a varint of more than ten bytes');
  }

  /** A length, a count or a branch: a number that must be exact. */
  count(): number {
    const value = Number(this.long());
    return Number.isSafeInteger(value) ? value : this.fail('a count out of range');
  }

  bytes(): Uint8Array {
    return this.fixed(this.count());
  }

  string(): string {
    return decodeUtf8(this.bytes()) ?? this.fail('a string is not UTF-8');
  }

  optional<T>(read: () => T): T | null {
    return this.#branch(2) === 1 ? read() : null;
  }

  array<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let count = this.count(); count !== 0; count = this.count()) {
      if (count < 0) this.count(); // the block's length in bytes
      // Every item takes a byte at least, so a count that lies ends with the record.
      for (let left = Math.abs(count); left > 0; left--) items.push(read());
    }
    return items;
  }

  value(shape: Shape): AvroValue {
    if (typeof shape === 'object') return this.#compound(shape);
    switch (shape) {
      case 'null':
        return null;
      case 'boolean':
        return this.fixed(1)[0] === 1;
      case 'long':
        return this.long();
      case 'double':
        return this.#double();
      case 'string':
        return this.string();
      case 'bytes':
        return this.bytes();
    }
  }

  /** Nothing may follow. */
  end(): void {
    if (this.#at !== this.#bytes.length) this.fail('it is longer than it should be');
  }

  fail(why: string): never {
    throw new KeelsonError('malformed_record', `not ${this.what}: ${why}`);
  }

  #compound(shape: Exclude<Shape, string>): AvroValue {
    if ('optional' in shape) return this.optional(() => this.value(shape.optional));
    if ('items' in shape) return this.array(() => this.value(shape.items));
    if ('symbols' in shape) return shape.symbols[this.#branch(shape.symbols.length)]!;
    if ('branches' in shape) return this.value(shape.branches[this.#branch(shape.branches.length)]!);
    if ('fixed' in shape) return this.fixed(shape.fixed);
    return Object.fromEntries(shape.fields.map(([name, field]) => [name, this.value(field)]));
  }

  #branch(count: number): number {
    const branch = this.count();
    return branch >= 0 && branch < count ? branch : this.fail('no such branch of a union');
  }

  #double(): number {
    const bytes = this.fixed(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
  }
}
