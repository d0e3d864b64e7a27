/** Resources as clients see them. */
import { isObject, makeObject, type Json, type JsonObject } from '../../events/index.js';
import { formatTimestamp } from '../../events/time.js';
import { parseAttributePath, type AttributePath } from './attribute-path.js';
import { openRows, type ScimParts } from './resources.js';
import { RESOURCE_TYPES, type Kind, type ResourceType } from './schema.js';
import type { ResourceRow } from './store.js';

/** Which attributes an answer holds (RFC 7644, section 3.9). */
export interface Selection {
  readonly only?: readonly AttributePath[];
  readonly without?: readonly AttributePath[];
}

export const formatVersion = (version: bigint): string => `W/"${version}"`;

/** Whether an answer under this selection shows an attribute of the resource itself. */
function shows({ only, without }: Selection, name: string): boolean {
  if (only !== undefined) return only.some((path) => path.schema === undefined && path.name === name);
  return !(without ?? []).some((path) => path.schema === undefined && path.name === name && path.sub === undefined);
}

/**
 * The rows' resources, in order; those that were erased are left out.
 * @param base `https://…/scim/v2`
 */
export async function viewResources(
  parts: ScimParts,
  source: string,
  kind: Kind,
  rows: readonly ResourceRow[],
  base: string,
  selection: Selection,
): Promise<JsonObject[]> {
  const opened = await openRows(parts, rows);
  const groups =
    kind === 'User' && shows(selection, 'groups') ? await viewGroups(parts, source, rows, base) : undefined;
  const views: JsonObject[] = [];
  for (const [i, row] of rows.entries()) {
    const resource = opened[i];
    if (resource === undefined) continue;
    const view = viewResource(kind, row, resource, base);
    if (kind === 'Group' && shows(selection, 'members')) {
      const members = await parts.store.membersOf(source, row.id);
      if (members.length > 0) view.members = members.map((id) => ({ value: id, $ref: `${base}/Users/${id}` }));
    }
    const mine = groups?.get(row.id) ?? [];
    if (mine.length > 0) view.groups = mine;
    views.push(select(view, selection, RESOURCE_TYPES[kind]));
  }
  return views;
}

function viewResource(kind: Kind, row: ResourceRow, resource: JsonObject, base: string): JsonObject {
  const type = RESOURCE_TYPES[kind];
  const extensions = Object.keys(resource).filter((key) => /^urn:/i.test(key));
  const view = makeObject();
  view.schemas = [type.schema.id, ...extensions];
  view.id = row.id;
  Object.assign(view, resource);
  view.meta = {
    resourceType: kind,
    created: formatTimestamp(row.createdAtUs),
    lastModified: formatTimestamp(row.modifiedAtUs),
    location: `${base}${type.endpoint}/${row.id}`,
    version: formatVersion(row.version),
  };
  return view;
}

/** By user, their groups. */
async function viewGroups(
  parts: ScimParts,
  source: string,
  rows: readonly ResourceRow[],
  base: string,
): Promise<Map<string, JsonObject[]>> {
  const groupsOf = await parts.store.groupsOf(
    source,
    rows.map(({ id }) => id),
  );
  const groups = await parts.store.findAll(source, 'Group', [...new Set([...groupsOf.values()].flat())]);
  const opened = await openRows(parts, groups);
  const shown = new Map<string, JsonObject>();
  for (const [i, { id }] of groups.entries()) {
    const display = opened[i]?.displayName;
    shown.set(id, { value: id, $ref: `${base}/Groups/${id}`, ...(typeof display === 'string' ? { display } : {}) });
  }
  return new Map(
    [...groupsOf].map(([user, ids]) => [user, ids.map((id) => shown.get(id)).filter((one) => one !== undefined)]),
  );
}

const ALWAYS = new Set(['schemas', 'id']);

function select(view: JsonObject, { only, without }: Selection, type: ResourceType): JsonObject {
  if (only !== undefined) {
    const kept = makeObject();
    for (const name of ALWAYS) kept[name] = view[name]!;
    for (const path of only) keepAt(kept, view, path, type);
    return kept;
  }
  for (const path of without ?? []) dropAt(view, path);
  return view;
}

function keepAt(kept: JsonObject, view: JsonObject, { schema, name, sub }: AttributePath, type: ResourceType): void {
  if (name === '' && schema === undefined) return void Object.assign(kept, withoutExtensions(view, type));
  const from = schema === undefined ? view : view[schema];
  if (!isObject(from)) return;
  if (schema !== undefined && name === '') {
    kept[schema] = from;
    return;
  }
  const value = from[name];
  if (value === undefined) return;
  let into = kept;
  if (schema !== undefined) kept[schema] = into = isObject(kept[schema]) ? kept[schema] : makeObject();
  into[name] = sub === undefined ? value : mergeSub(into[name], value, sub);
}

const withoutExtensions = (view: JsonObject, type: ResourceType): JsonObject =>
  Object.fromEntries(Object.entries(view).filter(([key]) => !/^urn:/i.test(key) || key === type.schema.id));

/** Of one value or of each of a list the part that was asked for, beside those that were before. */
function mergeSub(kept: Json | undefined, value: Json, sub: string): Json {
  const pick = (from: Json, into: Json | undefined): JsonObject => {
    const picked = isObject(into) ? into : makeObject();
    if (isObject(from) && from[sub] !== undefined) picked[sub] = from[sub];
    return picked;
  };
  if (!Array.isArray(value)) return pick(value, kept);
  return value.map((item, i) => pick(item, Array.isArray(kept) ? kept[i] : undefined));
}

function dropAt(view: JsonObject, { schema, name, sub }: AttributePath): void {
  if (schema === undefined && (name === '' || ALWAYS.has(name))) return;
  const from = schema === undefined ? view : view[schema];
  if (!isObject(from)) return;
  if (name === '') delete view[schema!];
  else if (sub === undefined) delete from[name];
  else for (const item of [from[name]].flat()) if (isObject(item)) delete item[sub];
}

/**
 * What `attributes` and `excludedAttributes` ask for. Names that nobody knows select nothing.
 * @throws KeelsonError `invalid_path`
 */
export function parseSelection(
  attributes: readonly string[],
  excluded: readonly string[],
  type: ResourceType,
): Selection {
  const parse = (names: readonly string[]): AttributePath[] => names.map((name) => parseAttributePath(name, type));
  if (attributes.length > 0) return { only: parse(attributes) };
  return excluded.length > 0 ? { without: parse(excluded) } : {};
}
