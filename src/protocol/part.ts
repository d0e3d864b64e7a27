/**
 * What a record of `revocation.*` says to the table: who decided (the term), and what changes for which keys. The rest of such a
 * record is for people. Schema: schemas/revocation.v1.avsc.
 */
import { equalBytes, formatBase64, parseBase64 } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import { KEY_BYTES } from './keys.js';

/** Keys in one part, at most. */
export const MAX_PART_KEYS = 3000;

export type Change =
  /** The order joins the open orders of the keys. */
  | { readonly change: 'block'; readonly order: string; readonly keys: Uint8Array }
  /** The order leaves them, and what was issued up to `atUs` stays refused. */
  | { readonly change: 'lift'; readonly order: string; readonly atUs: number; readonly keys: Uint8Array }
  /** What was issued up to `atUs` is refused. */
  | { readonly change: 'cutoff'; readonly atUs: number; readonly keys: Uint8Array }
  /** The keys are forgotten. */
  | { readonly change: 'expire'; readonly keys: Uint8Array };

/** `keys` are 16 bytes each, one behind the other; times are microseconds since 1970 UTC. */
export interface Part {
  readonly term: bigint;
  /** In order. Undefined: the record is no part, it moves nothing. */
  readonly changes: readonly Change[] | undefined;
}

/** A change as a member of an event's JSON. */
export interface ChangeJson {
  change: Change['change'];
  order?: string;
  /** RFC 3339. */
  at?: string;
  /** Base64. */
  keys: string;
}

/** The types whose records are parts. */
const PARTS = new Set(['revocation.ordered', 'revocation.extended', 'revocation.lifted', 'revocation.expired']);
const ORDER = /^[0-9a-f]{32}$/;
const MAX_INT64 = (1n << 63n) - 1n;

/**
 * Reads the body of a record of `revocation.*`. The pair of `formatChanges`.
 * @param body as `decodeRecord` gives it; keys may also be base64, times numbers.
 * @throws KeelsonError `malformed_part`, with the pointer: no term, an unknown change, keys that are not 16 bytes each or more than
 *   3,000 in all, a block or lift without its order, a lift or cutoff without its time, a time for any other change.
 */
export function parsePart(type: string, body: Readonly<Record<string, unknown>>): Part {
  const term = readLong(body.term);
  if (term === undefined || term < 0n) malformed('/term', 'expected an integer from 0');
  if (!PARTS.has(type)) return { term, changes: undefined };
  const items = body.changes ?? [];
  if (!Array.isArray(items)) malformed('/changes', 'expected an array');
  const changes = items.map((item: unknown, i) => parseChange(item, body.order, `/changes/${i}`));
  checkCount(changes);
  return { term, changes };
}

/**
 * Changes as they stand in an event's JSON. The pair of `parsePart`.
 * @throws KeelsonError `malformed_part`: what `parsePart` would not take.
 */
export function formatChanges(changes: readonly Change[]): ChangeJson[] {
  checkCount(changes);
  return changes.map((one, i) => {
    const json: ChangeJson = { change: one.change, keys: formatBase64(one.keys) };
    if ('order' in one) json.order = one.order;
    if ('atUs' in one) json.at = formatTime(one.atUs, `/changes/${i}/at`);
    const back = parseChange({ ...json, at: 'atUs' in one ? one.atUs : null }, undefined, `/changes/${i}`);
    if (!equalBytes(back.keys, one.keys)) throw new Error('a change that does not read as it was written');
    return json;
  });
}

function parseChange(item: unknown, partOrder: unknown, pointer: string): Change {
  if (typeof item !== 'object' || item === null) malformed(pointer, 'expected an object');
  const json = item as Readonly<Record<string, unknown>>;
  const keys = parseKeys(json.keys, `${pointer}/keys`);
  const order = (): string => {
    const name = json.order ?? partOrder;
    if (typeof name !== 'string' || !ORDER.test(name)) malformed(`${pointer}/order`, 'expected 32 digits of hex');
    return name;
  };
  const atUs = (): number => {
    const at = readLong(json.at);
    if (at === undefined || !Number.isSafeInteger(Number(at))) malformed(`${pointer}/at`, 'expected a time');
    return Number(at);
  };
  const noTime = (): void => {
    if ((json.at ?? null) !== null) malformed(`${pointer}/at`, `not a member of ${String(json.change)}`);
  };
  switch (json.change) {
    case 'block':
      noTime();
      return { change: 'block', order: order(), keys };
    case 'lift':
      return { change: 'lift', order: order(), atUs: atUs(), keys };
    case 'cutoff':
      return { change: 'cutoff', atUs: atUs(), keys };
    case 'expire':
      noTime();
      return { change: 'expire', keys };
    default:
      return malformed(`${pointer}/change`, 'expected block, lift, cutoff or expire');
  }
}

function parseKeys(value: unknown, pointer: string): Uint8Array {
  const bytes = typeof value === 'string' ? parseBase64(value) : value;
  if (!(bytes instanceof Uint8Array) || bytes.length % KEY_BYTES !== 0) {
    malformed(pointer, `expected keys of ${KEY_BYTES} bytes, base64`);
  }
  return bytes;
}

function checkCount(changes: readonly Change[]): void {
  const keys = changes.reduce((sum, { keys }) => sum + keys.length / KEY_BYTES, 0);
  if (keys > MAX_PART_KEYS) malformed('/changes', `${keys} keys; a part holds at most ${MAX_PART_KEYS}`);
}

function readLong(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value <= MAX_INT64 ? value : undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : undefined;
}

/** RFC 3339, with all six digits of the microseconds where any is needed. */
function formatTime(us: number, pointer: string): string {
  const micros = ((us % 1e6) + 1e6) % 1e6;
  const date = new Date((us - micros) / 1000);
  if (Number.isNaN(date.getTime())) malformed(pointer, 'expected a time');
  const whole = date.toISOString().slice(0, -5);
  const digits = String(micros).padStart(6, '0');
  return micros === 0 ? `${whole}Z` : `${whole}.${digits.endsWith('000') ? digits.slice(0, 3) : digits}Z`;
}

function malformed(pointer: string, message: string): never {
  throw new KeelsonError('malformed_part', message, { pointer });
}
