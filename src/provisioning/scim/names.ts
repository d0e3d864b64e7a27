/**
 * Names by which clients look resources up. They are personal, so only their HMAC-SHA-256 is stored, in a row that goes with the
 * subject when it is erased. A person of its own for each (a pseudonym) would be erased by itself, and would stand in the graph as
 * an account that nobody has.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import type { JsonObject } from '../../events/index.js';
import { foldCase } from './filter.js';
import { coreAttributes, findAttribute, RESOURCE_TYPES, type Kind } from './schema.js';

/** By kind, what can be looked up. */
export const NAMES: Readonly<Record<Kind, readonly string[]>> = {
  User: ['userName', 'externalId'],
  Group: ['displayName', 'externalId'],
};

export type NameDigest = (source: string, kind: Kind, attribute: string, value: string) => Buffer;

/** Same digest, same name: without case where the schema says so. */
export function makeNameDigest(key: KeyObject): NameDigest {
  return (source, kind, attribute, value) => {
    const exact = findAttribute(coreAttributes(RESOURCE_TYPES[kind]), attribute)?.caseExact === true;
    const mac = createHmac('sha256', key);
    for (const part of [source, kind, attribute, exact ? value : foldCase(value)]) {
      const bytes = Buffer.from(part);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      mac.update(length).update(bytes);
    }
    return mac.digest();
  };
}

/** The names that a resource has. */
export function namesOf(kind: Kind, resource: JsonObject): { attribute: string; value: string }[] {
  return NAMES[kind].flatMap((attribute) => {
    const value = resource[attribute];
    return typeof value === 'string' && value !== '' ? [{ attribute, value }] : [];
  });
}
