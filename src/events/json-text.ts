import { ExactNumber, ExactNumberError, type Json } from './json.js';

/** A JSON value as text, members in the order they stand, exact numbers verbatim. The pair of `parseJson`. */
export function stringifyJson(value: Json): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof ExactNumberError)) throw error;
    return write(value);
  }
}

function write(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  let text = '';
  for (const name of Object.keys(value)) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${write(value[name] as Json)}`;
  }
  return `{${text}}`;
}
