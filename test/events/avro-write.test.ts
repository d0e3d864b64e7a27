import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AvroWriter, compileWrite } from '../../src/events/avro-write.js';
import type { AvroSchema } from '../../src/events/fingerprint.js';
import {
  builtInSchemas,
  decodeRecord,
  encodeRecord,
  MAX_RECORD_BYTES,
  type EventRecord,
} from '../../src/events/index.js';
import { makeCodec } from '../../src/events/schema.js';

const schemas = builtInSchemas();

function write(schema: AvroSchema, value: unknown, room = 100_000): Buffer {
  const out = new AvroWriter(Buffer.alloc(room));
  compileWrite(schema)(out, value);
  if (!out.fits) throw new Error(`needs ${out.at} bytes`);
  return out.bytes.subarray(0, out.at);
}

/** What `codec.random` made, as a record. */
function toRecord(avro: Record<string, unknown>): EventRecord {
  const { occurred_at, accepted_at, producer_verified, ...rest } = avro;
  return {
    ...rest,
    occurredAtUs: occurred_at,
    acceptedAtUs: accepted_at,
    producerVerified: producer_verified,
  } as unknown as EventRecord;
}

describe('the same bytes as the codec', () => {
  test.each(schemas.schemas.map((schema) => [schema.name, schema] as const))('records of %s', (_name, schema) => {
    for (let i = 0; i < 60; i++) {
      const avro = schema.codec.random() as unknown as Record<string, unknown>;
      const expected = schema.codec.toBuffer(avro);
      if (expected.length > MAX_RECORD_BYTES - 10) continue;
      const record = encodeRecord(schema, toRecord(avro));
      expect(record.subarray(10).equals(expected)).toBe(true);
      expect(decodeRecord(record, schemas).body).toEqual(avro.body);
    }
  });

  test.each([
    ['long', fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -70n, max: 70n }))],
    [
      'long',
      fc
        .tuple(fc.nat(63), fc.constantFrom(-1n, 0n, 1n), fc.constantFrom(1n, -1n))
        .map(([bit, off, sign]) => BigInt.asIntN(64, sign * (2n ** BigInt(bit) + off))),
    ],
    ['double', fc.double()],
    ['boolean', fc.boolean()],
    [
      'string',
      fc.oneof(
        fc.string({ unit: 'grapheme', maxLength: 70 }),
        fc.string({ maxLength: 70 }),
        fc.nat(200).map((n) => 'é'.repeat(n)),
      ),
    ],
    ['bytes', fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))],
  ] as [string, fc.Arbitrary<unknown>][])('a %s', (type, value) => {
    const codec = makeCodec(type);
    const list = makeCodec({ type: 'array', items: ['null', type] });
    fc.assert(
      fc.property(value, (one) => {
        expect(write(type, one).toString('hex')).toBe(codec.toBuffer(one).toString('hex'));
        const both = write({ type: 'array', items: ['null', type] }, [one, null]);
        expect(both.equals(list.toBuffer([one, null]))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

test('members that are left out are null', () => {
  const schema = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'toString', type: ['null', 'string'] },
      { name: 'b', type: ['null', 'long'] },
    ],
  };
  const nothing = Object.create(null) as object;
  expect(write(schema, nothing)).toEqual(write(schema, { toString: null, b: null }));
});

test('a value of another type is a bug that shows', () => {
  const fixtures: [AvroSchema, unknown[]][] = [
    ['long', [1, '1', null, 2n ** 63n, -(2n ** 63n) - 1n]],
    ['string', [1, null, undefined]],
    ['double', [1n, '1', null]],
    ['boolean', [0, null]],
    ['bytes', ['a', [1]]],
    [{ type: 'enum', name: 'E', symbols: ['a'] }, ['b', null, 0]],
    [{ type: 'array', items: 'long' }, [1n, null, {}, [1]]],
    [{ type: 'record', name: 'R', fields: [{ name: 'a', type: 'string' }] }, [null, 'a', {}, { a: 1 }]],
    [
      ['null', 'string'],
      [1, {}],
    ],
  ];
  for (const [schema, values] of fixtures)
    for (const value of values) expect(() => write(schema, value)).toThrow('not an Avro');
});

test('what does not fit is counted to the byte, whatever it ends with', () => {
  const schema: AvroSchema = {
    type: 'record',
    name: 'R',
    fields: ['string', 'string', 'bytes', 'double', 'long', 'boolean'].map((type, i) => ({ name: `f${i}`, type })),
  };
  const value = { f0: 'short', f1: 'é'.repeat(100), f2: Buffer.alloc(70), f3: 1.5, f4: 2n ** 60n, f5: true };
  const whole = write(schema, value);
  for (let room = 0; room < whole.length; room++) {
    expect(() => write(schema, value, room)).toThrow(`needs ${whole.length} bytes`);
  }
  expect(write(schema, value, whole.length)).toEqual(whole);
});
