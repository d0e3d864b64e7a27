/** The resource that a record of a provisioning event seals. */
import {
  decodeRecord,
  isObject,
  parseJsonText,
  type DecodedRecord,
  type JsonObject,
  type SchemaRegistry,
} from '../../events/index.js';
import { openEvent, type Vault } from '../../vault/index.js';

export type OpeningVault = Pick<Vault, 'keysOf'> & { readonly blobs: Pick<Vault['blobs'], 'get'> };

const POINTER = '/attributes';
const LIMITS = { maxDepth: 64, maxStringLength: 1_048_576, maxValues: 1_000_000 };

/**
 * Of each record its resource, in order; undefined where it seals none, or its subject was erased. One round trip for all keys.
 * @throws KeelsonError `database_unavailable`, `tampered`, `malformed_record`, `unknown_schema`
 */
export async function openAttributes(
  records: readonly DecodedRecord[],
  vault: OpeningVault,
): Promise<(JsonObject | undefined)[]> {
  const narrowed = records.map((record) => ({
    ...record,
    sealed: record.sealed.filter(({ fields }) => fields.some(({ pointer }) => pointer === POINTER)),
  }));
  const blocks = narrowed.flatMap(({ sealed }) => sealed);
  if (blocks.length === 0) return records.map(() => undefined);
  const [keys, blobs] = await Promise.all([
    vault.keysOf(blocks.map(({ subject }) => subject)),
    vault.blobs.get(blocks.flatMap(({ blob }) => (blob ? [blob.sha256] : []))),
  ]);
  return narrowed.map((record) => {
    const field = openEvent(record, keys, blobs).find(({ pointer }) => pointer === POINTER);
    if (field === undefined) return undefined;
    const value = parseJsonText(field.text, LIMITS);
    return isObject(value) ? value : undefined;
  });
}

/** The same for records as they are stored. */
export const openRecords = (
  records: readonly Buffer[],
  vault: OpeningVault,
  schemas: SchemaRegistry,
): Promise<(JsonObject | undefined)[]> =>
  openAttributes(
    records.map((record) => decodeRecord(record, schemas)),
    vault,
  );

/** Under whose key a record seals its resource. */
export const sealingSubject = (record: DecodedRecord): Buffer | undefined =>
  record.sealed.find(({ fields }) => fields.some(({ pointer }) => pointer === POINTER))?.subject;
