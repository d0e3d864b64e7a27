import { hash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, test } from 'vitest';
import {
  builtInSchemas,
  canonicalForm,
  compileSchema,
  fingerprintText,
  SchemaRegistry,
} from '../../src/events/index.js';
import type { AvroField, AvroSchema } from '../../src/events/fingerprint.js';
import { renderBodies } from './render-bodies.js';
import { newestOf, readSchemaFiles, renderTypes, SCHEMAS } from './render-types.js';

const files = readSchemaFiles();
const schemas = builtInSchemas();
const FROZEN = new URL('../vectors/record/schemas.json', import.meta.url);
const TYPES = new URL('../../src/events/types.ts', import.meta.url);
const BODIES = new URL('../../src/verify/record-bodies.ts', import.meta.url);
const update = process.env.KEELSON_UPDATE_GENERATED === '1';

/** Every field at any depth. */
function* fieldsIn(schema: AvroSchema | undefined, path: string): Generator<[string, AvroField]> {
  if (Array.isArray(schema)) for (const branch of schema) yield* fieldsIn(branch, path);
  else if (typeof schema === 'object') {
    const { fields, items, type } = schema;
    for (const field of fields ?? []) {
      yield [`${path}/${field.name}`, field];
      yield* fieldsIn(field.type, `${path}/${field.name}`);
    }
    yield* fieldsIn(items, `${path}/*`);
    if (typeof type === 'object') yield* fieldsIn(type, path);
  }
}

test('every field, person and sealed member says what it is', () => {
  for (const file of files) {
    expect(file.doc, file.file).toMatch(/\.$/);
    for (const [path, { doc }] of fieldsIn(file, file.file)) expect(doc, path).toMatch(/\w.*[.]$/);
    for (const { pointer, doc } of [...file.persons, ...file.sealed]) expect(doc, pointer).toMatch(/\w.*[.]$/);
  }
});

test('every schema begins with the same envelope, its fixed-width fields first, and ends with the body', () => {
  const envelopes = files.map(({ fields }) => fields.slice(0, -1));
  for (const envelope of envelopes) expect(envelope).toEqual(envelopes[0]);
  expect(envelopes[0]!.slice(0, 2).map(({ name, type }) => [name, type])).toEqual([
    ['dedupe', { type: 'fixed', name: 'Fixed16', size: 16 }],
    ['blind', 'Fixed16'],
  ]);
  for (const { fields } of files) expect(fields.at(-1)!.name).toBe('body');
});

test('no schema has a map: the order of its members would be anybody’s', () => {
  for (const { file } of files) expect(readFileSync(new URL(file, SCHEMAS), 'utf8')).not.toContain('"map"');
});

test('a file is named after its family and version, and so is its schema', () => {
  for (const { file, name, namespace } of files) {
    const [, family, version] = /^([a-z.]+)\.v(\d+)\.avsc$/.exec(file)!;
    expect(`keelson.v${version}.${family!.replaceAll('.', '').toLowerCase()}`).toBe(
      `${namespace}.${name.toLowerCase()}`,
    );
  }
});

test('schemas are added, never edited: texts and fingerprints are those of the vectors', () => {
  const now = Object.fromEntries(
    schemas.schemas.map(({ name, fingerprint, text }) => [
      name,
      { fingerprint: fingerprint.toString('hex'), sha256: hash('sha256', text) },
    ]),
  );
  if (update && !existsSync(FROZEN)) writeFileSync(FROZEN, JSON.stringify(now, null, 2) + '\n');
  expect(now).toEqual(JSON.parse(readFileSync(FROZEN, 'utf8')));
});

test('the bodies that a verifier reads are those of the schemas', async () => {
  const bodies = await renderBodies();
  if (update) writeFileSync(BODIES, bodies);
  expect(readFileSync(BODIES, 'utf8')).toBe(bodies);
});

test('the TypeScript types are those of the schemas', async () => {
  const types = await renderTypes();
  if (update) writeFileSync(TYPES, types);
  expect(readFileSync(TYPES, 'utf8')).toBe(types);
});

test('every event type has one schema, in a known topic', () => {
  const types = newestOf(files).flatMap((file) => file.types);
  expect(new Set(types).size).toBe(types.length);
  for (const type of types) expect(schemas.forType(type).types).toContain(type);
  expect(() => schemas.forType('decision.unmade')).toThrow(expect.objectContaining({ code: 'unknown_event_type' }));
});

describe('fingerprints', () => {
  // Avro's own: the fingerprint as a number, big-endian hex.
  test.each([
    ['"null"', '63dd24e7cc258f8a'],
    ['"int"', '7275d51a3f395c8f'],
    ['"string"', '8f014872634503c7'],
    ['"boolean"', '9f42fc78a4d4f764'],
  ])('%s', (text, hex) => expect(Buffer.from(fingerprintText(text)).reverse().toString('hex')).toBe(hex));

  test('canonical forms are those of another implementation', () => {
    for (const file of files) {
      const other = avsc.Type.forSchema(file as unknown as avsc.Schema);
      expect(canonicalForm(file)).toBe(JSON.stringify(other.schema()));
    }
  });
});

test('a reader learns a schema it was not built with from its text, once', () => {
  const { text, fingerprint } = schemas.forType('tick');
  const registry = new SchemaRegistry();
  expect(registry.find(fingerprint)).toBeUndefined();
  const learnt = registry.learn(text);
  expect(registry.find(Uint8Array.from(fingerprint))).toBe(learnt);
  expect(registry.learn(text)).toBe(learnt);
  expect(() => registry.forType('tick')).toThrow(expect.objectContaining({ code: 'unknown_event_type' }));
});

test.each(['', '{}', '"string"', '{"type":"record","name":"X","fields":[]}'])('%j is no schema', (text) =>
  expect(() => compileSchema(text)).toThrow(expect.objectContaining({ code: 'unknown_schema' })),
);
