/** What makes two events the same: (producer, source, id). */
import { KeelsonError } from '../core/error.js';
import type { Json } from '../events/json.js';

const MAX_ID = 512;

/** @throws KeelsonError `invalid_event` unless this is a string of 1 to 512 characters. */
export function checkId(id: Json, pointer = '/id'): string {
  if (typeof id === 'string' && id.length >= 1 && id.length <= MAX_ID) return id;
  throw new KeelsonError('invalid_event', `an id is a string of 1 to ${MAX_ID} characters`, { pointer });
}
