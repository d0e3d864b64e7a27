/**
 * Facts straight from a record's bytes. Of a record most is sealed or of no interest here: a reader's schema (Avro 1.12, "Schema
 * Resolution") that holds only what `searchFacts` looks at lets the codec skip the rest, at less than half the cost of decoding it.
 */
import type avsc from 'avsc';
import { KeelsonError } from '../core/error.js';
import { searchFacts, type FactsSource, type SearchFacts } from '../events/facts.js';
import { recordFingerprint } from '../events/record.js';
import type { SchemaRegistry } from '../events/registry.js';
import { makeCodec, type EventSchema } from '../events/schema.js';
import type { Body } from '../events/separate.js';
import { learnFrom } from './schemas.js';

const HEADER_BYTES = 10;

/** What a tree of members keeps: `true` all of it, an object those members of it (and, of an array, of its items). */
interface Kept {
  readonly [member: string]: true | Kept;
}

const ENVELOPE: Kept = { id: true, type: true, occurred_at: true, producer: true, persons: true };

/** What `searchFacts` reads of any body. */
const BODY: Kept = {
  agent: true,
  from_agent: true,
  to_agent: true,
  client: true,
  tool: true,
  decision: true,
  environment: true,
  policy_version: true,
  session_id: true,
  task_id: true,
  sender: true,
  policy: { revision: true, bundles: { revision: true } },
  context: { session_id: true, environment: true, risk_score: true },
  user_context: { sso_session: true },
  purpose: { task_id: true },
  token: { jti: true, digest: true },
  delegation_chain: { agent: true },
};

/** An Avro schema as JSON. */
type Avro = string | Avro[] | AvroType;
interface AvroType {
  readonly type: Avro;
  readonly name?: string;
  readonly fields?: readonly { readonly name: string; readonly type: Avro }[];
  readonly items?: Avro;
}

interface Reader {
  readonly type: avsc.Type;
  readonly resolver: ReturnType<avsc.Type['createResolver']>;
}

/** The record as such a reader gives it. */
interface AvroFacts {
  readonly id: string;
  readonly type: string;
  readonly occurred_at: bigint;
  readonly producer: string;
  readonly persons: FactsSource['persons'];
  readonly body: Body;
}

export class FactsReader {
  readonly #readers = new Map<EventSchema, Reader>();

  /** @param schemas of every record that will be read. */
  constructor(readonly schemas: SchemaRegistry) {}

  /** What `searchFacts` says of the record. Of a `log.schema` it learns the schema. @throws KeelsonError `malformed_record`, `unknown_schema` */
  read(record: Uint8Array): SearchFacts {
    const schema = this.schemas.find(recordFingerprint(record));
    if (schema === undefined) throw new KeelsonError('unknown_schema', 'a record of a schema that is not known');
    let reader = this.#readers.get(schema);
    if (reader === undefined) this.#readers.set(schema, (reader = makeReader(schema)));
    const bytes = Buffer.from(record.buffer, record.byteOffset + HEADER_BYTES, record.byteLength - HEADER_BYTES);
    let facts: AvroFacts;
    try {
      facts = reader.type.fromBuffer(bytes, reader.resolver) as AvroFacts;
    } catch (cause) {
      throw new KeelsonError('malformed_record', 'a record that its schema does not read', { cause });
    }
    if (facts.type === 'log.schema') learnFrom(record, this.schemas);
    const { id, type, occurred_at: occurredAtUs, producer, persons, body } = facts;
    return searchFacts({ id, type, occurredAtUs, producer, persons, body });
  }
}

function makeReader(schema: EventSchema): Reader {
  const whole = JSON.parse(schema.text) as AvroType;
  const type = makeCodec(prune(whole, { ...ENVELOPE, body: BODY }, definitions(whole)));
  return { type, resolver: type.createResolver(schema.codec) };
}

/** Where a schema defines its named types, as far as they hold no fields. A pruned schema may lack the place: it defines them anew. */
function definitions(avro: Avro, found = new Map<string, AvroType>()): Map<string, AvroType> {
  if (typeof avro === 'string') return found;
  if (Array.isArray(avro)) {
    for (const branch of avro) definitions(branch, found);
    return found;
  }
  if (avro.name !== undefined && avro.fields === undefined) found.set(avro.name, avro);
  for (const field of avro.fields ?? []) definitions(field.type, found);
  if (avro.items !== undefined) definitions(avro.items, found);
  if (typeof avro.type === 'object') definitions(avro.type, found);
  return found;
}

/** The schema with only the kept members; each named type is defined where it first stands. */
function prune(avro: Avro, kept: true | Kept, undefinedYet: Map<string, AvroType>): Avro {
  if (typeof avro === 'string') {
    const defined = undefinedYet.get(avro);
    undefinedYet.delete(avro);
    return defined ?? avro;
  }
  if (Array.isArray(avro)) return avro.map((branch) => prune(branch, kept, undefinedYet));
  if (avro.fields === undefined) {
    if (avro.name !== undefined) undefinedYet.delete(avro.name);
    return avro.items === undefined ? avro : { ...avro, items: prune(avro.items, kept, undefinedYet) };
  }
  const fields = avro.fields.flatMap((field) => {
    const within = kept === true ? true : kept[field.name];
    return within === undefined ? [] : [{ ...field, type: prune(field.type, within, undefinedYet) }];
  });
  return { ...avro, fields };
}
