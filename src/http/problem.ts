/**
 * Problem documents (RFC 9457): the one place where a code becomes an HTTP status, and where whatever a route, the
 * framework or the parser threw becomes an answer. A message of a KeelsonError is for the caller; anything else is a bug
 * of ours, of which the caller learns the request id only.
 */
import { Type, type Static } from 'typebox';
import { KeelsonError, type ErrorCode } from '../core/error.js';

/** Code → status. A code that no route should ever raise (a start-up fault, a broken ledger) is a 500. */
const STATUS: Record<ErrorCode, number> = {
  malformed_request: 400,
  malformed_json: 400,
  duplicate_member: 400,
  lone_surrogate: 400,
  nul_character: 400,
  too_deep: 400,
  too_large: 413,
  too_many_items: 413,
  string_too_long: 400,
  headers_too_large: 431,
  invalid_request: 400,
  invalid_event: 400,
  unknown_event_type: 400,
  invalid_timestamp: 400,
  record_too_large: 413,
  conflict: 409,
  unsupported_media_type: 415,
  bad_encoding: 415,
  invalid_query: 400,
  invalid_cursor: 400,
  unmappable: 400,
  invalid_filter: 400,
  invalid_path: 400,
  invalid_value: 400,
  no_target: 400,
  immutable: 400,
  not_unique: 409,
  too_many_matches: 400,
  version_mismatch: 412,
  not_implemented: 501,
  replayed: 400,
  unsupported_token_type: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  malformed_entry: 500,
  malformed_part: 500,
  malformed_message: 400,
  malformed_snapshot: 500,
  malformed_pack: 500,
  malformed_record: 500,
  malformed_note: 400,
  malformed_checkpoint: 400,
  malformed_tile: 400,
  malformed_receipt: 400,
  malformed_certificate: 400,
  unknown_schema: 500,
  unknown_signer: 400,
  bad_signature: 400,
  bad_proof: 400,
  gap: 409,
  fork: 500,
  out_of_range: 404,
  event_log_unavailable: 503,
  event_log_truncated: 503,
  event_log_misconfigured: 503,
  database_unavailable: 503,
  database_too_old: 503,
  database_too_new: 503,
  overloaded: 503,
  case_open: 409,
  fenced: 503,
  fork_refused: 500,
  tampered: 500,
  erased: 410,
  invalid_config: 500,
  already_running: 500,
  address_in_use: 500,
  missing_key: 500,
  keys_expired: 503,
  malformed_key: 400,
  unsupported_platform: 500,
  not_ready: 503,
  timeout: 504,
  request_timeout: 408,
  internal: 500,
};

export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:keelson:problem:` and the code' }),
    title: Type.String({ description: 'The code in words' }),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; what a program should look at' }),
    detail: Type.String({ description: 'For people; may change' }),
    pointer: Type.Optional(Type.String({ description: 'JSON pointer (RFC 6901) to what is wrong in the input' })),
    requestId: Type.Optional(Type.String({ description: 'As in the X-Request-Id header' })),
  },
  { $id: 'Problem', additionalProperties: true, description: 'RFC 9457 problem document' },
);
export type Problem = Static<typeof Problem>;

export const PROBLEM_TYPE = 'application/problem+json';

/** The HTTP status that stands for a code. */
export const statusOf = (code: ErrorCode): number => STATUS[code];

/** The problem document for an error; `extension` members come beside the standard ones. */
export function formatProblem(error: KeelsonError, requestId?: string, extension: object = {}): Problem {
  return {
    type: `urn:keelson:problem:${error.code}`,
    title: error.code.replaceAll('_', ' '),
    status: STATUS[error.code],
    code: error.code,
    detail: error.code === 'internal' ? 'an internal error; the log has it under this request id' : error.message,
    ...(error.pointer === undefined ? {} : { pointer: error.pointer }),
    ...(requestId === undefined ? {} : { requestId }),
    ...extension,
  };
}

interface FrameworkError {
  code?: unknown;
  statusCode?: unknown;
  message?: unknown;
  validationContext?: unknown;
  validation?: readonly { instancePath?: string; message?: string; params?: { missingProperty?: string } }[];
}

/** What the framework throws before a handler runs, by its own code. */
const FRAMEWORK: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'malformed_request',
  FST_ERR_ASYNC_CONSTRAINT: 'malformed_request',
};

/** Any thrown value as a coded error; what is none of ours and none of the framework's is `internal`, with its cause. */
export function toKeelsonError(thrown: unknown): KeelsonError {
  if (thrown instanceof KeelsonError) return thrown;
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as FrameworkError;
  const message = typeof error.message === 'string' ? error.message : 'unknown error';
  const failed = error.validation?.[0];
  if (failed !== undefined) {
    const missing = failed.params?.missingProperty;
    const pointer = (failed.instancePath ?? '') + (missing === undefined ? '' : `/${missing}`);
    const code = error.validationContext === 'body' ? 'invalid_request' : 'invalid_query';
    return new KeelsonError(code, message, { pointer, cause: thrown });
  }
  const code = typeof error.code === 'string' ? FRAMEWORK[error.code] : undefined;
  if (code !== undefined) return new KeelsonError(code, message, { cause: thrown });
  const status = error.statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new KeelsonError('malformed_request', message, { cause: thrown });
  }
  return new KeelsonError('internal', message, { cause: thrown });
}
