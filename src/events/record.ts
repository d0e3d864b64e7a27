import { hash } from 'node:crypto';
import { KeelsonError } from '../core/error.js';
import { AvroWriter } from './avro-write.js';
import type { SchemaRegistry } from './registry.js';
import type { EventSchema } from './schema.js';
import type { Body, OriginalText } from './separate.js';

/** Bytes of the biggest record: what an entry of 65,535 bytes leaves beside its header. */
export const MAX_RECORD_BYTES = 65_511;

const MAGIC_0 = 0xc3;
const MAGIC_1 = 0x01;
const HEADER_BYTES = 10;
/** Header, dedupe key and blind: the least any record has. */
const MIN_RECORD_BYTES = 42;

export interface PersonAt {
  readonly pointer: string;
  /** The pseudonym, 16 bytes. */
  readonly subject: Buffer;
}

export interface FieldCommitment {
  readonly pointer: string;
  /** 32 bytes. */
  readonly commitment: Buffer;
}

export interface BlobAt {
  readonly sha256: Buffer;
  readonly length: bigint;
}

export interface SealedBlock {
  readonly subject: Buffer;
  readonly nonce: Buffer;
  /** Ciphertext and tag; empty when in a blob. */
  readonly ciphertext: Buffer;
  readonly blob: BlobAt | null;
  readonly fields: readonly FieldCommitment[];
}

export interface MaskedAt {
  readonly pointer: string;
  readonly rule: string;
  /** 32 bytes. */
  readonly digest: Buffer;
}

/** The envelope and body of docs/record.md. */
export interface EventRecord {
  /** 16 bytes, of `dedupeKey`. */
  readonly dedupe: Buffer;
  /** 16 random bytes. */
  readonly blind: Buffer;
  readonly id: string;
  readonly type: string;
  readonly occurredAtUs: bigint;
  readonly acceptedAtUs: bigint;
  readonly producer: string;
  readonly producerVerified: boolean;
  readonly source: string;
  readonly protocol: string;
  readonly epoch: bigint | null;
  readonly sequence: bigint | null;
  readonly assigned: readonly string[];
  readonly persons: readonly PersonAt[];
  readonly sealed: readonly SealedBlock[];
  readonly masked: readonly MaskedAt[];
  readonly originals: readonly OriginalText[];
  readonly body: Body;
}

export interface DecodedRecord extends EventRecord {
  readonly schema: EventSchema;
}

/** The record as the codec sees it. */
interface AvroRecord {
  dedupe: Buffer;
  blind: Buffer;
  id: string;
  type: string;
  occurred_at: bigint;
  accepted_at: bigint;
  producer: string;
  producer_verified: boolean;
  source: string;
  protocol: string;
  epoch: bigint | null;
  sequence: bigint | null;
  assigned: readonly string[];
  persons: readonly PersonAt[];
  sealed: readonly SealedBlock[];
  masked: readonly MaskedAt[];
  originals: readonly OriginalText[];
  body: Body;
}

const out = new AvroWriter(Buffer.allocUnsafeSlow(MAX_RECORD_BYTES));

/**
 * A record's bytes (docs/record.md). The values are what `separate` and the vault made: a plain Error is thrown where one is not of
 * its type.
 * @throws KeelsonError `record_too_large`: past 65,511 bytes.
 */
export function encodeRecord(schema: EventSchema, record: EventRecord): Buffer {
  out.at = 0;
  out.putByte(MAGIC_0);
  out.putByte(MAGIC_1);
  out.putFixed(schema.fingerprint, HEADER_BYTES - 2);
  putEnvelope(record);
  schema.writeBody(out, record.body);
  if (!out.fits) {
    throw new KeelsonError('record_too_large', `an event's plain members are larger than ${MAX_RECORD_BYTES} bytes`);
  }
  const bytes = Buffer.allocUnsafe(out.at);
  out.bytes.copy(bytes, 0, 0, out.at);
  return bytes;
}

/** The fields that every schema starts with, in their order. */
function putEnvelope(record: EventRecord): void {
  out.putFixed(record.dedupe, 16);
  out.putFixed(record.blind, 16);
  out.putString(record.id);
  out.putString(record.type);
  out.putLong(record.occurredAtUs);
  out.putLong(record.acceptedAtUs);
  out.putString(record.producer);
  out.putBoolean(record.producerVerified);
  out.putString(record.source);
  out.putString(record.protocol);
  putStamp(record.epoch);
  putStamp(record.sequence);
  out.putArray(record.assigned, putString);
  out.putArray(record.persons, putPerson);
  out.putArray(record.sealed, putBlock);
  out.putArray(record.masked, putMasked);
  out.putArray(record.originals, putOriginal);
}

