import avsc from 'avsc';
import { KeelsonError } from '../core/error.js';
import { compileWrite, type Write } from './avro-write.js';
import { canonicalForm, fingerprintText, type AvroObject } from './fingerprint.js';
import { compilePlan, type ObjectPlan } from './plan.js';

/** Which internal topic events of a schema go to; `any`: what is said about a log goes into that log. */
export type SchemaTopic = 'decisions' | 'lifecycle' | 'activity' | 'any';

/** One file of `schemas/`, ready for use. Frozen for ever: another text is another version, with another name. */
export interface EventSchema {
  /** Full Avro name, with the version: `keelson.v1.DecisionMade`. */
  readonly name: string;
  /** The file's JSON without white space: what `log.schema` carries. */
  readonly text: string;
  /** CRC-64-AVRO of the canonical form, as it stands in bytes 2 to 9 of a record. */
  readonly fingerprint: Buffer;
  readonly topic: SchemaTopic;
  /** The event types it describes. */
  readonly types: readonly string[];
  /** Top-level members without which an event of a type says nothing. */
  readonly required: ReadonlyMap<string, readonly string[]>;
  /** Pointers of the acting principal, the first that is there counts. */
  readonly acting: readonly string[];
  readonly plan: ObjectPlan;
  readonly codec: avsc.Type;
  /** Writes a body as the codec does. */
  readonly writeBody: Write;
}

interface Attributes {
  readonly topic: SchemaTopic;
  readonly types: readonly string[];
  readonly required: Readonly<Record<string, readonly string[]>>;
  readonly acting: readonly string[];
  readonly persons: readonly { pointer: string }[];
  readonly sealed: readonly { pointer: string }[];
}

/** Avro longs are `bigint` on our side: a JavaScript number would be rounded above 2^53. */
const longType = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.allocUnsafe(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: (value: number | string) => BigInt(value),
  toJSON: String,
  isValid: (value: unknown) => typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
});

const isLong = (schema: unknown): boolean =>
  schema === 'long' || (typeof schema === 'object' && schema !== null && (schema as AvroObject).type === 'long');

/** The codec of an Avro schema, its longs as `bigint`. */
export const makeCodec = (avro: unknown): avsc.Type =>
  avsc.Type.forSchema(avro as avsc.Schema, { typeHook: (schema) => (isLong(schema) ? longType : undefined) });

/**
 * Makes a schema usable, from the text of a file or of a `log.schema` record.
 * @throws KeelsonError `unknown_schema`: not JSON, not Avro, or without the attributes of docs/record.md.
 */
export function compileSchema(text: string): EventSchema {
  try {
    const avro = JSON.parse(text) as AvroObject & Attributes;
    const body = avro.fields?.find((field) => field.name === 'body')?.type as AvroObject;
    const canonical = canonicalForm(avro);
    return {
      name: (JSON.parse(canonical) as { name: string }).name,
      text: JSON.stringify(avro),
      fingerprint: fingerprintText(canonical),
      topic: avro.topic,
      types: avro.types,
      required: new Map(
        Object.entries(avro.required).map(([type, pointers]) => [type, pointers.map((p) => p.slice(1))]),
      ),
      acting: avro.acting,
      plan: compilePlan(
        body,
        avro.persons.map(({ pointer }) => pointer),
        avro.sealed.map(({ pointer }) => pointer),
      ),
      codec: makeCodec(avro),
      writeBody: compileWrite(body),
    };
  } catch (cause) {
    throw new KeelsonError('unknown_schema', 'not the text of a schema', { cause });
  }
}
