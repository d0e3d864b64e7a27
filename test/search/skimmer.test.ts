import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeRecordEntry, encodeRefusedEntry } from '../../src/core/entry.js';
import { searchFacts, type SearchFacts } from '../../src/events/facts.js';
import { decodeRecord, encodeRecord, type EventRecord } from '../../src/events/record.js';
import { builtInSchemas } from '../../src/events/registry.js';
import { compileSchema, type EventSchema } from '../../src/events/schema.js';
import type { Body } from '../../src/events/separate.js';
import { EntryReader } from '../../src/search/entry-reader.js';
import { RecordFacts, VALUE, type Places } from '../../src/search/record-facts.js';
import { compileShape } from '../../src/search/shape.js';
import { Skimmer } from '../../src/search/skimmer.js';

const schemas = builtInSchemas();
const APPENDED_US = 1_790_000_000_000_000n;

/** A record of the schema with a random body: every branch of every union comes up sooner or later. */
function randomRecord(schema: EventSchema, i: number): Buffer {
  const random = (schema.codec.random() as unknown as { body: Body }).body;
  const body = schema.types[0] === 'log.schema' ? { ...random, text: schema.text } : random;
  const subjects = Array.from({ length: 3 }, () => randomBytes(16));
  const record: EventRecord = {
    dedupe: randomBytes(16),
    blind: randomBytes(16),
    id: `id-${i}`,
    type: schema.types[i % schema.types.length]!,
    occurredAtUs: TIMES[i % TIMES.length]!,
    acceptedAtUs: 1n,
    producer: 'gateway é',
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

/** Every length of integer, both signs. */
const TIMES = [0n, -1n, 1n, 63n, 64n, -64n, -65n, 1_705_752_000_000_000n, (1n << 63n) - 1n, -(1n << 63n)].concat(
  Array.from({ length: 63 }, (_, bit) => (1n << BigInt(bit)) * (bit % 2 === 0 ? 1n : -1n)),
);

const entryOf = (record: Uint8Array): Buffer =>
  Buffer.from(encodeRecordEntry({ appendedAtUs: APPENDED_US, partition: 0, offset: 1n, place: 0 }, record));

/** What an entry says, read amid other bytes. */
function read(entry: Buffer, reader = new EntryReader(schemas)): { told: Told; linked: readonly Buffer[] | undefined } {
  const amid = Buffer.concat([randomBytes(7), entry, Buffer.alloc(300, 0)]);
  const linked = reader.read(amid, 7, 7 + entry.length);
  return { told: tell(reader.facts), linked };
}

type Told = Omit<SearchFacts, 'agent' | 'client' | 'token' | 'session' | 'linked'>;

/** Facts by their places, as the `SearchFacts` that they stand for. */
function tell(facts: RecordFacts): Told {
  const { values, hops, bundles, persons } = facts;
  const bytesAt = (places: Places, at: number): Buffer =>
    Buffer.from(places.sources[at]!.subarray(places.starts[at], places.ends[at]));
  const text = (value: number): string | undefined =>
    values.has(value) ? bytesAt(values, value).toString() : undefined;
  const each = (places: Places): string[] =>
    Array.from({ length: places.count }, (_, at) => bytesAt(places, at).toString());
  const distinct = (...texts: (string | undefined)[]): string[] => [
    ...new Set(texts.filter((one): one is string => one !== undefined)),
  ];
  const subjects = Array.from({ length: persons.count }, (_, at) => bytesAt(persons, at).toString('hex'));
  const told = {
    eventId: text(VALUE.event)!,
    type: text(VALUE.type)!,
    occurredAtUs: (BigInt(facts.occurredHigh) << 32n) | BigInt(facts.occurredLow >>> 0),
    producer: text(VALUE.sender) ?? text(VALUE.producer)!,
    decision: text(VALUE.decision),
    agents: distinct(text(VALUE.agent), text(VALUE.fromAgent), text(VALUE.toAgent), ...each(hops)),
    tool: text(VALUE.tool),
    principals: distinct(...subjects).map((subject) => Buffer.from(subject, 'hex')),
    policies: distinct(text(VALUE.policyVersion), text(VALUE.policyRevision), ...each(bundles)),
    tokens: distinct(text(VALUE.jti), text(VALUE.digest)),
    sessions: distinct(text(VALUE.contextSession), text(VALUE.session), text(VALUE.ssoSession)),
    task: text(VALUE.purposeTask) ?? text(VALUE.task),
    environment: text(VALUE.contextEnvironment) ?? text(VALUE.environment),
    risk: facts.hasRisk ? facts.risk : undefined,
  };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) as unknown as Told;
}

/** What `searchFacts` says of the decoded record, as far as search keeps it. */
function expected(record: Uint8Array): { told: Told; linked: readonly Buffer[] | undefined } {
  const { linked, ...facts } = searchFacts(decodeRecord(record, schemas));
  const told = Object.fromEntries(Object.entries(facts).filter(([name]) => !NOT_KEPT.has(name))) as unknown as Told;
  return { told, linked };
}

const NOT_KEPT = new Set(['agent', 'client', 'token', 'session']);

const isUnreadable = ({ told }: { told: Told }): boolean => told.type === 'unreadable';

const named = schemas.schemas.map((schema) => [schema.name, schema] as const);

it.each(named)('a %s is read as searchFacts tells of the decoded record', (_, schema) => {
  const reader = new EntryReader(builtInSchemas());
  for (let i = 0; i < 150; i++) {
    const record = randomRecord(schema, i);
    expect(read(entryOf(record), reader)).toEqual(expected(record));
  }
});

/** But for what is learned from: the sequencer lets none pass that is broken. */
const unlearned = named.filter(([, schema]) => schema.types[0] !== 'log.schema');

it.each(unlearned)('a %s with broken bytes is read the same way, or not at all', (_, schema) => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 });
  const met = { told: 0, unreadable: 0 };
  let i = 0;
  fc.assert(
    fc.property(flips, (bytes) => {
      const record = randomRecord(schema, i++);
      for (const [at, byte] of bytes) record[10 + (at % (record.length - 10))] = byte;
      const found = read(entryOf(record));
      met[isUnreadable(found) ? 'unreadable' : 'told']++;
      // The codec is asked only then: for a broken count it may ask for all memory there is.
      if (!isUnreadable(found)) expect(found).toEqual(expected(record));
    }),
    { numRuns: 400 },
  );
  expect(met.unreadable).toBeGreaterThan(0);
  expect(met.told).toBeGreaterThan(0);
});

