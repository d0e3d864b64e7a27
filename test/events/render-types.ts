import { readdirSync, readFileSync } from 'node:fs';
import { format } from 'prettier';
import type { AvroField, AvroObject, AvroSchema } from '../../src/events/fingerprint.js';
import { compilePlan, type ObjectPlan, type Plan } from '../../src/events/plan.js';

export const SCHEMAS = new URL('../../schemas/', import.meta.url);

/** A schema's file as JSON. */
export interface SchemaFile extends AvroObject {
  readonly file: string;
  readonly name: string;
  readonly types: readonly string[];
  readonly required: Readonly<Record<string, readonly string[]>>;
  readonly persons: readonly { pointer: string; doc: string }[];
  readonly sealed: readonly { pointer: string; doc: string }[];
  readonly fields: readonly AvroField[];
}

export const readSchemaFiles = (): SchemaFile[] =>
  readdirSync(SCHEMAS).map(
    (file) => ({ file, ...(JSON.parse(readFileSync(new URL(file, SCHEMAS), 'utf8')) as object) }) as SchemaFile,
  );

export const bodyOf = (schema: SchemaFile): AvroObject =>
  schema.fields.find(({ name }) => name === 'body')!.type as AvroObject;

/** `src/events/types.ts`: the events as their producers write them, out of the schemas. */
export async function renderTypes(): Promise<string> {
  const schemas = newestOf(readSchemaFiles());
  const text = [
    '/** The events as producers write them. Made from schemas/ by test/events/render-types.ts; a test holds them together. */',
    "import type { Json } from './json.js';",
    '/** Somebody, as the configured issuer of the producer knows them, or as the one named here does. */',
    'export type Person = string | { issuer?: string; id: string };',
    '/** RFC 3339, or seconds since 1970 as in tokens. */',
    'export type Timestamp = string | number;',
    ...schemas.map(renderEvent),
    `export type Event = ${schemas.map(({ name }) => name).join(' | ')};`,
  ].join('\n\n');
  return format(text, { parser: 'typescript', printWidth: 120, singleQuote: true, trailingComma: 'all' });
}

/** Of each family the version that events are written with: the one of the highest number. */
export function newestOf(files: readonly SchemaFile[]): SchemaFile[] {
  const version = ({ file }: SchemaFile): number => Number(/\.v(\d+)\.avsc$/.exec(file)![1]);
  return files.filter((one) => files.every((other) => other.name !== one.name || version(other) <= version(one)));
}

function renderEvent(schema: SchemaFile): string {
  const body = bodyOf(schema);
  const plan = compilePlan(
    body,
    schema.persons.map(({ pointer }) => pointer),
    schema.sealed.map(({ pointer }) => pointer),
  );
  const docs = new Map([...schema.persons, ...schema.sealed].map(({ pointer, doc }) => [pointer, doc]));
  const required = new Set(
    [...plan.members.keys()].filter((name) =>
      schema.types.every((type) => schema.required[type]!.includes(`/${name}`)),
    ),
  );
  return `/** ${String(schema.doc)} Members that are not named here are kept, sealed. */
export interface ${schema.name} {
  /** Unique within the producer's source; made by intake where absent. */
  id?: string;
  type: ${schema.types.map((type) => `'${type}'`).join(' | ')};
  timestamp: string;
  /** The producer's epoch and number in it, where it stamps its events. */
  epoch?: number;
  sequence?: number;
${renderMembers(plan, body, '', docs, required)}
}`;
}

function renderMembers(
  plan: ObjectPlan,
  record: AvroObject,
  pointer: string,
  docs: ReadonlyMap<string, string>,
  required = new Set<string>(),
): string {
  const fields = new Map(record.fields!.map((field) => [field.name, field]));
  const lines = [...plan.members].map(([name, member]) => {
    const at = `${pointer}/${name}`;
    const field = fields.get(name);
    const doc = field?.doc ?? docs.get(at) ?? docs.get(`${at}/*`);
    return `/** ${doc!} */\n${name}${required.has(name) ? '' : '?'}: ${renderType(member, field?.type, at, docs)};`;
  });
  return lines.join('\n');
}

function renderType(
  plan: Plan,
  type: AvroSchema | undefined,
  pointer: string,
  docs: ReadonlyMap<string, string>,
): string {
  const inner = Array.isArray(type) ? type.filter((branch) => branch !== 'null') : [type];
  switch (plan.kind) {
    case 'string':
    case 'boolean':
      return plan.kind;
    case 'bytes':
      return 'string';
    case 'long':
    case 'double':
      return 'number';
    case 'timestamp':
      return 'Timestamp';
    case 'enum':
      return [...plan.symbols].map((symbol) => `'${symbol}'`).join(' | ');
    case 'either':
      return plan.plans.map((one, i) => renderType(one, inner[i], pointer, docs)).join(' | ');
    case 'array':
      return `(${renderType(plan.items, (inner[0] as AvroObject).items, `${pointer}/*`, docs)})[]`;
    case 'object':
      return `{\n${renderMembers(plan, inner[0] as AvroObject, pointer, docs)}\n}`;
    case 'person':
      return 'Person';
    case 'persons':
      return 'Person[]';
    case 'sealed':
      return 'Json';
  }
}
