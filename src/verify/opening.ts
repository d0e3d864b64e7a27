/**
 * The opening record of a log, read without the rest of Keelson: its schema (schemas/log.opened.v1.avsc) never changes,
 * and the only thing a verifier has to understand of a record is which logs there are.
 */
import { decodeUtf8 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';

export interface Opening {
  readonly ledger: string | null;
  /** The origin of the log it opens. */
  readonly origin: string | null;
  /** In the lifecycle log: the origins of all logs of the ledger. */
  readonly origins: readonly string[] | null;
}

/**
 * Reads a `log.opened` record (docs/record.md, "Record"; Avro 1.12 binary encoding); undefined for another event type.
 * @throws KeelsonError `malformed_record`.
 */
export function readOpening(record: Uint8Array): Opening | undefined {
  const avro = new AvroReader(record);
  avro.skip(10 + 16 + 16); // marker and fingerprint, dedupe, blind
  avro.string(); // id
  if (avro.string() !== 'log.opened') return undefined;
  avro.long(); // occurred_at
  avro.long(); // accepted_at
  avro.string(); // producer
  avro.skip(1); // producer_verified
  avro.string(); // source
  avro.string(); // protocol
  avro.optional(() => avro.long()); // epoch
  avro.optional(() => avro.long()); // sequence
  avro.array(() => avro.string()); // assigned
  avro.array(() => (avro.string(), avro.skip(16))); // persons
  avro.array(() => skipSealedBlock(avro));
  avro.array(() => (avro.string(), avro.string(), avro.skip(32))); // masked
  avro.array(() => (avro.string(), avro.string())); // originals
  return {
    ledger: avro.optional(() => avro.string()),
    origin: avro.optional(() => avro.string()),
    origins: avro.optional(() => avro.array(() => avro.string())),
  };
}

function skipSealedBlock(avro: AvroReader): void {
  avro.skip(16 + 12); // subject, nonce
  avro.bytes(); // ciphertext
  avro.optional(() => (avro.skip(32), avro.long())); // blob
  avro.array(() => (avro.string(), avro.skip(32))); // fields
}

class AvroReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    if (count < 0 || count > this.#bytes.length - this.#at) throw malformed('it ends too early');
    this.#at += count;
  }

  /** A zig-zag varint; what a number can't hold is refused where it counts, and only skipped where it doesn't. */
  long(): number {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at];
      this.skip(1);
      value |= BigInt(byte! & 0x7f) << shift;
      if (byte! < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
    throw malformed('a varint of more than ten bytes');
  }

  bytes(): Uint8Array {
    const length = this.long();
    const start = this.#at;
    this.skip(length);
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    const text = decodeUtf8(this.bytes());
    if (text === undefined) throw malformed('a string is not UTF-8');
    return text;
  }

  optional<T>(read: () => T): T | null {
    const branch = this.long();
    if (branch !== 0 && branch !== 1) throw malformed('no such branch of a union');
    return branch === 1 ? read() : null;
  }

  array<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let count = this.long(); count !== 0; count = this.long()) {
      if (count < 0) this.long(); // the block's length in bytes
      // Every item takes a byte at least, so a count that lies ends with the record.
      for (let left = Math.abs(count); left > 0; left--) items.push(read());
    }
    return items;
  }
}

const malformed = (what: string): KeelsonError =>
  new KeelsonError('malformed_record', `not a log.opened record: ${what}`);
