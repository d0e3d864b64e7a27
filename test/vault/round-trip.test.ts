import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  builtInSchemas,
  canonicalJson,
  decodeRecord,
  dedupeKey,
  encodeRecord,
  parseJson,
  parseJsonText,
  reassemble,
  separate,
  type DecodedRecord,
  type JsonObject,
} from '../../src/events/index.js';
import type { ObjectPlan, Plan } from '../../src/events/plan.js';
import { drawRandom, needsOwnSubject, openEvent, sealEvent, type Subject } from '../../src/vault/index.js';

const schemas = builtInSchemas();

const VERBATIM =
  '{"timestamp":"2024-01-20T10:30:00Z","agent":"spiffe://company.com/agent/deploy-bot","user":"devops@company.com",' +
  '"tool":"deploy_to_production","parameters":{"service":"api","version":"2.3.4"},"decision":"allow","policy_version":"1.2.3",' +
  '"justification":"Scheduled deployment window, approved by release manager"}';

interface Carried {
  readonly bytes: Buffer;
  readonly record: DecodedRecord;
  readonly back: JsonObject;
  readonly missing: readonly string[];
}

/** All the way into a record's bytes and back, as intake and a reader with every key do it. */
function carry(event: JsonObject, assigned: string[] = []): Carried {
  const schema = schemas.forType(event.type as string);
  const parts = separate(event, schema);
  const subjects = new Map<string, Subject>();
  const subjectOf = (name: string): Subject => {
    const known = subjects.get(name) ?? { pseudonym: randomBytes(16), key: randomBytes(32) };
    subjects.set(name, known);
    return known;
  };
  const id = typeof event.id === 'string' ? event.id : 'assigned';
  const context = { id, fingerprint: schema.fingerprint, blind: drawRandom(16) };
  const sealed = sealEvent(
    parts,
    context,
    parts.persons.map(({ issuer = '', id }) => subjectOf(JSON.stringify([issuer, id]))),
    needsOwnSubject(parts) ? subjectOf('') : undefined,
  );
  const bytes = encodeRecord(schema, {
    dedupe: dedupeKey('p', '', id),
    id,
    blind: context.blind,
    type: parts.type,
    occurredAtUs: parts.occurredAtUs,
    acceptedAtUs: 1n,
    producer: 'p',
    producerVerified: true,
    source: '',
    protocol: 'native',
    epoch: parts.epoch,
    sequence: parts.sequence,
    assigned,
    persons: sealed.persons,
    sealed: sealed.sealed,
    masked: [],
    originals: parts.originals,
    body: parts.body,
  });
  const record = decodeRecord(bytes, schemas);
  const keys = new Map([...subjects.values()].map(({ pseudonym, key }) => [pseudonym.toString('hex'), key]));
  const blobs = new Map(sealed.blobs.map(({ sha256, ciphertext }) => [sha256.toString('hex'), ciphertext]));
  const { event: back, missing } = reassemble(record, openEvent(record, keys, blobs));
  return { bytes, record, back, missing };
}

test('the verbatim decision goes in alone and comes back, and nothing personal is in the record', () => {
  const event = parseJson(Buffer.from(VERBATIM)) as JsonObject;
  event.type = 'decision.made';
  const { bytes, back, missing } = carry(event, ['id', 'type']);
  expect(missing).toEqual([]);
  expect(JSON.parse(canonicalJson(back))).toEqual(JSON.parse(VERBATIM));
  for (const personal of ['devops@', '2.3.4', 'Scheduled', 'service']) expect(bytes.includes(personal)).toBe(false);
  for (const plain of ['deploy-bot', 'deploy_to_production', '1.2.3']) expect(bytes.includes(plain)).toBe(true);
});

test('what is too big for an entry goes through a blob', () => {
  const event = parseJson(Buffer.from(VERBATIM)) as JsonObject;
  event.type = 'decision.made';
  event.id = 'big';
  event.parameters = { text: 'x'.repeat(200_000) };
  const { bytes, back } = carry(event);
  expect(bytes.length).toBeLessThan(2_000);
  expect(canonicalJson(back)).toBe(canonicalJson(event));
});

const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((s) => !s.includes('\0'));
const name = fc.oneof(text, fc.constantFrom('__proto__', 'constructor', '*', 'a/b', '~', '0', 'id', ''));
const number = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? '-0' : String(n))),
  fc.constantFrom(
    '1.0',
    '-0',
    '-0.0',
    '1e400',
    '0.1',
    '123456789012345678901234567890',
    '1E2',
    '0.30000000000000000001',
    '5e-400',
  ),
);
/** JSON texts, so that numbers are not rounded before they are looked at. */
const anyJson: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('null', 'true', 'false'),
    number,
    text.map((s) => JSON.stringify(s)),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
    fc.uniqueArray(fc.tuple(name, tie('value')), { maxLength: 3, selector: ([n]) => n }).map(objectText),
  ),
})).value;

