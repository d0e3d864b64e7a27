/** JSON bodies of routes that take no uploads: read as strictly as events are, and by the same parser. */
import { KeelsonError } from '../core/error.js';
import { parseJson } from '../events/json-parse.js';
import { ExactNumber, type Json } from '../events/json.js';
import { formatPointer } from '../events/pointer.js';
import type { Http } from './http.js';

/** What one of these bodies may be; its bytes are bounded by the framework. */
const LIMITS = { maxDepth: 32, maxStringLength: 1024 * 1024, maxValues: 10_000 };

/** Takes `application/json` and nothing else, in place of the framework's parsers. */
export function parseJsonBodies(http: Http): void {
  http.removeAllContentTypeParsers();
  http.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
    parseJsonBody(body),
  );
}

/** @throws KeelsonError as `parseJson`; `invalid_request` for a number that would have to be rounded. */
function parseJsonBody(body: Buffer): Json {
  const json = parseJson(body, LIMITS);
  requireDoubles(json, []);
  return json;
}

/** To a schema's validator an exact number would look like an object. */
function requireDoubles(json: Json, path: readonly string[]): void {
  if (typeof json !== 'object' || json === null) return;
  if (json instanceof ExactNumber) {
    throw new KeelsonError('invalid_request', 'a number that can not be read without rounding it', {
      pointer: formatPointer(path),
    });
  }
  for (const [name, value] of Object.entries(json)) requireDoubles(value, [...path, name]);
}
