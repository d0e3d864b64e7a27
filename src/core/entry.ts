/** The entry: the bytes that are hashed. docs/record.md, "Entry", is the format; integers are big-endian. */
import { MAX_ENTRY_BYTES } from './bundle.js';
import { KeelsonError } from './error.js';

export const ENTRY_HEADER_BYTES = 24;
/** What is left for the record. */
export const MAX_RECORD_BYTES = MAX_ENTRY_BYTES - ENTRY_HEADER_BYTES;

const FORMAT = 1;
const KINDS = ['record', 'refused'] as const;
/** `C3 01`, the schema's fingerprint, dedupe key and blind: a record can't be shorter. */
const MIN_RECORD_BYTES = 42;
const REFUSED_BYTES = 32 + 16 + 1;

export type EntryKind = (typeof KINDS)[number];

/** Why the sequencer refused a record, or a whole pack. */
export type RefusalReason = 'unknown_schema' | 'conflict' | 'malformed_record' | 'malformed_pack';
/** In the order of their numbers, from 1. */
export const REFUSAL_REASONS: readonly RefusalReason[] = [
  'unknown_schema',
  'conflict',
  'malformed_record',
  'malformed_pack',
];

/** Where in the event log a record stood. */
export interface EntryHeader {
  readonly kind: EntryKind;
  /** The message's append time, microseconds since 1970 UTC. */
  readonly appendedAtUs: bigint;
  readonly partition: number;
  readonly offset: bigint;
  /** Of the record in its pack, 0–65,535. */
  readonly place: number;
}

export interface RecordEntry extends EntryHeader {
  readonly kind: 'record';
  /** The record's bytes: a view on the entry. */
  readonly record: Uint8Array;
}

export interface RefusedEntry extends EntryHeader {
  readonly kind: 'refused';
  /** SHA-256 of the refused bytes: of the record, or of the whole pack where that is malformed. */
  readonly sha256: Uint8Array;
  /** 16 bytes; zeros where the refused bytes have none. */
  readonly dedupe: Uint8Array;
  readonly reason: RefusalReason;
}

export type Entry = RecordEntry | RefusedEntry;

/** Writes the 24 bytes of an entry's header to `out` at `at`. A field out of its range is a broken invariant. */
export function encodeEntryHeader(out: Uint8Array, at: number, header: EntryHeader): void {
  const { appendedAtUs, partition, offset, place } = header;
  if (appendedAtUs < 0n || appendedAtUs >> 63n || offset < 0n || offset >> 63n)
    throw new Error('a time or offset out of range');
  if (!inRange(partition, 0xffffffff) || !inRange(place, 0xffff)) throw new Error('a partition or place out of range');
  const view = new DataView(out.buffer, out.byteOffset + at, ENTRY_HEADER_BYTES);
  view.setUint8(0, FORMAT);
  view.setUint8(1, KINDS.indexOf(header.kind));
  view.setBigUint64(2, appendedAtUs);
  view.setUint32(10, partition);
  view.setBigUint64(14, offset);
  view.setUint16(22, place);
}

/** Sets the place in a header that stands at `at`: the rest of a header is the same for a whole pack, and copied. */
export function setEntryPlace(out: Uint8Array, at: number, place: number): void {
  out[at + 22] = place >> 8;
  out[at + 23] = place & 0xff;
}

/** A whole entry of kind `record`. */
export function encodeRecordEntry(header: Omit<EntryHeader, 'kind'>, record: Uint8Array): Uint8Array {
  if (record.length > MAX_RECORD_BYTES)
    throw new KeelsonError('record_too_large', `a record of ${record.length} bytes`);
  const entry = new Uint8Array(ENTRY_HEADER_BYTES + record.length);
  encodeEntryHeader(entry, 0, { ...header, kind: 'record' });
  entry.set(record, ENTRY_HEADER_BYTES);
  return entry;
}

/** A whole entry of kind `refused`. */
export function encodeRefusedEntry(refused: Omit<RefusedEntry, 'kind'>): Uint8Array {
  if (refused.sha256.length !== 32 || refused.dedupe.length !== 16) throw new Error('a refusal of wrong lengths');
  const entry = new Uint8Array(ENTRY_HEADER_BYTES + REFUSED_BYTES);
  encodeEntryHeader(entry, 0, { ...refused, kind: 'refused' });
  entry.set(refused.sha256, ENTRY_HEADER_BYTES);
  entry.set(refused.dedupe, ENTRY_HEADER_BYTES + 32);
  entry[ENTRY_HEADER_BYTES + 48] = REFUSAL_REASONS.indexOf(refused.reason) + 1;
  return entry;
}

/**
 * Reads an entry's header alone; the body is not looked at.
 * @throws KeelsonError `malformed_entry`.
 */
export function parseEntryHeader(entry: Uint8Array): EntryHeader {
  if (entry.length < ENTRY_HEADER_BYTES || entry.length > MAX_ENTRY_BYTES) throw malformed(`${entry.length} bytes`);
  const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_HEADER_BYTES);
  if (view.getUint8(0) !== FORMAT) throw malformed(`format ${view.getUint8(0)}`);
  const kind = KINDS[view.getUint8(1)];
  const appendedAtUs = view.getBigUint64(2);
  const offset = view.getBigUint64(14);
  if (kind === undefined) throw malformed(`kind ${view.getUint8(1)}`);
  if (appendedAtUs >> 63n || offset >> 63n) throw malformed('a time or offset of 2^63 or more');
  return { kind, appendedAtUs, partition: view.getUint32(10), offset, place: view.getUint16(22) };
}

/**
 * Reads an entry strictly; the record itself is only looked at for its two leading bytes and least length.
 * @throws KeelsonError `malformed_entry`.
 */
export function parseEntry(entry: Uint8Array): Entry {
  const header = parseEntryHeader(entry);
  const body = entry.subarray(ENTRY_HEADER_BYTES);
  if (header.kind === 'record') {
    if (body.length < MIN_RECORD_BYTES || body[0] !== 0xc3 || body[1] !== 0x01)
      throw malformed('no Avro single-object record');
    return { ...header, kind: 'record', record: body };
  }
  const reason = body.length === REFUSED_BYTES ? REFUSAL_REASONS[body[48]! - 1] : undefined;
  if (reason === undefined) throw malformed('no refusal of 49 bytes with a known reason');
  return { ...header, kind: 'refused', sha256: body.subarray(0, 32), dedupe: body.subarray(32, 48), reason };
}

const inRange = (value: number, max: number): boolean => Number.isInteger(value) && value >= 0 && value <= max;

const malformed = (what: string): KeelsonError => new KeelsonError('malformed_entry', `not an entry: ${what}`);
