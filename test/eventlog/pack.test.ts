import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkPack,
  DEFAULT_PACK_BYTES,
  MAX_PACK_RECORDS,
  MAX_RECORD_BYTES,
  PackBuilder,
  findRecords,
  readPack,
} from '../../src/eventlog/pack.js';

const digest = (fill: number): Uint8Array => new Uint8Array(16).fill(fill);

function build(records: readonly Uint8Array[]): Uint8Array {
  const builder = new PackBuilder();
  records.forEach((record, place) => expect(builder.add(record, digest(place & 255))).toBe(true));
  return builder.finish();
}

const malformed = expect.objectContaining({ code: 'malformed_pack' }) as unknown;

interface Vector {
  readonly about: string;
  readonly pack: string;
  /** Hex of each record and digest, or, for long ones, `sha256:` of the record. Absent: the pack is malformed. */
  readonly records?: readonly (readonly [record: string, digest: string])[];
}

describe('vectors', () => {
  const folder = new URL('../vectors/pack/', import.meta.url);
  const vectors = readdirSync(folder).flatMap(
    (file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Vector[],
  );
  test.each(vectors)('$about', ({ pack, records }) => {
    const bytes = Buffer.from(pack, 'hex');
    if (records === undefined) {
      expect(() => checkPack(bytes)).toThrow(malformed);
      expect(() => readPack(bytes)).toThrow(malformed);
      expect(() => findRecords(bytes)).toThrow(malformed);
      return;
    }
    expect([...readPack(bytes)].map((item) => [hex(item.record), hex(item.digest)])).toEqual(records);
    const bounds = findRecords(bytes);
    const found = records.map((_, i) => {
      const [start, end] = bounds.subarray(2 * i) as unknown as [number, number];
      return [hex(bytes.subarray(start, end)), hex(bytes.subarray(start - 16, start))];
    });
    expect(found).toEqual(records);
    expect(bounds.length).toBe(records.length * 2);
    const builder = new PackBuilder();
    for (const [record, digest] of records) builder.add(Buffer.from(record, 'hex'), Buffer.from(digest, 'hex'));
    expect(hex(builder.finish())).toBe(pack);
  });
});

test('a pack gives back what it was built of', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 50 }),
      (records) => {
        const pack = build(records);
        expect(checkPack(pack)).toBe(records.length);
        expect([...readPack(pack)].map(({ record }) => hex(record))).toEqual(records.map(hex));
      },
    ),
  );
});

test('a pack cut at any byte but a record border is malformed', () => {
  const pack = build([new Uint8Array(5), new Uint8Array(1), new Uint8Array(70)]);
  const borders = [1 + 25, 1 + 25 + 21, pack.length];
  for (let length = 0; length <= pack.length; length++) {
    if (borders.includes(length)) expect(checkPack(pack.subarray(0, length))).toBe(borders.indexOf(length) + 1);
    else expect(() => checkPack(pack.subarray(0, length))).toThrow(malformed);
  }
});

test('the greatest record fits, a greater one is refused before it is added', () => {
  const builder = new PackBuilder();
  expect(() => builder.add(new Uint8Array(MAX_RECORD_BYTES + 1), digest(1))).toThrow(
    expect.objectContaining({ code: 'record_too_large' }) as unknown,
  );
  expect(builder.count).toBe(0);
  expect(builder.add(new Uint8Array(MAX_RECORD_BYTES), digest(1))).toBe(true);
  expect(checkPack(builder.finish())).toBe(1);
});

test('a full builder says so, keeps what it has, and starts anew after finish', () => {
  const builder = new PackBuilder();
  let added = 0;
  while (builder.add(new Uint8Array(600).fill(added & 255), digest(0))) added++;
  const weighed = builder.byteLength;
  expect(weighed).toBeLessThanOrEqual(DEFAULT_PACK_BYTES);
  expect(weighed + 620).toBeGreaterThan(DEFAULT_PACK_BYTES);
  const pack = builder.finish();
  expect(pack.length).toBe(weighed);
  expect(checkPack(pack)).toBe(added);
  expect(builder.count).toBe(0);
  expect(builder.add(new Uint8Array(1), digest(0))).toBe(true);
});

test('a place in a pack takes two bytes, so a pack ends at 65,536 records', () => {
  const one = Buffer.alloc(21);
  one.writeUInt32BE(1);
  const most = Buffer.concat([Buffer.from([1]), ...Array.from({ length: MAX_PACK_RECORDS }, () => one)]);
  expect(checkPack(most)).toBe(MAX_PACK_RECORDS);
  expect(() => checkPack(Buffer.concat([most, one]))).toThrow(malformed);
});

const hex = (bytes: Uint8Array): string =>
  bytes.length > 300
    ? `sha256:${createHash('sha256').update(bytes).digest('hex')}`
    : Buffer.from(bytes).toString('hex');
