/** PATCH (RFC 7644, section 3.5.2), in every shape that Okta and Entra are known to send. */
import { KeelsonError } from '../../core/error.js';
import { canonicalJson, isObject, makeObject, type Json, type JsonObject } from '../../events/index.js';
import { invalidPath, keyIn, parseAttributePath } from './attribute-path.js';
import { conjuncts, matches, sizeOf, type Filter } from './filter.js';
import { parseResourcePath, type ResourcePath } from './resource-path.js';
import { invalidValue, isKept, normalizeSingle, normalizeValue, readMembers } from './resource.js';
import type { Attribute, ResourceType } from './schema.js';

/** A resource while it is changed: in place. */
export interface Draft {
  readonly resource: JsonObject;
  /** Ids, where it is a group. */
  readonly members: Set<string>;
  readonly budget: Budget;
}

/** Elements of lists that one PATCH may look at, all operations together: what is beyond would keep everybody else waiting. */
const MAX_WORK = 250_000;

/** Counts down what a change may cost. */
export class Budget {
  #left = MAX_WORK;

  /** @throws KeelsonError `too_large` */
  spend(elements: number): void {
    this.#left -= elements;
    if (this.#left < 0) {
      throw new KeelsonError(
        'too_large',
        `the operations look at more than ${MAX_WORK} elements: send them in several requests`,
      );
    }
  }
}

type Verb = 'add' | 'replace' | 'remove';

const MAX_OPERATIONS = 1_000;

/**
 * Does what a PatchOp says, in order.
 * @throws KeelsonError `invalid_request`, `invalid_path`, `invalid_value`, `invalid_filter`, `no_target`, `immutable`, `too_large`: then
 *   the draft is to be dropped, nothing of it counts.
 */
export function applyPatch(draft: Draft, body: JsonObject, type: ResourceType): void {
  const operations = body[keyIn(body, 'Operations')];
  if (!Array.isArray(operations) || operations.length === 0) throw malformed('a PatchOp has a list of Operations');
  if (operations.length > MAX_OPERATIONS) {
    throw new KeelsonError('too_large', `more than ${MAX_OPERATIONS} operations`, { pointer: '/Operations' });
  }
  for (const [i, operation] of operations.entries()) {
    try {
      applyOperation(draft, operation, type);
    } catch (error) {
      if (!(error instanceof KeelsonError)) throw error;
      throw new KeelsonError(error.code, `operation ${i + 1}: ${error.message}`, { pointer: `/Operations/${i}` });
    }
  }
}

function applyOperation(draft: Draft, operation: Json, type: ResourceType): void {
  if (!isObject(operation)) throw malformed('an operation is an object');
  const op = operation[keyIn(operation, 'op')];
  const verb = typeof op === 'string' ? op.toLowerCase() : '';
  if (verb !== 'add' && verb !== 'replace' && verb !== 'remove') throw malformed('op is add, replace or remove');
  const path = operation[keyIn(operation, 'path')];
  const value = operation[keyIn(operation, 'value')];
  if (verb !== 'remove' && value === undefined) throw invalidValue('a value is missing');
  if (path === undefined || path === null || path === '') {
    if (verb === 'remove') throw new KeelsonError('no_target', 'a remove says what, in its path');
    return applyObject(draft, verb, value, undefined, type);
  }
  if (typeof path !== 'string') throw invalidPath('a path is a text');
  applyAt(draft, verb, parseResourcePath(path, type), value, type);
}

/** Members of a value without a path are paths themselves: Entra writes `name.givenName` and `urn:…:User:department` there. */
function applyObject(
  draft: Draft,
  verb: Verb,
  value: Json | undefined,
  within: string | undefined,
  type: ResourceType,
): void {
  if (!isObject(value)) throw invalidValue('without a path the value is an object');
  for (const [key, member] of Object.entries(value)) {
    if (within === undefined && /^(schemas|meta|id)$/i.test(key)) continue;
    // As in a PUT, what is not known here is left out: it has no path of its own that would be wrong.
    const path = key.includes('[')
      ? parseResourcePath(key, type)
      : parseAttributePath(within === undefined ? key : `${within}:${key}`, type);
    if (path.attribute === undefined && path.schema === undefined && path.name !== '') continue;
    if (path.attribute?.mutability === 'readOnly') continue;
    applyAt(draft, verb, path, member, type);
  }
}