function objectText(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([n, v]) => `${JSON.stringify(n)}:${v}`).join(',')}}`;
}

const timestamp = fc.oneof(
  fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T00:00:00Z') })
    .map((d) => JSON.stringify(d)),
  fc.constantFrom('"2024-01-20t10:30:00.123456789+02:00"', '"2016-12-31T23:59:60Z"', '"2024-01-20T10:30:00.10Z"'),
);
const person = fc.oneof(
  text.filter((s) => s !== '').map((s) => JSON.stringify(s)),
  fc
    .tuple(
      text.filter((s) => s !== ''),
      text,
      fc.option(anyJson),
    )
    .map(([id, issuer, more]) =>
      objectText([
        ['id', JSON.stringify(id)],
        ['issuer', JSON.stringify(issuer)],
        ...(more === null ? [] : ([['more', more]] as const)),
      ]),
    ),
);

function valueOf(plan: Plan): fc.Arbitrary<string> {
  switch (plan.kind) {
    case 'string':
      return text.filter((s) => s.length <= plan.maxLength).map((s) => JSON.stringify(s));
    case 'bytes':
      return fc.uint8Array({ maxLength: 64 }).map((bytes) => JSON.stringify(Buffer.from(bytes).toString('base64')));
    case 'enum':
      return fc.constantFrom(...plan.symbols).map((s) => JSON.stringify(s));
    case 'boolean':
      return fc.boolean().map(String);
    case 'long':
      return fc.oneof(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
        fc.constantFrom('0', '-0', '9007199254740993'),
      );
    case 'double':
      return number;
    case 'timestamp':
      return fc.oneof(
        timestamp,
        fc.integer({ min: 0, max: 2e9 }).map(String),
        fc.constantFrom('1700000000.25', '1.7e9'),
      );
    case 'array':
      return fc.array(valueOf(plan.items), { maxLength: 3 }).map((items) => `[${items.join(',')}]`);
    case 'object':
      return objectOf(plan, []);
    case 'either':
      return fc.oneof(...plan.plans.map(valueOf));
    case 'person':
      return person;
    case 'persons':
      return fc.array(person, { maxLength: 12 }).map((items) => `[${items.join(',')}]`);
    case 'sealed':
      return anyJson;
  }
}

/** An object of a plan: any of its members, some null, and others that it does not name. */
function objectOf(plan: ObjectPlan, required: readonly string[]): fc.Arbitrary<string> {
  const named = [...plan.members].map(([n, member]) => {
    const value = valueOf(member);
    if (required.includes(n)) return value.map((v) => [[n, v] as const]);
    return fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 4, arbitrary: value.map((v) => [[n, v] as const]) },
      { weight: 1, arbitrary: fc.constant([[n, 'null'] as const]) },
    );
  });
  const taken = new Set([...plan.members.keys(), 'id', 'type', 'timestamp', 'epoch', 'sequence']);
  const unnamed = fc.uniqueArray(
    fc.tuple(
      name.filter((n) => !taken.has(n)),
      anyJson,
    ),
    { maxLength: 2, selector: ([n]) => n },
  );
  return fc.tuple(fc.tuple(...named), unnamed).map(([members, more]) => objectText([...members.flat(), ...more]));
}

describe('any event of any type comes back deep-equal, its numbers equal in value', () => {
  for (const schema of schemas.schemas) {
    const type = schema.types[0] as string;
    const required = schema.required.get(type) ?? [];
    const events = fc.tuple(objectOf(schema.plan, required), timestamp, text).map(([object, time, id]) => {
      const rest = object === '{}' ? '' : `,${object.slice(1, -1)}`;
      return `{"id":${JSON.stringify(id)},"type":"${type}","timestamp":${time}${rest}}`;
    });
    test(type, () => {
      fc.assert(
        fc.property(events, (eventText) => {
          const event = parseJsonText(eventText) as JsonObject;
          for (const member of required) if (event[member] === null) return;
          const { back, missing } = carry(event);
          expect(missing).toEqual([]);
          expect(canonicalJson(back)).toBe(canonicalJson(event));
        }),
        { numRuns: 150 },
      );
    });
  }
});

test('without keys, pseudonyms stand for persons and the rest is left out and listed', () => {
  const { record } = carry(
    parseJsonText(
      '{"id":"e","type":"decision.made","timestamp":"2024-01-20T10:30:00Z","decision":"deny","user":"u","parameters":1,"note":"n"}',
    ) as JsonObject,
  );
  const { event, missing } = reassemble(record, []);
  const pseudonym = record.persons[0]!.subject.toString('hex');
  expect(JSON.parse(canonicalJson(event))).toEqual({
    id: 'e',
    type: 'decision.made',
    timestamp: '2024-01-20T10:30:00Z',
    decision: 'deny',
    user: { subject: pseudonym },
  });
  expect(missing).toEqual(['/*', '/parameters']);
});
