/**
 * Writes Avro's binary encoding (Avro 1.12, "Binary Encoding"), as far as records use it. The codec writes the same bytes; most of a
 * body is null, and here that costs next to nothing.
 */
import type { AvroObject, AvroSchema } from './fingerprint.js';

/** Strings up to this length are written by hand: a call costs more. Their length is one byte. */
const SHORT_STRING = 48;
/** Longs up to here are split without leaving the integers of a double. */
const SAFE_LONG = 2 ** 51;

/** Collects bytes in a buffer that stays. What does not fit is counted, not written. */
export class AvroWriter {
  at = 0;

  constructor(readonly bytes: Buffer) {}

  get fits(): boolean {
    return this.at <= this.bytes.length;
  }

  putByte(byte: number): void {
    this.bytes[this.at++] = byte;
  }

  putBoolean(value: unknown): void {
    if (typeof value !== 'boolean') mismatch(value, 'boolean');
    this.putByte(value ? 1 : 0);
  }

  /** An index or a count: an integer from 0. */
  putCount(count: number): void {
    if (count < 64) this.putByte(count * 2);
    else this.putLong(BigInt(count));
  }

  putLong(value: unknown): void {
    if (typeof value !== 'bigint') mismatch(value, 'long');
    const small = Number(value);
    if (small > -SAFE_LONG && small < SAFE_LONG) {
      const zigzag = small >= 0 ? small * 2 : -small * 2 - 1;
      const high = Math.floor(zigzag / 0x10000000);
      let low = zigzag - high * 0x10000000;
      if (high === 0) return this.#putVarint(low);
      for (let i = 0; i < 4; i++, low >>>= 7) this.putByte((low & 0x7f) | 0x80);
      return this.#putVarint(high);
    }
    if (BigInt.asIntN(64, value) !== value) mismatch(value, 'long');
    let rest = value >= 0n ? value * 2n : -value * 2n - 1n;
    for (; rest > 0x7fn; rest >>= 7n) this.putByte(Number(rest & 0x7fn) | 0x80);
    this.putByte(Number(rest));
  }

  #putVarint(value: number): void {
    for (; value > 0x7f; value >>>= 7) this.putByte((value & 0x7f) | 0x80);
    this.putByte(value);
  }

  putDouble(value: unknown): void {
    if (typeof value !== 'number') mismatch(value, 'double');
    if (this.at + 8 <= this.bytes.length) this.bytes.writeDoubleLE(value, this.at);
    this.at += 8;
  }

  putString(value: unknown): void {
    if (typeof value !== 'string') mismatch(value, 'string');
    const { length } = value;
    if (length > SHORT_STRING) return this.#putText(value);
    const start = this.at;
    this.bytes[start] = length * 2;
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) return this.#putText(value);
      this.bytes[start + 1 + i] = unit;
    }
    this.at = start + 1 + length;
  }

  #putText(text: string): void {
    const length = Buffer.byteLength(text);
    this.putCount(length);
    if (this.at + length <= this.bytes.length) this.bytes.write(text, this.at);
    this.at += length;
  }

  putBytes(value: unknown): void {
    if (!(value instanceof Uint8Array)) mismatch(value, 'bytes');
    this.putCount(value.length);
    this.putFixed(value, value.length);
  }

  putFixed(value: Uint8Array, size: number): void {
    if (value.length !== size) mismatch(value, `fixed of ${size} bytes`);
    if (this.at + size <= this.bytes.length) this.bytes.set(value, this.at);
    this.at += size;
  }

  putArray<Item>(items: readonly Item[], put: (item: Item) => void): void {
    if (items.length > 0) {
      this.putCount(items.length);
      for (const item of items) put(item);
    }
    this.putByte(0);
  }
}

/** Writes a value of one schema. @throws Error for a value of another type: a bug. */
export type Write = (out: AvroWriter, value: unknown) => void;

type Branch = readonly [index: number, write: Write, accepts: (value: unknown) => boolean];

/** The writer of a body's schema. Members that are not there are null. */
export function compileWrite(schema: AvroSchema): Write {
  if (Array.isArray(schema)) return compileUnion(schema);
  if (typeof schema === 'string') return compilePrimitive(schema);
  switch (schema.type) {
    case 'record':
      return compileRecord(schema);
    case 'array': {
      const write = compileWrite(schema.items!);
      return (out, value) => {
        if (!Array.isArray(value)) mismatch(value, 'array');
        out.putArray(value, (item) => write(out, item));
      };
    }
    case 'enum': {
      const indexes = new Map<unknown, number>(schema.symbols!.map((symbol, i) => [symbol, i]));
      return (out, value) => out.putCount(indexes.get(value) ?? mismatch(value, 'enum'));
    }
    default:
      return compilePrimitive(schema.type as string);
  }
}

function compileRecord({ fields = [] }: AvroObject): Write {
  const names = fields.map(({ name }) => name);
  const writes = fields.map(({ type }) => compileWrite(type));
  const optional = fields.map(({ type }) => Array.isArray(type) && type[0] === 'null');
  return (out, value) => {
    if (typeof value !== 'object' || value === null) mismatch(value, 'record');
    const record = value as Record<string, unknown>;
    for (let i = 0; i < names.length; i++) {
      const member = record[names[i]!] ?? null;
      if (member === null && optional[i]!) out.putByte(0);
      else writes[i]!(out, member);
    }
  };
}

function compileUnion(schemas: readonly AvroSchema[]): Write {
  const branches = schemas.map((schema, index): Branch => [index, compileWrite(schema), acceptorOf(schema)]);
  return (out, value) => {
    const branch = branches.find(([, , accepts]) => accepts(value)) ?? mismatch(value, 'union');
    out.putCount(branch[0]);
    branch[1](out, value);
  };
}

function compilePrimitive(type: string): Write {
  switch (type) {
    case 'null':
      return () => undefined;
    case 'boolean':
      return (out, value) => out.putBoolean(value);
    case 'long':
      return (out, value) => out.putLong(value);
    case 'double':
      return (out, value) => out.putDouble(value);
    case 'string':
      return (out, value) => out.putString(value);
    case 'bytes':
      return (out, value) => out.putBytes(value);
    default:
      throw new Error(`an Avro type that bodies do not use: ${type}`);
  }
}

/** What tells the branches of a union apart. */
function acceptorOf(schema: AvroSchema): (value: unknown) => boolean {
  const type = typeof schema === 'string' || Array.isArray(schema) ? schema : schema.type;
  switch (type) {
    case 'null':
      return (value) => value === null;
    case 'boolean':
      return (value) => typeof value === 'boolean';
    case 'long':
      return (value) => typeof value === 'bigint';
    case 'double':
      return (value) => typeof value === 'number';
    case 'string':
    case 'enum':
      return (value) => typeof value === 'string';
    case 'bytes':
      return (value) => value instanceof Uint8Array;
    case 'array':
      return Array.isArray;
    case 'record':
      return (value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
    default:
      throw new Error(`an Avro type that bodies do not use: ${JSON.stringify(type)}`);
  }
}

function mismatch(value: unknown, type: string): never {
  throw new Error(`not an Avro ${type}: ${typeof value}`);
}
