import { ExactNumber, ExactNumberError, type Json } from './json.js';

/** A JSON value as text, members in the order they stand, exact numbers verbatim. The pair of `parseJson`. */
export function stringifyJson(value: Json): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof ExactNumberError)) throw error;
    return write(value, false);
  }
}

/**
 * A JSON value as text, members sorted by UTF-16 code units as in RFC 8785, exact numbers verbatim: equal values parsed from
 * texts that differ in member order, white space or escapes give equal texts. For digests, never stored.
 */
export const canonicalJson = (value: Json): string => write(value, true);

function write(value: Json, sorted: boolean): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map((item) => write(item, sorted)).join(',')}]`;
  const names = Object.keys(value);
  if (sorted) names.sort();
  let text = '';
  for (const name of names) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${write(value[name] as Json, sorted)}`;
  }
  return `{${text}}`;
}