function applyAt(draft: Draft, verb: Verb, path: ResourcePath, value: Json | undefined, type: ResourceType): void {
  if (path.name === '') {
    if (verb !== 'remove') return applyObject(draft, verb, value, path.schema, type);
    if (path.schema === undefined) throw new KeelsonError('no_target', 'a resource is removed by DELETE');
    delete draft.resource[keyIn(draft.resource, path.schema)];
    return;
  }
  const { attribute } = path;
  if (attribute === undefined) {
    if (path.schema === undefined) throw invalidPath(`there is no attribute ${path.name}`);
    return setOpen(containerOf(draft.resource, path.schema), verb, path, value);
  }
  if (attribute.mutability === 'readOnly' || path.subAttribute?.mutability === 'readOnly') {
    throw new KeelsonError('immutable', `${attribute.name} is not changed here`);
  }
  if (path.sub !== undefined && path.subAttribute === undefined) {
    throw invalidPath(`${attribute.name} has no ${path.sub}`);
  }
  if (attribute.name === 'members' && type.kind === 'Group') return applyMembers(draft, verb, path, value);
  if (!isKept(attribute)) return;
  if (attribute.name === 'active' && (verb === 'remove' || value === null)) {
    // Who is no longer said to be active is not: a null tells it from what was never said.
    draft.resource.active = null;
    return;
  }
  const container = containerOf(draft.resource, path.schema);
  if (attribute.multiValued) applyList(container, verb, attribute, path, value, draft.budget);
  else applySingle(container, verb, attribute, path, value);
  if (path.schema !== undefined && Object.keys(container).length === 0) delete draft.resource[path.schema];
}

function containerOf(resource: JsonObject, schema: string | undefined): JsonObject {
  if (schema === undefined) return resource;
  const key = keyIn(resource, schema);
  const found = resource[key];
  if (isObject(found)) return found;
  const made = makeObject();
  resource[key] = made;
  return made;
}

/** Something in an extension that nobody described here. */
function setOpen(container: JsonObject, verb: Verb, { name, sub }: ResourcePath, value: Json | undefined): void {
  const key = keyIn(container, name);
  if (sub === undefined) {
    if (verb === 'remove' || value === null) delete container[key];
    else container[key] = value!;
    return;
  }
  const found = container[key];
  const object = isObject(found) ? found : makeObject();
  container[key] = object;
  setOpen(object, verb, { name: sub }, value);
}

function applySingle(
  container: JsonObject,
  verb: Verb,
  attribute: Attribute,
  { sub, subAttribute, filter }: ResourcePath,
  value: Json | undefined,
): void {
  if (filter !== undefined) throw invalidPath(`${attribute.name} is no list`);
  const { name } = attribute;
  const found = container[name];
  if (sub !== undefined) {
    const object = isObject(found) ? found : makeObject();
    container[name] = object;
    setSub(object, verb, subAttribute!, value);
    if (Object.keys(object).length === 0) delete container[name];
    return;
  }
  const normal = verb === 'remove' ? undefined : normalizeValue(attribute, value!);
  if (normal === undefined) delete container[name];
  else if (isObject(normal) && isObject(found)) Object.assign(found, normal);
  else container[name] = normal;
}

function setSub(object: JsonObject, verb: Verb, attribute: Attribute, value: Json | undefined): void {
  const normal = verb === 'remove' ? undefined : normalizeSingle(attribute, value!);
  if (normal === undefined) delete object[attribute.name];
  else object[attribute.name] = normal;
}

function applyList(
  container: JsonObject,
  verb: Verb,
  attribute: Attribute,
  path: ResourcePath,
  value: Json | undefined,
  budget: Budget,
): void {
  const found = container[attribute.name];
  let items = (Array.isArray(found) ? found : []).filter(isObject);
  budget.spend(items.length * (1 + sizeOf(path.filter)));
  if (path.filter !== undefined || path.sub !== undefined) {
    items = applyToElements(items, verb, attribute, path, value);
  } else if (verb === 'remove') {
    items = value === undefined || value === null ? [] : without(items, normalizeValue(attribute, value));
  } else {
    const given = (normalizeValue(attribute, value!) ?? []) as JsonObject[];
    budget.spend(given.length);
    const there = new Set(verb === 'add' ? items.map(canonicalJson) : []);
    const fresh = given.filter((item) => !there.has(canonicalJson(item)));
    items = keepPrimary(verb === 'add' ? [...items, ...fresh] : [...given], fresh);
  }
  if (items.length === 0) delete container[attribute.name];
  else container[attribute.name] = normalizeValue(attribute, items)!;
}

