import { format } from 'prettier';
import { canonicalForm, fingerprintText, type AvroObject, type AvroSchema } from '../../src/events/fingerprint.js';
import type { Shape } from '../../src/verify/avro.js';
import { bodyOf, readSchemaFiles } from './render-types.js';

/** What a certificate is about: the verifier reads the bodies of these. */
const CERTIFIED = ['Ack', 'Case', 'DecisionMade', 'Point', 'Revocation'];

/** `src/verify/record-bodies.ts`: the bodies that an offline verifier reads, out of the schemas, by fingerprint. */
export async function renderBodies(): Promise<string> {
  const schemas = readSchemaFiles().filter(({ name }) => CERTIFIED.includes(name));
  const bodies = schemas.map((schema) => {
    const named = new Map<string, Shape>();
    // The envelope defines names that a body may use.
    for (const { type } of schema.fields) shapeOf(type, named);
    const fingerprint = fingerprintText(canonicalForm(schema)).toString('hex');
    return `// ${schema.file}\n'${fingerprint}': ${JSON.stringify(shapeOf(bodyOf(schema), named))},`;
  });
  const text = `/** Bodies of records by the fingerprint of their schema. Made from schemas/ by test/events/render-bodies.ts; a test holds them together. */
import type { Shape } from './avro.js';

export const BODIES: Readonly<Record<string, Shape>> = {
${bodies.join('\n')}
};
`;
  return format(text, { parser: 'typescript', printWidth: 120, singleQuote: true, trailingComma: 'all' });
}

function shapeOf(avro: AvroSchema, named: Map<string, Shape>): Shape {
  if (typeof avro === 'string') return named.get(avro) ?? (avro as Shape);
  if (Array.isArray(avro)) {
    const branches = avro.map((branch) => shapeOf(branch, named));
    return branches.length === 2 && branches[0] === 'null' ? { optional: branches[1]! } : { branches };
  }
  const shape = compoundOf(avro, named);
  if (avro.name !== undefined) named.set(avro.name, shape);
  return shape;
}

function compoundOf(avro: AvroObject, named: Map<string, Shape>): Shape {
  switch (avro.type) {
    case 'record':
      return { fields: avro.fields!.map(({ name, type }) => [name, shapeOf(type, named)] as const) };
    case 'array':
      return { items: shapeOf(avro.items!, named) };
    case 'enum':
      return { symbols: avro.symbols! };
    case 'fixed':
      return { fixed: avro.size! };
    default:
      return shapeOf(avro.type, named);
  }
}
