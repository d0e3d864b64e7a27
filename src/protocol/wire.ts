/**
 * The binary messages between server and guard: a magic of four letters, then fields; integers big-endian. What parses is exactly what
 * was written: nothing may be missing, and nothing may follow. docs/feed.md fixes each to the byte.
 */
import { decodeUtf8, encodeUtf8 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';

/** Writes a message. Numbers must be safe integers from 0. */
export class WireWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;

  constructor(magic?: string) {
    if (magic !== undefined) this.bytes(encodeUtf8(magic));
  }

  uint8(value: number): this {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
    return this;
  }

  uint16(value: number): this {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
    return this;
  }

  uint32(value: number): this {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
    return this;
  }

  uint64(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a number that can be sent: ${value}`);
    const at = this.#grow(8);
    this.#view.setBigUint64(at, BigInt(value));
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** UTF-8 behind its length, a uint32. */
  text(value: string): this {
    const bytes = encodeUtf8(value);
    return this.uint32(bytes.length).bytes(bytes);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#end;
  }

  /** What was written, in fresh memory. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#end);
  }

  /** Makes room, maybe in another view; returns where it begins. */
  #grow(count: number): number {
    const at = this.#end;
    this.#end += count;
    if (this.#end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#end, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Reads a message. Every method throws KeelsonError `malformed_message` where the bytes are not what is expected. */
export class WireReader {
  readonly #view: DataView;
  #at = 0;

  /** @throws KeelsonError `malformed_message`: another magic. */
  constructor(
    private readonly message: Uint8Array,
    private readonly magic: string,
  ) {
    this.#view = new DataView(message.buffer, message.byteOffset, message.byteLength);
    const begins = this.bytes(4);
    for (let i = 0; i < 4; i++) if (begins[i] !== magic.charCodeAt(i)) this.fail('something else');
  }

  /** How far it has read. */
  get at(): number {
    return this.#at;
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  uint64(): number {
    const value = Number(this.#view.getBigUint64(this.#take(8)));
    if (!Number.isSafeInteger(value)) this.fail('a number out of range');
    return value;
  }

  /** A view on the message. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.message.subarray(at, at + length);
  }

  text(maxBytes: number): string {
    const length = this.uint32();
    if (length > maxBytes) this.fail('a text that is too long');
    return decodeUtf8(this.bytes(length)) ?? this.fail('a text that is not UTF-8');
  }

  /** @throws KeelsonError `malformed_message`: something follows. */
  end(): void {
    if (this.#at !== this.message.length) this.fail('longer than it should be');
  }

  fail(what: string): never {
    throw new KeelsonError('malformed_message', `${this.magic}: ${what}`);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.message.length) this.fail('cut short');
    this.#at += length;
    return at;
  }
}