describe('an entry without facts', () => {
  const bare = (type: string): { told: Told; linked: undefined } => ({
    told: {
      eventId: '',
      type,
      occurredAtUs: APPENDED_US,
      producer: '',
      agents: [],
      principals: [],
      policies: [],
      tokens: [],
      sessions: [],
    },
    linked: undefined,
  });

  it('is refused', () => {
    const header = { appendedAtUs: APPENDED_US, partition: 0, offset: 1n, place: 0 };
    const refused = { ...header, sha256: randomBytes(32), dedupe: randomBytes(16), reason: 'conflict' } as const;
    expect(read(Buffer.from(encodeRefusedEntry(refused)))).toEqual(bare('refused'));
  });

  it('is unreadable: of an unknown schema, cut at any byte, or longer than its schema says', () => {
    const record = randomRecord(schemas.forType('decision.made'), 1);
    const other = Buffer.from(record);
    other[3]! ^= 1;
    expect(read(entryOf(other))).toEqual(bare('unreadable'));
    for (let length = 42; length < record.length; length++) {
      expect(read(entryOf(record.subarray(0, length)))).toEqual(bare('unreadable'));
    }
    expect(read(entryOf(Buffer.concat([record, Buffer.of(0)])))).toEqual(bare('unreadable'));
  });

  it('is a broken invariant where no sequencer wrote it', () => {
    const entry = entryOf(randomRecord(schemas.forType('decision.made'), 1));
    entry[1] = 7;
    expect(() => read(entry)).toThrow(expect.objectContaining({ code: 'malformed_entry' }));
  });
});

describe('a schema that is learned from a log', () => {
  it('is read from then on', () => {
    const known = schemas.forType('decision.made');
    const later = compileSchema(known.text.replace('"name":"DecisionMade"', '"name":"DecisionMadeLater"'));
    const record = randomRecord(later, 1);
    const reader = new EntryReader(builtInSchemas());
    expect(isUnreadable(read(entryOf(record), reader))).toBe(true);
    const told = schemas.forType('log.schema');
    const body = { ...(told.codec.random() as unknown as { body: Body }).body, text: later.text };
    const decoded = decodeRecord(randomRecord(told, 0), schemas);
    read(entryOf(encodeRecord(told, { ...decoded, type: 'log.schema', body })), reader);
    expect(isUnreadable(read(entryOf(record), reader))).toBe(false);
  });
});

/** Schemas that only a stranger would write, with values that ask for endless work. */
describe('a shape', () => {
  const skim = (body: object, bytes: number[]): boolean => {
    const shape = compileShape(JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'body', type: body }] }));
    return new Skimmer().skim(shape, Buffer.from(bytes), 0, bytes.length, new RecordFacts());
  };
  const HUGE = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];

  it('steps over items without bytes, however many', () => {
    expect(skim({ type: 'array', items: 'null' }, [...HUGE, 0])).toBe(true);
    const empty = {
      type: 'record',
      name: 'E',
      fields: [{ name: 'e', type: { type: 'record', name: 'F', fields: [] } }],
    };
    expect(skim({ type: 'array', items: empty }, [...HUGE, 0])).toBe(true);
  });

  it('takes blocks that say their size', () => {
    expect(skim({ type: 'array', items: 'boolean' }, [3, 4, 1, 1, 0])).toBe(true);
    expect(skim({ type: 'array', items: 'string' }, [3, 8, 2, 65, 2, 66, 2, 2, 67, 0])).toBe(true);
  });

  it('refuses more items, bytes or depth than there can be', () => {
    expect(skim({ type: 'array', items: 'long' }, [...HUGE, 0])).toBe(false);
    expect(skim({ type: 'array', items: 'double' }, [...HUGE, 0])).toBe(false);
    expect(skim('string' as unknown as object, HUGE)).toBe(false);
    expect(skim('bytes' as unknown as object, [1])).toBe(false);
    expect(skim('long' as unknown as object, new Array<number>(11).fill(0x80))).toBe(false);
    const self = { type: 'record', name: 'S', fields: [{ name: 's', type: ['null', 'S'] }] };
    expect(skim(self, [2, 2, 0])).toBe(true);
    expect(skim(self, new Array<number>(50_000).fill(2))).toBe(false);
  });
});
