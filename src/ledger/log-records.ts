/**
 * What the sequencer must know of records: the two kinds that speak about the log itself. Everything else it takes by its
 * leading bytes, undecoded.
 */
export interface LogRecords {
  /** Fingerprints (8 bytes, as a record carries them) of the schemas of `log.opened` and `log.schema`: known in every log. */
  readonly openedFingerprint: Uint8Array;
  readonly schemaFingerprint: Uint8Array;
  /**
   * The fingerprint of the schema whose text a `log.schema` record holds, computed from the text.
   * @throws KeelsonError `malformed_record`.
   */
  describedFingerprint(record: Uint8Array): Uint8Array;
}

/** Where a record's leading fields stand (docs/record.md, "Record"). */
export const FINGERPRINT_AT = 2;
export const FINGERPRINT_BYTES = 8;
export const DEDUPE_AT = 10;
export const DEDUPE_BYTES = 16;
export const RECORD_BYTES_MIN = 42;
