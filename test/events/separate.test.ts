import { describe, expect, test } from 'vitest';
import {
  builtInSchemas,
  decodeRecord,
  encodeRecord,
  makeLogSchema,
  makeOwnRecord,
  makeRecordQuarantined,
  MAX_RECORD_BYTES,
  parseJsonText,
  recordDedupe,
  recordFingerprint,
  searchFacts,
  separate,
  type JsonObject,
} from '../../src/events/index.js';

const schemas = builtInSchemas();
const stamp = { blind: Buffer.alloc(16, 1), nowUs: 1_705_746_600_000_000n };
const take = (members: string, type = 'decision.made') => {
  const event = parseJsonText(`{"type":"${type}","timestamp":"2024-01-20T10:30:00Z",${members}}`) as JsonObject;
  return separate(event, schemas.forType(type));
};

describe('separate', () => {
  test.each([
    ['"agent":"a"', 'invalid_event', '/decision'],
    ['"decision":null', 'invalid_event', '/decision'],
    ['"decision":"maybe"', 'invalid_event', '/decision'],
    ['"decision":"allow","agent":7', 'invalid_event', '/agent'],
    ['"decision":"allow","user":7', 'invalid_event', '/user'],
    ['"decision":"allow","user":""', 'invalid_event', '/user'],
    ['"decision":"allow","user":{"issuer":1,"id":"x"}', 'invalid_event', '/user/issuer'],
    ['"decision":"allow","context":[]', 'invalid_event', '/context'],
    ['"decision":"allow","context":{"risk_score":"high"}', 'invalid_event', '/context/risk_score'],
    [
      '"decision":"allow","context":{"approval_chain":[{"approver":1}]}',
      'invalid_event',
      '/context/approval_chain/0/approver',
    ],
    ['"decision":"allow","reason_codes":["a",null]', 'invalid_event', '/reason_codes/1'],
    ['"decision":"allow","enforcement":{"seq":1.5}', 'invalid_event', '/enforcement/seq'],
    ['"decision":"allow","enforcement":{"seq":9223372036854775808}', 'invalid_event', '/enforcement/seq'],
    ['"decision":"allow","token":{"audience":{}}', 'invalid_event', '/token/audience'],
    ['"decision":"allow","token":{"issued_at":"yesterday"}', 'invalid_timestamp', '/token/issued_at'],
    ['"decision":"allow","token":{"issued_at":1e300}', 'invalid_timestamp', '/token/issued_at'],
    ['"decision":"allow","sequence":-1', 'invalid_event', '/sequence'],
    [`"decision":"allow","agent":"${'a'.repeat(2049)}"`, 'string_too_long', '/agent'],
    [`"decision":"allow","user":"${'a'.repeat(2049)}"`, 'string_too_long', '/user'],
  ])('%s', (members, code, pointer) => {
    expect(() => take(members)).toThrow(expect.objectContaining({ code, pointer }));
  });

  test('the acting principal is the first that the schema names and the event has', () => {
    const parts = take('"decision":"allow","token":{"subject":"s"},"user_context":{"principal":"p"},"parameters":1');
    expect(parts.persons[parts.acting!]!.id).toBe('p');
    expect(take('"decision":"allow","parameters":1').acting).toBeUndefined();
  });
});

test('facts are read from whatever schema a record has', () => {
  const parts = take(
    '"decision":"deny","agent":"a","tool":"t","client":"c","policy_version":"1","policy":{"revision":"r","bundles":[{"revision":"b"},{"revision":"1"}]},' +
      '"token":{"digest":"d"},"context":{"session_id":"s","environment":"e","risk_score":0.5},"purpose":{"task_id":"k"},"delegation_chain":[{"agent":"a2"},{"agent":"a"}]',
  );
  const subject = Buffer.alloc(16, 3);
  const record = {
    ...{
      dedupe: subject,
      blind: subject,
      id: 'e1',
      acceptedAtUs: 0n,
      producer: 'p',
      producerVerified: true,
      source: '',
      protocol: 'x',
    },
    ...{ assigned: [], sealed: [], masked: [] },
    ...parts,
    persons: [
      { pointer: '/user', subject },
      { pointer: '/purpose/approved_by', subject: Buffer.from(subject) },
    ],
  };
  expect(searchFacts(record)).toEqual({
    eventId: 'e1',
    type: 'decision.made',
    occurredAtUs: 1_705_746_600_000_000n,
    producer: 'p',
    decision: 'deny',
    agent: 'a',
    agents: ['a', 'a2'],
    client: 'c',
    tool: 't',
    principals: [subject],
    policies: ['1', 'r', 'b'],
    token: 'd',
    tokens: ['d'],
    session: 's',
    sessions: ['s'],
    task: 'k',
    environment: 'e',
    risk: 0.5,
  });
});

describe("records of Keelson's own", () => {
  test('every schema fits into a record, and repeats have one duplicate key', () => {
    for (const schema of schemas.schemas) {
      const bytes = makeLogSchema(schemas, schema, stamp);
      const record = decodeRecord(bytes, schemas);
      expect(record.body).toMatchObject({ fingerprint: schema.fingerprint.toString('hex'), text: schema.text });
      const again = makeLogSchema(schemas, schema, { blind: Buffer.alloc(16, 2), nowUs: 1n });
      expect(recordDedupe(again)).toEqual(recordDedupe(bytes));
    }
  });

  test('a quarantine notice names the sender as its producer for search', () => {
    const bytes = makeRecordQuarantined(
      schemas,
      {
        quarantineId: 'q',
        digest: Buffer.alloc(32),
        reason: 'malformed_json',
        sender: 'gateway',
        size: 3n,
        expiresAtUs: 5n,
      },
      stamp,
    );
    expect(searchFacts(decodeRecord(bytes, schemas))).toMatchObject({
      producer: 'gateway',
      type: 'record.quarantined',
    });
  });

  test('nothing personal gets into one', () => {
    expect(() => makeOwnRecord(schemas, 'tick', 't', { note: 'free text' }, stamp)).toThrow('personal');
  });
});

describe('records', () => {
  test('the longest one fits, a byte more does not', () => {
    const schema = schemas.forType('tick');
    const empty = decodeRecord(makeOwnRecord(schemas, 'tick', 't', { due: [''] }, stamp), schemas);
    const sized = (length: number): Buffer => encodeRecord(schema, { ...empty, body: { due: ['x'.repeat(length)] } });
    const rest = MAX_RECORD_BYTES - sized(60_000).length;
    expect(sized(60_000 + rest).length).toBe(MAX_RECORD_BYTES);
    expect(() => sized(60_001 + rest)).toThrow(expect.objectContaining({ code: 'record_too_large' }));
  });

  test('cut, lengthened or foreign bytes are refused', () => {
    const bytes = makeOwnRecord(schemas, 'tick', 't', {}, stamp);
    const code = (code: string): Error => expect.objectContaining({ code }) as Error;
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeRecord(bytes.subarray(0, length), schemas)).toThrow(code('malformed_record'));
    }
    expect(() => decodeRecord(Buffer.concat([bytes, Buffer.alloc(1)]), schemas)).toThrow(code('malformed_record'));
    expect(() => recordFingerprint(Buffer.concat([Buffer.alloc(2), bytes.subarray(2)]))).toThrow(
      code('malformed_record'),
    );
    const foreign = Buffer.from(bytes);
    foreign[4]! ^= 1;
    expect(() => decodeRecord(foreign, schemas)).toThrow(code('unknown_schema'));
  });
});
