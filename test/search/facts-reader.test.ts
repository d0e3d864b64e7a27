import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { searchFacts } from '../../src/events/facts.js';
import { decodeRecord, encodeRecord, type EventRecord } from '../../src/events/record.js';
import { builtInSchemas } from '../../src/events/registry.js';
import type { Body } from '../../src/events/separate.js';
import { FactsReader } from '../../src/search/facts-reader.js';

const schemas = builtInSchemas();
const reader = new FactsReader(schemas);

/** A record of the schema with a random body: every branch of every union comes up sooner or later. */
function randomRecord(schema: (typeof schemas.schemas)[number], i: number): Buffer {
  const random = (schema.codec.random() as unknown as { body: Body }).body;
  const body = schema.types[0] === 'log.schema' ? { ...random, text: schema.text } : random;
  const subjects = Array.from({ length: 3 }, () => randomBytes(16));
  const record: EventRecord = {
    dedupe: randomBytes(16),
    blind: randomBytes(16),
    id: `id-${i}`,
    type: schema.types[i % schema.types.length]!,
    occurredAtUs: BigInt(i) - 5n,
    acceptedAtUs: 1n,
    producer: 'gateway',
    producerVerified: true,
    source: 'source',
    protocol: 'native',
    epoch: 1n,
    sequence: null,
    assigned: ['id'],
    persons: ['/principal', '/aliases/0', '/user'].map((pointer, n) => ({
      pointer,
      subject: subjects[n % (1 + (i % 3))]!,
    })),
    sealed: [{ subject: subjects[0]!, nonce: randomBytes(12), ciphertext: randomBytes(64), blob: null, fields: [] }],
    masked: [{ pointer: '/x', rule: 'jwt', digest: randomBytes(32) }],
    originals: [{ pointer: '/timestamp', text: '"2024"' }],
    body,
  };
  return encodeRecord(schema, record);
}

describe('FactsReader', () => {
  it.each(schemas.schemas.map((schema) => [schema.name, schema] as const))(
    'reads what searchFacts tells of a whole %s',
    (_, schema) => {
      for (let i = 0; i < 60; i++) {
        const record = randomRecord(schema, i);
        expect(reader.read(record)).toEqual(searchFacts(decodeRecord(record, schemas)));
      }
    },
  );

  it('refuses what is no record, is of another schema, or ends too early', () => {
    const record = randomRecord(schemas.forType('decision.made'), 1);
    expect(() => reader.read(record.subarray(1))).toThrow(expect.objectContaining({ code: 'malformed_record' }));
    expect(() => reader.read(record.subarray(0, 60))).toThrow(expect.objectContaining({ code: 'malformed_record' }));
    const other = Buffer.from(record);
    other[3]! ^= 1;
    expect(() => reader.read(other)).toThrow(expect.objectContaining({ code: 'unknown_schema' }));
  });
});