/** A removal that lists what to remove. */
function without(items: readonly JsonObject[], listed: Json | undefined): JsonObject[] {
  const gone = (Array.isArray(listed) ? listed : []).filter(isObject);
  const values = new Set(gone.flatMap(({ value }) => (value === undefined ? [] : [value])));
  const wholes = new Set(gone.filter(({ value }) => value === undefined).map(canonicalJson));
  return items.filter((item) => !(values.has(item.value!) || wholes.has(canonicalJson(item))));
}

function applyToElements(
  items: JsonObject[],
  verb: Verb,
  attribute: Attribute,
  { filter, subAttribute }: ResourcePath,
  value: Json | undefined,
): JsonObject[] {
  const matched = new Set(filter === undefined ? items : items.filter((item) => matches(filter, item)));
  if (verb === 'remove') {
    if (subAttribute === undefined) return items.filter((item) => !matched.has(item));
    for (const item of matched) setSub(item, verb, subAttribute, undefined);
    return items.filter((item) => Object.keys(item).length > 0);
  }
  if (matched.size === 0) {
    // Entra replaces emails[type eq "work"].value where there is none yet.
    const made = makeElement(filter, attribute);
    items = [...items, made];
    matched.add(made);
  }
  for (const item of matched) {
    if (subAttribute !== undefined) setSub(item, verb, subAttribute, value);
    else replaceElement(item, verb, normalizeSingle(attribute, value!));
  }
  return keepPrimary(items, [...matched]);
}

function replaceElement(item: JsonObject, verb: Verb, normal: Json | undefined): void {
  if (!isObject(normal)) throw invalidValue('an element of this list is an object');
  if (verb === 'replace') for (const key of Object.keys(item)) delete item[key];
  Object.assign(item, normal);
}

/** The element that a filter of equalities describes. */
function makeElement(filter: Filter | undefined, attribute: Attribute): JsonObject {
  const element = makeObject();
  for (const term of filter === undefined ? [] : conjuncts(filter)) {
    if (term.op !== 'eq' || term.value === null || term.path.attribute === undefined) {
      throw new KeelsonError('no_target', `nothing in ${attribute.name} matches`);
    }
    const { name } = term.path.attribute;
    element[name] = normalizeSingle(term.path.attribute, term.value)!;
  }
  return element;
}

/** The newest primary value is the only one. */
function keepPrimary(items: JsonObject[], changed: readonly JsonObject[]): JsonObject[] {
  if (!changed.some(({ primary }) => primary === true)) return items;
  const kept = new Set(changed);
  for (const item of items) if (item.primary === true && !kept.has(item)) item.primary = false;
  return items;
}

function applyMembers(
  { members, budget }: Draft,
  verb: Verb,
  { filter, sub }: ResourcePath,
  value: Json | undefined,
): void {
  if (filter !== undefined) {
    if (verb !== 'remove' || sub !== undefined) throw invalidPath('members are added by their id, and removed');
    if (filter.op === 'eq' && filter.path.name === 'value' && typeof filter.value === 'string') {
      // Ids are given here, in lower case.
      members.delete(filter.value.toLowerCase());
      return;
    }
    budget.spend(members.size * sizeOf(filter));
    for (const id of members) {
      if (matches(filter, Object.assign(makeObject(), { value: id }))) members.delete(id);
    }
    return;
  }
  const ids = readMembers(value);
  if (verb === 'remove') {
    if (value === undefined || value === null) members.clear();
    for (const id of ids) members.delete(id);
    return;
  }
  if (verb === 'replace') members.clear();
  for (const id of ids) members.add(id);
}

const malformed = (message: string): KeelsonError => new KeelsonError('invalid_request', message);

/** A draft of a resource as it is now. */
export const copyDraft = (resource: JsonObject, members: Iterable<string>): Draft => ({
  resource: copy(resource) as JsonObject,
  members: new Set(members),
  budget: new Budget(),
});

function copy(value: Json): Json {
  if (Array.isArray(value)) return value.map(copy);
  if (!isObject(value)) return value;
  return Object.assign(makeObject(), Object.fromEntries(Object.entries(value).map(([key, one]) => [key, copy(one)])));
}
