import { readdirSync, readFileSync } from 'node:fs';
import { KeelsonError } from '../core/error.js';
import { compileSchema, type EventSchema } from './schema.js';

/** Schemas by event type (to write with) and by fingerprint (to read with). */
export class SchemaRegistry {
  private readonly byType = new Map<string, EventSchema>();
  private readonly byFingerprint = new Map<string, EventSchema>();

  /** @param schemas to write with; of two versions for one type the later one. */
  constructor(schemas: Iterable<EventSchema> = []) {
    for (const schema of schemas) {
      for (const type of schema.types) this.byType.set(type, schema);
      this.byFingerprint.set(keyOf(schema.fingerprint), schema);
    }
  }

  get schemas(): EventSchema[] {
    return [...this.byFingerprint.values()];
  }

  /** The schema that events of a type are written with now. @throws KeelsonError `unknown_event_type` */
  forType(type: string): EventSchema {
    const schema = this.byType.get(type);
    if (!schema)
      throw new KeelsonError('unknown_event_type', 'no schema describes this event type', { pointer: '/type' });
    return schema;
  }

  /** The schema a record was written with, by its 8 fingerprint bytes; undefined: it stands in a `log.schema` not read yet. */
  find(fingerprint: Uint8Array): EventSchema | undefined {
    return this.byFingerprint.get(keyOf(fingerprint));
  }

  /** Learns to read what an older or newer version wrote, from the text of a `log.schema` record; types stay as they are. */
  learn(text: string): EventSchema {
    const schema = compileSchema(text);
    const known = this.find(schema.fingerprint);
    if (known) return known;
    this.byFingerprint.set(keyOf(schema.fingerprint), schema);
    return schema;
  }
}

const keyOf = (fingerprint: Uint8Array): string =>
  Buffer.from(fingerprint.buffer, fingerprint.byteOffset, fingerprint.byteLength).toString('latin1');

const FOLDER = new URL('../../schemas/', import.meta.url);

/** Later versions of a family after earlier ones: `agent.v2.avsc`, `agent.v10.avsc`. */
const versionOf = (file: string): number => Number(/\.v(\d+)\.avsc$/.exec(file)?.[1] ?? 0);

/** The schemas this build comes with: every file of `schemas/`. */
function readSchemas(): EventSchema[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith('.avsc'));
  files.sort((a, b) => versionOf(a) - versionOf(b) || (a < b ? -1 : 1));
  return files.map((file) => compileSchema(readFileSync(new URL(file, FOLDER), 'utf8')));
}

let builtIn: readonly EventSchema[] | undefined;

/** A registry of the schemas this build comes with; each caller's `learn` is its own. */
export function builtInSchemas(): SchemaRegistry {
  return new SchemaRegistry((builtIn ??= readSchemas()));
}
