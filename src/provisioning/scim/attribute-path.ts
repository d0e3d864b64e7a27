/** Paths to attributes (RFC 7644, section 3.10): `userName`, `name.givenName`, `urn:…:User:department`. */
import { KeelsonError } from '../../core/error.js';
import { isObject, type Json, type JsonObject } from '../../events/index.js';
import { coreAttributes, findAttribute, findExtension, type Attribute, type ResourceType } from './schema.js';

export interface AttributePath {
  /** URN of the extension it is in; none: the resource itself. */
  readonly schema?: string;
  /** As the schema writes it, where it is known. Empty: the whole extension. */
  readonly name: string;
  readonly sub?: string;
  readonly attribute?: Attribute;
  readonly subAttribute?: Attribute;
}

const NAME = /^[A-Za-z$][\w$-]{0,127}$/;
const MAX_LENGTH = 512;

/**
 * Reads a path without a filter. Names that the schemas know come back as they write them; others as they are.
 * @throws KeelsonError `invalid_path`
 */
export function parseAttributePath(text: string, type: ResourceType): AttributePath {
  if (text.length > MAX_LENGTH) throw invalidPath('a path is longer than 512 characters');
  if (!/^urn:/i.test(text)) return resolve(text, undefined, coreAttributes(type));
  if (text.toLowerCase() === type.schema.id.toLowerCase()) return { name: '' };
  const whole = findExtension(type, text);
  if (whole !== undefined) return { schema: whole.id, name: '' };
  const colon = text.lastIndexOf(':');
  const urn = text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (urn.toLowerCase() === type.schema.id.toLowerCase()) return resolve(rest, undefined, coreAttributes(type));
  const extension = findExtension(type, urn);
  // `…:2.0:User` names an extension that nobody described here; `…:2.0:User:tag` something in it.
  if (extension === undefined && !/:\d+\.\d+:[^:]+$/.test(urn)) return { schema: text, name: '' };
  return resolve(rest, extension?.id ?? urn, extension?.attributes);
}

function resolve(text: string, schema: string | undefined, known: readonly Attribute[] | undefined): AttributePath {
  const [first = '', second, ...more] = text.split('.');
  if (!NAME.test(first) || (second !== undefined && !NAME.test(second)) || more.length > 0) {
    throw invalidPath(`${JSON.stringify(text.slice(0, 80))} is no attribute’s path`);
  }
  const attribute = findAttribute(known, first);
  const subAttribute = second === undefined ? undefined : findAttribute(attribute?.subAttributes, second);
  const sub = subAttribute?.name ?? second;
  return {
    ...(schema === undefined ? {} : { schema }),
    name: attribute?.name ?? first,
    ...(sub === undefined ? {} : { sub }),
    ...(attribute === undefined ? {} : { attribute }),
    ...(subAttribute === undefined ? {} : { subAttribute }),
  };
}

/** Every single value at a path: lists are taken apart, and of what has parts and is asked for as a whole `value` counts. */
export function readValues(resource: JsonObject, { schema, name, sub }: AttributePath): Json[] {
  const container = schema === undefined ? resource : resource[keyIn(resource, schema)];
  if (!isObject(container)) return [];
  const found = container[keyIn(container, name)];
  const items = Array.isArray(found) ? found : found === undefined ? [] : [found];
  return items.flatMap((item): Json[] => {
    if (!isObject(item)) return sub === undefined ? [item] : [];
    const value = item[keyIn(item, sub ?? 'value')];
    return value === undefined ? [] : [value];
  });
}

/** The member of an object that has this name in whatever case; the name itself where there is none. */
export function keyIn(object: JsonObject, name: string): string {
  if (object[name] !== undefined) return name;
  const lower = name.toLowerCase();
  return Object.keys(object).find((key) => key.toLowerCase() === lower) ?? name;
}

export const invalidPath = (message: string): KeelsonError => new KeelsonError('invalid_path', message);
