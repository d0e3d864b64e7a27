/** Avro schema as JSON. */
export type AvroSchema = string | AvroSchema[] | AvroObject;

export interface AvroObject {
  readonly type: AvroSchema;
  readonly name?: string;
  readonly namespace?: string;
  readonly fields?: readonly AvroField[];
  readonly symbols?: readonly string[];
  readonly items?: AvroSchema;
  readonly size?: number;
  readonly [attribute: string]: unknown;
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroSchema;
  readonly doc?: string;
  readonly [attribute: string]: unknown;
}

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string']);

/**
 * The parsing canonical form (Avro 1.12, "Parsing Canonical Form for Schemas"): docs, defaults, logical types and attributes
 * go, names become full, members stand in the fixed order. Maps and protocols' errors are not ours, so not known here.
 */
export function canonicalForm(schema: AvroSchema, namespace = ''): string {
  if (typeof schema === 'string') return JSON.stringify(PRIMITIVES.has(schema) ? schema : fullName(schema, namespace));
  if (Array.isArray(schema)) return `[${schema.map((branch) => canonicalForm(branch, namespace)).join(',')}]`;
  const type = schema.type;
  if (typeof type !== 'string') return canonicalForm(type, namespace);
  if (PRIMITIVES.has(type)) return JSON.stringify(type);
  if (type === 'array') return `{"type":"array","items":${canonicalForm(schema.items as AvroSchema, namespace)}}`;
  const name = fullName(schema.name as string, schema.namespace ?? namespace);
  const start = `{"name":${JSON.stringify(name)},"type":${JSON.stringify(type)}`;
  if (type === 'fixed') return `${start},"size":${schema.size}}`;
  if (type === 'enum') return `${start},"symbols":${JSON.stringify(schema.symbols)}}`;
  if (type !== 'record') throw new Error(`an Avro type that records do not use: ${type}`);
  const inner = name.slice(0, Math.max(0, name.lastIndexOf('.')));
  const fields = (schema.fields ?? []).map(
    (field) => `{"name":${JSON.stringify(field.name)},"type":${canonicalForm(field.type, inner)}}`,
  );
  return `${start},"fields":[${fields.join(',')}]}`;
}

const fullName = (name: string, namespace: string): string =>
  name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;

const EMPTY = 0xc15d213aa4d7a795n;
const TABLE = Array.from({ length: 256 }, (_, i) => {
  let fp = BigInt(i);
  for (let bit = 0; bit < 8; bit++) fp = (fp >> 1n) ^ ((fp & 1n) === 1n ? EMPTY : 0n);
  return fp;
});

/** CRC-64-AVRO (Avro 1.12, "Schema Fingerprints") of a text, as the 8 little-endian bytes that stand in a record. */
export function fingerprintText(text: string): Buffer {
  let fp = EMPTY;
  for (const byte of Buffer.from(text, 'utf8'))
    fp = (fp >> 8n) ^ (TABLE[Number((fp ^ BigInt(byte)) & 0xffn)] as bigint);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(fp);
  return bytes;
}