function putStamp(stamp: bigint | null): void {
  if (stamp === null) return out.putByte(0);
  out.putCount(1);
  out.putLong(stamp);
}

const putString = (text: string): void => out.putString(text);

function putPerson({ pointer, subject }: PersonAt): void {
  out.putString(pointer);
  out.putFixed(subject, 16);
}

function putBlock({ subject, nonce, ciphertext, blob, fields }: SealedBlock): void {
  out.putFixed(subject, 16);
  out.putFixed(nonce, 12);
  out.putBytes(ciphertext);
  if (blob === null) out.putByte(0);
  else {
    out.putCount(1);
    out.putFixed(blob.sha256, 32);
    out.putLong(blob.length);
  }
  out.putArray(fields, putCommitment);
}

function putCommitment({ pointer, commitment }: FieldCommitment): void {
  out.putString(pointer);
  out.putFixed(commitment, 32);
}

function putMasked({ pointer, rule, digest }: MaskedAt): void {
  out.putString(pointer);
  out.putString(rule);
  out.putFixed(digest, 32);
}

function putOriginal({ pointer, text }: OriginalText): void {
  out.putString(pointer);
  out.putString(text);
}

/**
 * Reads a record, its schema found by fingerprint. The pair of `encodeRecord`.
 * @throws KeelsonError `malformed_record`, `unknown_schema`.
 */
export function decodeRecord(bytes: Uint8Array, schemas: SchemaRegistry): DecodedRecord {
  const schema = schemas.find(recordFingerprint(bytes));
  if (!schema) throw new KeelsonError('unknown_schema', 'a record of a schema that is not known');
  let avro: AvroRecord;
  try {
    avro = schema.codec.fromBuffer(
      Buffer.from(bytes.buffer, bytes.byteOffset + HEADER_BYTES, bytes.byteLength - HEADER_BYTES),
    ) as AvroRecord;
  } catch (cause) {
    throw new KeelsonError('malformed_record', 'a record that its schema does not read', { cause });
  }
  return {
    schema,
    dedupe: avro.dedupe,
    blind: avro.blind,
    id: avro.id,
    type: avro.type,
    occurredAtUs: avro.occurred_at,
    acceptedAtUs: avro.accepted_at,
    producer: avro.producer,
    producerVerified: avro.producer_verified,
    source: avro.source,
    protocol: avro.protocol,
    epoch: avro.epoch,
    sequence: avro.sequence,
    assigned: avro.assigned,
    persons: avro.persons,
    sealed: avro.sealed,
    masked: avro.masked,
    originals: avro.originals,
    body: avro.body,
  };
}

/** The 8 fingerprint bytes, without decoding (a view). @throws KeelsonError `malformed_record` */
export function recordFingerprint(bytes: Uint8Array): Uint8Array {
  checkFrame(bytes);
  return bytes.subarray(2, 10);
}

/** The 16-byte duplicate key, without decoding (a view). @throws KeelsonError `malformed_record` */
export function recordDedupe(bytes: Uint8Array): Uint8Array {
  checkFrame(bytes);
  return bytes.subarray(10, 26);
}

function checkFrame(bytes: Uint8Array): void {
  if (
    bytes.length < MIN_RECORD_BYTES ||
    bytes.length > MAX_RECORD_BYTES ||
    bytes[0] !== MAGIC_0 ||
    bytes[1] !== MAGIC_1
  ) {
    throw new KeelsonError('malformed_record', 'not a record: wrong first bytes or length');
  }
}

/** First 16 bytes of SHA-256(lp(producer) ‖ lp(source) ‖ lp(id)). */
export function dedupeKey(producer: string, source: string, id: string): Buffer {
  const room = 12 + 3 * (producer.length + source.length + id.length);
  const bytes = room <= out.bytes.length ? out.bytes : Buffer.allocUnsafeSlow(room);
  let end = 0;
  for (const part of [producer, source, id]) {
    const length = bytes.write(part, end + 4);
    bytes.writeUInt32BE(length, end);
    end += 4 + length;
  }
  const key = Buffer.allocUnsafe(16);
  key.write(hash('sha256', bytes.subarray(0, end), 'binary'), 'latin1');
  return key;
}
