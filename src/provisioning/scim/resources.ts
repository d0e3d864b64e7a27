/** What users and groups share: the state, opened; names; ids that a repeated request finds again. */
import { KeelsonError } from '../../core/error.js';
import type { JsonObject, SchemaRegistry } from '../../events/index.js';
import type { Clock } from '../../platform/clock.js';
import type { Person } from '../../vault/index.js';
import type { AliasVault } from './aliases.js';
import { openRecords, type OpeningVault } from './attributes.js';
import { namesOf, type NameDigest } from './names.js';
import type { Kind } from './schema.js';
import type { Source } from './source.js';
import type { ResourceRow, ScimStore } from './store.js';
import type { ScimWriter } from './writer.js';

export interface ScimParts {
  readonly store: ScimStore;
  readonly writer: ScimWriter;
  readonly vault: OpeningVault & AliasVault;
  readonly schemas: SchemaRegistry;
  readonly digest: NameDigest;
  readonly clock: Clock;
}

/** Versions that a client insists on (RFC 9110, If-Match); undefined: any. */
export type Expected = ((row: ResourceRow) => boolean) | undefined;

/** Each row's resource, in order; undefined where its subject was erased. */
export const openRows = (
  { vault, schemas }: Pick<ScimParts, 'vault' | 'schemas'>,
  rows: readonly ResourceRow[],
): Promise<(JsonObject | undefined)[]> =>
  openRecords(
    rows.map(({ record }) => record),
    vault,
    schemas,
  );

/** @throws KeelsonError `not_found` also for what was deleted or erased; `version_mismatch` */
export async function requireResource(
  parts: ScimParts,
  source: Source,
  kind: Kind,
  id: string,
  expected: Expected,
): Promise<{ row: ResourceRow; resource: JsonObject }> {
  const row = await parts.store.find(source.id, kind, id);
  const [resource] = row === undefined || row.deleted ? [] : await openRows(parts, [row]);
  if (row === undefined || resource === undefined) {
    throw new KeelsonError('not_found', `there is no ${kind} with this id`);
  }
  if (expected?.(row) === false) {
    throw new KeelsonError('version_mismatch', `the resource is at version ${row.version} now`);
  }
  return { row, resource };
}

/** What to lock, so that nobody else takes the same names meanwhile. */
export const nameLocks = ({ digest }: ScimParts, source: Source, kind: Kind, resource: JsonObject): string[] =>
  namesOf(kind, resource).map(
    ({ attribute, value }) => `${kind}.${attribute}/${digest(source.id, kind, attribute, value).toString('hex')}`,
  );

/**
 * Everyone else who has one of the names that must be unique.
 * @param attributes which those are
 */
export async function findRivals(
  { store, digest }: ScimParts,
  source: Source,
  kind: Kind,
  resource: JsonObject,
  attributes: readonly string[],
  except?: string,
): Promise<{ attribute: string; row: ResourceRow }[]> {
  const rivals: { attribute: string; row: ResourceRow }[] = [];
  for (const { attribute, value } of namesOf(kind, resource)) {
    if (!attributes.includes(attribute)) continue;
    const rows = await store.findNamed(source.id, kind, attribute, digest(source.id, kind, attribute, value));
    for (const row of rows) if (row.id !== except) rivals.push({ attribute, row });
  }
  return rivals;
}

/** @throws KeelsonError `not_unique` where a rival is not deleted. */
export function requireUnique(rivals: readonly { readonly attribute: string; readonly row: ResourceRow }[]): void {
  const alive = rivals.find(({ row }) => !row.deleted);
  if (alive !== undefined)
    throw new KeelsonError('not_unique', `there is another one with the same ${alive.attribute}`);
}

/**
 * An id that nobody has or had. Made of the names, so that a request that is sent again, before the first one is seen, makes the same
 * resource and not a second one.
 */
export async function chooseId(
  { store, digest }: ScimParts,
  source: Source,
  kind: Kind,
  resource: JsonObject,
): Promise<string> {
  const names = JSON.stringify(namesOf(kind, resource).map(({ value }) => value));
  for (let n = 0; ; n++) {
    const bytes = digest(source.id, kind, 'id', `${n}/${names}`).subarray(0, 16);
    const id = formatUuid(bytes);
    if ((await store.find(source.id, kind, id)) === undefined) return id;
  }
}

/** RFC 9562, version 8. */
function formatUuid(bytes: Buffer): string {
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

/** A person as an event names them. */
export const personJson = ({ issuer, id }: Person): JsonObject => ({ issuer, id });
