/** What a decoded body says under a name, where it is of the kind that is asked for. Pure. */
import type { Body } from '../events/index.js';

/** A member of a body that is text. */
export function textOf(body: Body, name: string): string | undefined {
  const value = body[name];
  return typeof value === 'string' ? value : undefined;
}

/** A member that is a list of texts; else empty. */
export function textsOf(body: Body, name: string): string[] {
  const value = body[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}

/** A member that is a 64-bit integer, as a number. */
export function numberOf(body: Body, name: string): number | undefined {
  const value = body[name];
  return typeof value === 'bigint' ? Number(value) : undefined;
}

/** A member that is an object. */
export function objectOf(body: Body, name: string): Body | undefined {
  const value = body[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
    ? value
    : undefined;
}

/** A member that is a list of objects; else empty. */
export function objectsOf(body: Body, name: string): Body[] {
  const value = body[name];
  if (!Array.isArray(value)) return [];
  return value.filter(
    (item): item is Body => typeof item === 'object' && item !== null && !Array.isArray(item) && !Buffer.isBuffer(item),
  );
}
