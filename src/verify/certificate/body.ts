/** Members of a record's body, as far as they are there. */
import type { EntryRef } from '../../protocol/certificate.js';
import type { AvroValue } from '../avro.js';
import type { Body } from '../record.js';

/** Empty where there is none. */
export function textOf(body: Body, member: string): string {
  const value = body[member];
  return typeof value === 'string' ? value : '';
}

/** Undefined where there is none, or none that is exact. */
export function numberOf(body: Body, member: string): number | undefined {
  const value = body[member];
  const number = typeof value === 'bigint' ? Number(value) : Number.NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Empty where there are none. */
export function bytesOf(body: Body, member: string): Uint8Array {
  const value = body[member];
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

/** The entry that `log` and `index` name. */
export function refOf(body: Body): EntryRef | undefined {
  const [log, index] = [textOf(body, 'log'), numberOf(body, 'index')];
  return log === '' || index === undefined ? undefined : { log, index };
}

export function objectOf(body: Body, member: string): Body | undefined {
  const value = body[member];
  return value !== undefined && isObject(value) ? value : undefined;
}

/** Empty where there are none. */
export function objectsOf(body: Body, member: string): readonly Body[] {
  const value = body[member];
  return Array.isArray(value) ? (value as readonly AvroValue[]).filter(isObject) : [];
}

const isObject = (value: AvroValue): value is Body =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
