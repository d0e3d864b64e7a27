import type { PoolClient } from 'pg';
import { parseEntry } from '../core/entry.js';
import { decodeRecord } from '../events/record.js';
import { builtInSchemas, type SchemaRegistry } from '../events/registry.js';
import { entriesOf, readPages } from './page-reader.js';

/**
 * The schemas this build comes with, and those that another version of it wrote into the logs (`log.schema`): a fold that goes on in
 * the middle of a log has passed them already.
 */
export async function learnSchemas(tx: PoolClient): Promise<SchemaRegistry> {
  const schemas = builtInSchemas();
  const { rows } = await tx.query<{ log: number; path: string; fingerprint: Buffer; index: bigint }>(
    `select distinct on (s.fingerprint) s.log, l.path, s.fingerprint, s.index
     from keelson.log_schema s join keelson.log l on l.id = s.log order by s.fingerprint, s.log`,
  );
  for (const { log, path, fingerprint, index } of rows) {
    if (schemas.find(fingerprint) !== undefined) continue;
    const [bytes] = entriesOf(path, await readPages(tx, log, index, index + 1n), index, index + 1n);
    const entry = parseEntry(bytes!);
    if (entry.kind === 'record') learnFrom(entry.record, schemas);
  }
  return schemas;
}

/** Learns the schema that a `log.schema` record carries. The sequencer lets none pass that carries none. */
export function learnFrom(record: Uint8Array, schemas: SchemaRegistry): void {
  const { text } = decodeRecord(record, schemas).body;
  if (typeof text !== 'string') throw new Error('a log.schema without a text');
  schemas.learn(text);
}
