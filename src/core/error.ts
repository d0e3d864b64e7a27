/**
 * The one error class. `code` is a closed union and part of the API; the message is for people.
 * Codes become HTTP statuses in src/http/problem.ts and exit codes in src/cli/, nowhere else.
 */
export type ErrorCode =
  // input
  | 'malformed_request'
  | 'headers_too_large'
  | 'request_timeout'
  | 'invalid_request'
  | 'malformed_json'
  | 'duplicate_member'
  | 'lone_surrogate'
  | 'nul_character'
  | 'too_deep'
  | 'too_large'
  | 'too_many_items'
  | 'string_too_long'
  | 'invalid_event'
  | 'unknown_event_type'
  | 'invalid_timestamp'
  | 'record_too_large'
  | 'conflict'
  | 'unsupported_media_type'
  | 'bad_encoding'
  | 'invalid_query'
  | 'invalid_cursor'
  | 'unmappable'
  // provisioning (RFC 7644, table 9)
  | 'invalid_filter'
  | 'invalid_path'
  | 'invalid_value'
  | 'no_target'
  | 'immutable'
  | 'not_unique'
  | 'too_many_matches'
  | 'version_mismatch'
  | 'not_implemented'
  | 'replayed'
  | 'unsupported_token_type'
  // access
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  // formats and proofs
  | 'malformed_entry'
  | 'malformed_part'
  | 'malformed_message'
  | 'malformed_snapshot'
  | 'malformed_pack'
  | 'malformed_record'
  | 'malformed_key'
  | 'malformed_note'
  | 'malformed_checkpoint'
  | 'malformed_tile'
  | 'malformed_receipt'
  | 'malformed_certificate'
  | 'unknown_schema'
  | 'unknown_signer'
  | 'bad_signature'
  | 'bad_proof'
  | 'gap'
  | 'fork'
  | 'out_of_range'
  // state
  | 'event_log_unavailable'
  | 'event_log_truncated'
  | 'event_log_misconfigured'
  | 'database_unavailable'
  | 'database_too_old'
  | 'database_too_new'
  | 'overloaded'
  | 'case_open'
  | 'fenced'
  | 'fork_refused'
  | 'tampered'
  | 'erased'
  // start
  | 'invalid_config'
  | 'already_running'
  | 'address_in_use'
  | 'missing_key'
  | 'keys_expired'
  | 'unsupported_platform'
  | 'not_ready'
  | 'timeout'
  | 'internal';

export interface ErrorDetails {
  /** JSON pointer (RFC 6901) to what is wrong in the input. */
  pointer?: string;
  /** Where in a log: its origin or id, and the index. */
  log?: string;
  index?: bigint;
  /** Seconds after which a retry makes sense. */
  retryAfterS?: number;
  cause?: unknown;
}

/** Every error Keelson raises on purpose. A plain Error is a bug. */
export class KeelsonError extends Error {
  override readonly name = 'KeelsonError';
  readonly pointer?: string;
  readonly log?: string;
  readonly index?: bigint;
  readonly retryAfterS?: number;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    if (details.pointer !== undefined) this.pointer = details.pointer;
    if (details.log !== undefined) this.log = details.log;
    if (details.index !== undefined) this.index = details.index;
    if (details.retryAfterS !== undefined) this.retryAfterS = details.retryAfterS;
  }
}
