/** What clients send, in the one form that is kept: names as the schemas write them, values of their types (formats of Okta and Entra). */
import { KeelsonError } from '../../core/error.js';
import { isObject, makeObject, type Json, type JsonObject } from '../../events/index.js';
import { coreAttributes, findAttribute, findExtension, type Attribute, type ResourceType } from './schema.js';

const MAX_VALUES = 1_000;
const MAX_TEXT = 16_384;

/**
 * A resource as it is kept, without what the server itself gives it (id, meta, groups), without a password, and without members, which
 * are kept apart. Unknown members of the resource itself are left out (RFC 7644, section 3.3); of unknown extensions all is kept.
 * @throws KeelsonError `invalid_value`
 */
export function normalizeResource(body: JsonObject, type: ResourceType): JsonObject {
  const resource = makeObject();
  for (const [key, value] of Object.entries(body)) {
    if (/^urn:/i.test(key)) {
      const extension = findExtension(type, key);
      if (!isObject(value)) throw invalidValue(`${key.slice(0, 120)} is an object`);
      const kept = normalizeMembers(value, extension?.attributes);
      if (Object.keys(kept).length > 0) resource[extension?.id ?? key] = kept;
      continue;
    }
    const attribute = findAttribute(coreAttributes(type), key);
    if (attribute === undefined || !isKept(attribute)) continue;
    const normal = normalizeValue(attribute, value);
    if (normal !== undefined) resource[attribute.name] = normal;
  }
  return resource;
}

/** Whether a client's value of it is kept with the resource. */
export const isKept = ({ name, mutability }: Attribute): boolean =>
  mutability !== 'readOnly' && mutability !== 'writeOnly' && name !== 'members';

/** @throws KeelsonError `invalid_value` where something is missing that every resource of its type has. */
export function requireComplete(resource: JsonObject, type: ResourceType): void {
  for (const { name, required } of coreAttributes(type)) {
    if (required && (typeof resource[name] !== 'string' || resource[name].trim() === '')) {
      throw invalidValue(`${name} is required`);
    }
  }
}

function normalizeMembers(object: JsonObject, known: readonly Attribute[] | undefined): JsonObject {
  const kept = makeObject();
  for (const [key, value] of Object.entries(object)) {
    const attribute = findAttribute(known, key);
    if (known === undefined) {
      if (value !== null) kept[key] = value;
    } else if (attribute !== undefined) {
      const normal = attribute.mutability === 'readOnly' ? undefined : normalizeValue(attribute, value);
      if (normal !== undefined) kept[attribute.name] = normal;
    }
  }
  return kept;
}

/**
 * A value of an attribute; undefined: none.
 * @throws KeelsonError `invalid_value`
 */
export function normalizeValue(attribute: Attribute, value: Json): Json | undefined {
  if (value === null) return undefined;
  if (!attribute.multiValued) return normalizeSingle(attribute, value);
  const items = Array.isArray(value) ? value : [value];
  if (items.length > MAX_VALUES) throw invalidValue(`${attribute.name} has more than ${MAX_VALUES} values`);
  const normal = items.flatMap((item) => normalizeSingle(attribute, item) ?? []);
  if (normal.filter((item) => isObject(item) && item.primary === true).length > 1) {
    throw invalidValue(`${attribute.name} has more than one primary value`);
  }
  return normal.length === 0 ? undefined : normal;
}

/** One value, of an element where the attribute has many. */
export function normalizeSingle(attribute: Attribute, value: Json): Json | undefined {
  // Some clients wrap a single value: [{"value":"False"}].
  if (Array.isArray(value) && value.length === 1) return normalizeSingle(attribute, value[0]!);
  if (value === null) return undefined;
  if (attribute.type === 'complex') return normalizeComplex(attribute, value);
  if (isObject(value) && Object.keys(value).length === 1 && value.value !== undefined) {
    return normalizeSingle(attribute, value.value);
  }
  if (attribute.type === 'boolean') return readBoolean(attribute, value);
  if (attribute.type === 'integer') {
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    throw invalidValue(`${attribute.name} is a whole number`);
  }
  if (typeof value !== 'string') throw invalidValue(`${attribute.name} is a text`);
  if (value.length > MAX_TEXT) throw invalidValue(`${attribute.name} is longer than ${MAX_TEXT} characters`);
  return value;
}

function normalizeComplex(attribute: Attribute, value: Json): Json | undefined {
  // Entra sends a manager, and some clients an e-mail address, as its bare value.
  if (typeof value === 'string') {
    const sub = findAttribute(attribute.subAttributes, 'value');
    if (sub === undefined) throw invalidValue(`${attribute.name} is an object`);
    if (value === '') return undefined;
    return Object.assign(makeObject(), { value: normalizeSingle(sub, value)! });
  }
  if (!isObject(value)) throw invalidValue(`${attribute.name} is an object`);
  const kept = normalizeMembers(value, attribute.subAttributes);
  return Object.keys(kept).length === 0 ? undefined : kept;
}

/** Entra sends "True" and "False". */
function readBoolean(attribute: Attribute, value: Json): boolean {
  if (typeof value === 'boolean') return value;
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  if (word === 'true' || word === 'false') return word === 'true';
  throw invalidValue(`${attribute.name} is true or false`);
}

const MAX_MEMBERS = 100_000;

/**
 * The ids of a group's members, as a client lists them.
 * @throws KeelsonError `invalid_value`, `too_large`
 */
export function readMembers(value: Json | undefined): string[] {
  if (value === null || value === undefined) return [];
  const items = Array.isArray(value) ? value : [value];
  if (items.length > MAX_MEMBERS) throw new KeelsonError('too_large', `more than ${MAX_MEMBERS} members`);
  return items.map((item) => {
    const id = isObject(item) ? (item.value ?? item.Value) : item;
    if (typeof id !== 'string' || id === '' || id.length > 200) throw invalidValue('a member is named by its id');
    if (isObject(item) && typeof item.type === 'string' && item.type.toLowerCase() === 'group') {
      throw invalidValue('a member is a user: groups in groups are not kept, provision the users they come to');
    }
    return id;
  });
}

export const invalidValue = (message: string): KeelsonError => new KeelsonError('invalid_value', message);
