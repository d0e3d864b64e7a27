/**
 * Events: from a producer's bytes to a record's bytes and back (docs/record.md, docs/events.md). Pure but for reading `schemas/`.
 *
 * ```ts
 * const schemas = builtInSchemas();                                  // SchemaRegistry: forType, find(fingerprint), learn(text)
 * splitItems(bytes, maxItems): { array, items: { from, to }[] }       // then parseJson each
 * parseJson(bytes, limits): Json                                      // numbers a double can't hold are ExactNumber
 * stringifyJson(json): string
 * canonicalBytes(json): Buffer                                        // a view until the next call
 * scrubSecrets(event, digest, compileMasks(pointers)): MaskedAt[]     // in place; before anything else is made of the event
 * scrubText(text, pointer, digest, masked): string                    // an id that travels outside of the event
 * separate(event, schemas.forType(type)): Separated                   // event: with type and timestamp, id optional
 * encodeRecord(schema, record): Buffer                                // record_too_large past 65,511 bytes
 * decodeRecord(bytes, schemas): DecodedRecord
 * recordDedupe(bytes), recordFingerprint(bytes)                       // views, nothing is decoded
 * reassemble(record, openedFields): { event, missing }
 * searchFacts(record): SearchFacts
 * makeLogOpened, makeLogSchema, makeRecordQuarantined, makeOwnRecord  // records of Keelson's own
 * ```
 *
 * Between `separate` and `encodeRecord` stands the vault: `subjectsFor`, `sealEvent`; between `decodeRecord` and `reassemble`:
 * `keysOf`, `openEvent`.
 */
export * from './json.js';
export * from './json-parse.js';
export { readNumber } from './json-number.js';
export * from './json-text.js';
export * from './canonical.js';
export * from './json-split.js';
export { searchFacts, type SearchFacts } from './facts.js';
export { canonicalForm, fingerprintText } from './fingerprint.js';
export {
  makeLogOpened,
  makeLogSchema,
  makeOwnRecord,
  makeRecordQuarantined,
  SELF,
  type LogOpening,
  type OwnStamp,
  type QuarantineNotice,
} from './log-records.js';
export { escapeToken, formatPointer, parsePointer } from './pointer.js';
export { builtInSchemas, SchemaRegistry } from './registry.js';
export { compileSchema, type EventSchema, type SchemaTopic } from './schema.js';
export {
  separate,
  type Body,
  type BodyValue,
  type OriginalText,
  type PersonField,
  type SealedField,
  type Separated,
} from './separate.js';
export { reassemble, type Reassembled } from './reassemble.js';
export * from './record.js';
export { compileMasks, formatMask, scrubSecrets, scrubText, type MaskPatterns, type SecretDigest } from './secrets.js';
export { formatTimestamp, parseTimestamp } from './time.js';
export type * from './types.js';
