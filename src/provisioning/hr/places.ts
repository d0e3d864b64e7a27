/** Where things stand in what an HR system sends: JSON pointers into a person's item, or with `#` into the whole body. */
import { isObject, parsePointer, type Json } from '../../events/index.js';

/** An item of a body. */
export interface Item {
  readonly body: Json;
  readonly item: Json;
  /** Of the item, in the body. */
  readonly pointer: string;
}

export interface Found {
  readonly value: Json;
  /** In the body. */
  readonly pointer: string;
}

/** The first of these places where there is something; null and empty text are nothing, and so is `0000-00-00`. */
export function findFirst(at: string | readonly string[], { body, item, pointer }: Item): Found | undefined {
  for (const place of typeof at === 'string' ? [at] : at) {
    const isWhole = place.startsWith('#');
    const path = isWhole ? place.slice(1) : place;
    const value = resolve(isWhole ? body : item, path);
    if (value === undefined || value === null || value === '' || value === '0000-00-00') continue;
    return { value, pointer: isWhole ? path : pointer + path };
  }
  return undefined;
}

/** RFC 6901; own members and elements that are there, nothing else. */
export function resolve(document: Json, pointer: string): Json | undefined {
  let value: Json | undefined = document;
  for (const token of parsePointer(pointer)) {
    if (Array.isArray(value)) value = /^(0|[1-9]\d{0,8})$/.test(token) ? value[Number(token)] : undefined;
    else value = isObject(value) && Object.hasOwn(value, token) ? value[token] : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}
