/** The JSON that a certificate is made of: how it is written, and how each kind of member is read, strictly. `at` is a JSON pointer. */
import { parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';

export type Json = string | number | readonly Json[] | { readonly [member: string]: Json };
export type Members = Readonly<Record<string, unknown>>;

/**
 * RFC 8785 of what a certificate is made of: no fractions, no null, no lone surrogates.
 * @throws KeelsonError `malformed_certificate`, as all that follow.
 */
export function canonical(value: Json): string {
  if (typeof value === 'string') {
    if (/[\ud800-\udfff]/u.test(value)) malformed('', 'a lone surrogate');
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0)) malformed('', `the number ${value}`);
    return String(value);
  }
  if (isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`).join(',')}}`;
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

/** @param required null: whatever is in it. */
export function object(
  value: unknown,
  at: string,
  required: readonly string[] | null,
  optional: readonly string[] = [],
): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) malformed(at, 'expected an object');
  if (required !== null) {
    for (const name of required) if (!Object.hasOwn(value, name)) malformed(`${at}/${name}`, 'is not there');
    for (const name of Object.keys(value)) {
      if (!required.includes(name) && !optional.includes(name)) malformed(`${at}/${name}`, 'is not known');
    }
  }
  return value as Members;
}

export function list<T>(value: unknown, at: string, read: (item: unknown, at: string) => T): T[] {
  if (!Array.isArray(value)) malformed(at, 'expected an array');
  return value.map((item: unknown, i) => read(item, `${at}/${i}`));
}

export function text(value: unknown, at: string): string {
  return typeof value === 'string' ? value : malformed(at, 'expected a string');
}

export function count(value: unknown, at: string): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : malformed(at, 'expected a number from 0');
}

export function hex(value: unknown, at: string): string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) ? value : malformed(at, 'expected 32 digits of hex');
}

export function time(value: unknown, at: string): string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$/.test(value)
    ? value
    : malformed(at, 'expected a time in UTC');
}

export function base64(value: unknown, at: string, length?: number): Uint8Array {
  const bytes = typeof value === 'string' ? parseBase64(value) : undefined;
  if (bytes === undefined || (length !== undefined && bytes.length !== length)) malformed(at, 'expected base64');
  return bytes;
}

export function malformed(pointer: string, message: string): never {
  throw new KeelsonError('malformed_certificate', `not a certificate: ${pointer || 'it'}: ${message}`, { pointer });
}
