import { KeelsonError } from '../core/error.js';

/** Where an item of a body stands: bytes `[from, to)`, without the white space around it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface SplitBody {
  /** Whether the body was an array; otherwise it is its only item. */
  readonly array: boolean;
  readonly items: readonly Span[];
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Cuts a body, one JSON object or an array, into its items, without looking at what is inside them: each is parsed by itself
 * (`parseJson`), so that a bad one does not fail its neighbours. Strings and brackets are followed exactly; what only an item's
 * own parser can tell (bad UTF-8, `[}`, a bare word) is left to it.
 *
 * @throws KeelsonError `malformed_json`: not an object or array, or not splittable (an open string, brackets that do not add
 *   up, an empty place between commas); `too_many_items`.
 */
export function splitItems(bytes: Uint8Array, maxItems: number): SplitBody {
  let start = 0;
  let end = bytes.length;
  while (isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  if (bytes[start] === OPEN_OBJECT) return { array: false, items: [{ from: start, to: end }] };
  if (bytes[start] !== OPEN_ARRAY)
    throw new KeelsonError('malformed_json', 'expected an object or an array of objects');
  return { array: true, items: splitArray(bytes, start, end, maxItems) };
}

function splitArray(bytes: Uint8Array, start: number, end: number, maxItems: number): Span[] {
  const items: Span[] = [];
  const push = (from: number, to: number): void => {
    while (isSpace(bytes[from])) from++;
    while (to > from && isSpace(bytes[to - 1])) to--;
    if (to <= from) throw new KeelsonError('malformed_json', `an empty place in the array, at byte ${from}`);
    if (items.length === maxItems) throw new KeelsonError('too_many_items', `more than ${maxItems} items`);
    items.push({ from, to });
  };
  let depth = 1;
  let from = start + 1;
  for (let i = from; i < end; i++) {
    switch (bytes[i]) {
      case QUOTE:
        i = skipString(bytes, i, end);
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        depth++;
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        if (--depth > 0) break;
        if (bytes[i] !== CLOSE_ARRAY || i !== end - 1) {
          throw new KeelsonError('malformed_json', `the array does not end where the body does, at byte ${i}`);
        }
        if (items.length > 0 || !isBlank(bytes, from, i)) push(from, i);
        return items;
      case COMMA:
        if (depth > 1) break;
        push(from, i);
        from = i + 1;
        break;
      default:
    }
  }
  throw new KeelsonError('malformed_json', 'the array is not closed');
}

function isBlank(bytes: Uint8Array, from: number, to: number): boolean {
  while (from < to && isSpace(bytes[from])) from++;
  return from === to;
}

/** The index of the closing quote of the string that opens at `i`. */
function skipString(bytes: Uint8Array, i: number, end: number): number {
  for (i++; i < end; i++) {
    const byte = bytes[i];
    if (byte === QUOTE) return i;
    if (byte === BACKSLASH) i++;
  }
  throw new KeelsonError('malformed_json', 'a string is not closed');
}
