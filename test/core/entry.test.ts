import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import {
  encodeEntryHeader,
  encodeRecordEntry,
  encodeRefusedEntry,
  ENTRY_HEADER_BYTES,
  MAX_RECORD_BYTES,
  parseEntry,
  parseEntryHeader,
  setEntryPlace,
  type RefusalReason,
} from '../../src/core/entry.js';

const failure = (code: string): unknown => expect.objectContaining({ name: 'KeelsonError', code });
const header = { appendedAtUs: 1_705_746_600_123_456n, partition: 7, offset: 0x0102030405060708n, place: 0x0a0b };
const recordOf = (length: number): Uint8Array => {
  const record = new Uint8Array(length).fill(9);
  record.set([0xc3, 0x01]);
  return record;
};

describe('entries', () => {
  it('are laid out as docs/record.md says', () => {
    const record = encodeRecordEntry(header, recordOf(42));
    expect(formatHex(record.subarray(0, 26))).toBe(
      '0100' + '00060f5e142d5c40' + '00000007' + '0102030405060708' + '0a0b' + 'c301',
    );
    expect(record.length).toBe(24 + 42);
    const refused = encodeRefusedEntry({
      ...header,
      sha256: new Uint8Array(32).fill(0xaa),
      dedupe: new Uint8Array(16).fill(0xbb),
      reason: 'conflict',
    });
    expect(formatHex(refused.subarray(0, 2))).toBe('0101');
    expect(formatHex(refused.subarray(24))).toBe('aa'.repeat(32) + 'bb'.repeat(16) + '02');
  });

  const anyHeader = fc.record({
    appendedAtUs: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    partition: fc.integer({ min: 0, max: 0xffffffff }),
    offset: fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }),
    place: fc.integer({ min: 0, max: 0xffff }),
  });

  it('of records parse to what they were encoded from', () => {
    fc.assert(
      fc.property(anyHeader, fc.integer({ min: 42, max: 900 }), (each, length) => {
        const entry = encodeRecordEntry(each, recordOf(length));
        expect(parseEntry(entry)).toEqual({ ...each, kind: 'record', record: recordOf(length) });
        expect(parseEntryHeader(entry)).toEqual({ ...each, kind: 'record' });
      }),
    );
    expect(parseEntry(encodeRecordEntry(header, recordOf(MAX_RECORD_BYTES))).kind).toBe('record');
    expect(() => encodeRecordEntry(header, recordOf(MAX_RECORD_BYTES + 1))).toThrow(failure('record_too_large'));
  });

  it('of refusals parse to what they were encoded from', () => {
    const reasons: RefusalReason[] = ['unknown_schema', 'conflict', 'malformed_record', 'malformed_pack'];
    const anyRefusal = fc.record({
      sha256: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      dedupe: fc.uint8Array({ minLength: 16, maxLength: 16 }),
      reason: fc.constantFrom(...reasons),
    });
    fc.assert(
      fc.property(anyHeader, anyRefusal, (each, refusal) => {
        const refused = { ...each, ...refusal };
        expect(parseEntry(encodeRefusedEntry(refused))).toEqual({ ...refused, kind: 'refused' });
      }),
    );
  });

  it('get their header in place, and their place alone', () => {
    const page = new Uint8Array(60).fill(0xee);
    encodeEntryHeader(page, 30, { ...header, kind: 'record' });
    setEntryPlace(page, 30, 513);
    expect(parseEntryHeader(page.subarray(30))).toEqual({ ...header, kind: 'record', place: 513 });
    expect(page.subarray(0, 30).every((byte) => byte === 0xee)).toBe(true);
    expect(page.subarray(30 + ENTRY_HEADER_BYTES).every((byte) => byte === 0xee)).toBe(true);
  });

  const good = encodeRecordEntry(header, recordOf(50));
  const changed = (at: number, byte: number, entry = good): Uint8Array => {
    const copy = entry.slice();
    copy[at] = byte;
    return copy;
  };
  const refusal = encodeRefusedEntry({
    ...header,
    sha256: new Uint8Array(32),
    dedupe: new Uint8Array(16),
    reason: 'malformed_pack',
  });
  it.each([
    [new Uint8Array(0), 'empty'],
    [good.subarray(0, 23), 'a header cut short'],
    [changed(0, 2), 'another format'],
    [changed(1, 2), 'another kind'],
    [changed(1, 1), 'a record called a refusal'],
    [changed(2, 0x80), 'a negative time'],
    [changed(14, 0x80), 'a negative offset'],
    [changed(24, 0xc2), 'not single-object Avro'],
    [changed(25, 0x02), 'another Avro marker'],
    [good.subarray(0, 24 + 41), 'a record too short'],
    [refusal.subarray(0, -1), 'a refusal cut short'],
    [Uint8Array.of(...refusal, 0), 'a refusal with more behind it'],
    [changed(72, 0, refusal), 'reason 0'],
    [changed(72, 5, refusal), 'reason 5'],
    [new Uint8Array(65_536), 'too long'],
  ])('%# is malformed: %s', (entry) => {
    expect(() => parseEntry(entry)).toThrow(failure('malformed_entry'));
  });

  it.each([
    { ...header, appendedAtUs: -1n },
    { ...header, appendedAtUs: 1n << 63n },
    { ...header, offset: -1n },
    { ...header, offset: 1n << 63n },
    { ...header, partition: 1 << 31 },
    { ...header, partition: 2 ** 32 },
    { ...header, place: 65_536 },
    { ...header, place: 0.5 },
  ])('are never written out of range: %#', (each) => {
    expect(() => encodeRecordEntry(each, recordOf(42))).toThrow(/out of range/);
  });
});
