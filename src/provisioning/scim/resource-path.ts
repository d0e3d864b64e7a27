/** Paths into a resource that may choose among a list’s elements: `emails[type eq "work"].value` (RFC 7644, figure 7). */
import { isObject, makeObject, type Json, type JsonObject } from '../../events/index.js';
import { invalidPath, parseAttributePath, readValues, type AttributePath } from './attribute-path.js';
import { matches, parseFilter, type Filter } from './filter.js';
import type { ResourceType } from './schema.js';

export interface ResourcePath extends AttributePath {
  readonly filter?: Filter;
}

/**
 * `attribute`, `attribute.sub`, `attribute[filter]`, `attribute[filter].sub`, each perhaps behind a URN.
 * @throws KeelsonError `invalid_path`, `invalid_filter`; only an extension that nobody described may hold what is not known.
 */
export function parseResourcePath(text: string, type: ResourceType): ResourcePath {
  const open = text.indexOf('[');
  const path = open < 0 ? parseAttributePath(text, type) : parseFiltered(text, open, type);
  if (path.name === '' || path.schema !== undefined) return path;
  if (path.attribute === undefined) throw invalidPath(`there is no attribute ${path.name}`);
  if (path.sub !== undefined && path.subAttribute === undefined) {
    throw invalidPath(`${path.attribute.name} has no ${path.sub}`);
  }
  return path;
}

function parseFiltered(text: string, open: number, type: ResourceType): ResourcePath {
  const close = text.lastIndexOf(']');
  const rest = text.slice(close + 1);
  if (close < open || (rest !== '' && !rest.startsWith('.'))) throw invalidPath('brackets that do not close');
  const path = parseAttributePath(text.slice(0, open) + rest, type);
  if (path.attribute === undefined) throw invalidPath(`there is no attribute ${path.name}`);
  return { ...path, filter: parseFilter(text.slice(open + 1, close), type, path.attribute) };
}

/** Every value at a path. */
export function readAt(resource: JsonObject, { filter, ...path }: ResourcePath): Json[] {
  if (filter === undefined) return readValues(resource, path);
  const container = path.schema === undefined ? resource : resource[path.schema];
  const list = isObject(container) ? container[path.name] : undefined;
  const elements = (Array.isArray(list) ? list : []).filter(isObject).filter((element) => matches(filter, element));
  const { name, sub } = path;
  return readValues(Object.assign(makeObject(), { [name]: elements }), sub === undefined ? { name } : { name, sub });
}
