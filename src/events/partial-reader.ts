/**
 * Parts of a record straight from its bytes. Of a record most is sealed or of no interest to one reader: a reader's schema (Avro 1.12,
 * "Schema Resolution") that holds only what is asked for lets the codec skip the rest, at less than half the cost of decoding it.
 */
import type avsc from 'avsc';
import { KeelsonError } from '../core/error.js';
import { recordFingerprint } from './record.js';
import type { SchemaRegistry } from './registry.js';
import { makeCodec, type EventSchema } from './schema.js';

const HEADER_BYTES = 10;

/** What a tree of members keeps: `true` all of it, an object those members of it (and, of an array, of its items). */
export interface Kept {
  readonly [member: string]: true | Kept;
}

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

/** Reads `kept` of any record, as Avro names it: members of the envelope as docs/record.md writes them, and `body`. */
export class PartialReader<Part> {
  readonly #readers = new Map<EventSchema, Reader>();

  /** @param schemas of every record that will be read. */
  constructor(
    readonly schemas: SchemaRegistry,
    private readonly kept: Kept,
  ) {}

  /** @throws KeelsonError `malformed_record`, `unknown_schema` */
  read(record: Uint8Array): Part {
    const schema = this.schemas.find(recordFingerprint(record));
    if (schema === undefined) throw new KeelsonError('unknown_schema', 'a record of a schema that is not known');
    let reader = this.#readers.get(schema);
    if (reader === undefined) this.#readers.set(schema, (reader = makeReader(schema, this.kept)));
    const bytes = Buffer.from(record.buffer, record.byteOffset + HEADER_BYTES, record.byteLength - HEADER_BYTES);
    try {
      return reader.type.fromBuffer(bytes, reader.resolver) as Part;
    } catch (cause) {
      throw new KeelsonError('malformed_record', 'a record that its schema does not read', { cause });
    }
  }
}

function makeReader(schema: EventSchema, kept: Kept): Reader {
  const whole = JSON.parse(schema.text) as AvroType;
  const type = makeCodec(prune(whole, kept, definitions(whole)));
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
