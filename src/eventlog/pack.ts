/**
 * The pack: one message of the event log, the records of one flush for one partition (docs/record.md, "Pack").
 *
 *     01 ‖ for each record: uint32 length ‖ 16-byte content digest ‖ record
 *
 * A pack holds 1 to 65,536 records (an entry names a record's place in two bytes), each of 1 to 65,511 bytes. Anything else
 * is `malformed_pack`, as a whole: a reader never acts on the front of a pack whose end is broken.
 */
import { KeelsonError } from '../core/error.js';

export const MAX_RECORD_BYTES = 65_511;
export const MAX_PACK_RECORDS = 65_536;
export const DIGEST_BYTES = 16;
/** What a `PackBuilder` fills unless told otherwise. */
export const DEFAULT_PACK_BYTES = 512 * 1024;
/** What an event log takes: with the frame around it a pack stays below Kafka's default message limit of 1 MiB. */
export const MAX_PACK_BYTES = 1_000_000;

const FORMAT = 1;
const PREFIX_BYTES = 4 + DIGEST_BYTES;

export interface PackedRecord {
  /** A view of the record's bytes in the pack. */
  readonly record: Uint8Array;
  /** A view of the 16 bytes that tell a repeat from a conflict. */
  readonly digest: Uint8Array;
}

/** Collects records into one pack. Keeps references until `finish`, which copies once. */
export class PackBuilder {
  readonly #maxBytes: number;
  #records: PackedRecord[] = [];
  #byteLength = 1;

  /** @param maxBytes what a pack may weigh, from one greatest record (65,532) to `MAX_PACK_BYTES` */
  constructor(maxBytes: number = DEFAULT_PACK_BYTES) {
    if (!(maxBytes >= 1 + PREFIX_BYTES + MAX_RECORD_BYTES && maxBytes <= MAX_PACK_BYTES))
      throw new Error(`a pack of at most ${maxBytes} bytes`);
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#records.length;
  }

  /** What `finish` would weigh now. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /**
   * Adds a record; false, and nothing changed, when this pack has no room left for it. An empty builder always has room.
   * @param record 1 to 65,511 bytes, not changed until `finish`
   * @param digest 16 bytes
   * @throws KeelsonError `record_too_large`
   */
  add(record: Uint8Array, digest: Uint8Array): boolean {
    if (record.length > MAX_RECORD_BYTES)
      throw new KeelsonError(
        'record_too_large',
        `record of ${record.length} bytes, at most ${MAX_RECORD_BYTES} fit an entry`,
      );
    if (record.length === 0) throw new Error('empty record');
    if (digest.length !== DIGEST_BYTES) throw new Error(`content digest of ${digest.length} bytes`);
    const grown = this.#byteLength + PREFIX_BYTES + record.length;
    if (grown > this.#maxBytes || this.#records.length === MAX_PACK_RECORDS) return false;
    this.#records.push({ record, digest });
    this.#byteLength = grown;
    return true;
  }

  /** The pack's bytes; the builder is empty afterwards. An empty pack does not exist: asking for one is a bug. */
  finish(): Uint8Array {
    if (this.#records.length === 0) throw new Error('empty pack');
    const pack = Buffer.allocUnsafe(this.#byteLength);
    let at = pack.writeUInt8(FORMAT, 0);
    for (const { record, digest } of this.#records) {
      at = pack.writeUInt32BE(record.length, at);
      pack.set(digest, at);
      pack.set(record, at + DIGEST_BYTES);
      at += DIGEST_BYTES + record.length;
    }
    this.#records = [];
    this.#byteLength = 1;
    return pack;
  }
}

/**
 * Checks a pack to its last byte and answers how many records it holds.
 * @throws KeelsonError `malformed_pack`
 */
export function checkPack(pack: Uint8Array): number {
  if (pack[0] !== FORMAT) throw malformed(`format ${pack[0] ?? 'missing'}`);
  let at = 1;
  let count = 0;
  while (at < pack.length) {
    if (pack.length - at < PREFIX_BYTES) throw malformed(`${pack.length - at} bytes are left at ${at}`);
    const length = readUint32(pack, at);
    if (length === 0 || length > MAX_RECORD_BYTES) throw malformed(`record of ${length} bytes at ${at}`);
    at += PREFIX_BYTES + length;
    if (at > pack.length) throw malformed(`record ${count} ends ${at - pack.length} bytes behind the pack`);
    if (++count > MAX_PACK_RECORDS) throw malformed(`more than ${MAX_PACK_RECORDS} records`);
  }
  if (count === 0) throw malformed('no record');
  return count;
}

/**
 * Where the records of a pack stand: start and end of each, one pair after the other. A record's digest is the 16 bytes before it. For
 * who reads millions: no object for each. The whole pack is checked.
 * @throws KeelsonError `malformed_pack`
 */
export function findRecords(pack: Uint8Array): Int32Array {
  const bounds = new Int32Array(checkPack(pack) * 2);
  let at = 1;
  for (let i = 0; i < bounds.length; i += 2) {
    bounds[i] = at + PREFIX_BYTES;
    at += PREFIX_BYTES + readUint32(pack, at);
    bounds[i + 1] = at;
  }
  return bounds;
}

/**
 * The records of a pack, in order, as views of its bytes. The whole pack is checked before the first is handed out.
 * @throws KeelsonError `malformed_pack`
 */
export function readPack(pack: Uint8Array): IterableIterator<PackedRecord> {
  checkPack(pack);
  return walk(pack);
}

function* walk(pack: Uint8Array): Generator<PackedRecord, undefined> {
  for (let at = 1; at < pack.length;) {
    const start = at + PREFIX_BYTES;
    const end = start + readUint32(pack, at);
    yield { record: pack.subarray(start, end), digest: pack.subarray(at + 4, start) };
    at = end;
  }
}

const readUint32 = (bytes: Uint8Array, at: number): number =>
  bytes[at]! * 0x1000000 + ((bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!);

const malformed = (what: string) => new KeelsonError('malformed_pack', `malformed pack: ${what}`);
