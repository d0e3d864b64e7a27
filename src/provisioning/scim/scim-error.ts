/** Errors as SCIM writes them (RFC 7644, section 3.12). The status is that of the code, as everywhere. */
import type { ErrorCode, KeelsonError } from '../../core/error.js';
import { statusOf } from '../../http/problem.js';

export const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error';

/** Table 9. */
const SCIM_TYPE: Partial<Record<ErrorCode, string>> = {
  invalid_filter: 'invalidFilter',
  too_many_matches: 'tooMany',
  not_unique: 'uniqueness',
  immutable: 'mutability',
  malformed_json: 'invalidSyntax',
  duplicate_member: 'invalidSyntax',
  lone_surrogate: 'invalidSyntax',
  nul_character: 'invalidSyntax',
  too_deep: 'invalidSyntax',
  string_too_long: 'invalidSyntax',
  invalid_request: 'invalidSyntax',
  invalid_path: 'invalidPath',
  no_target: 'noTarget',
  invalid_value: 'invalidValue',
  invalid_event: 'invalidValue',
};

export interface ScimError {
  readonly schemas: readonly [typeof ERROR_SCHEMA];
  readonly status: string;
  readonly scimType?: string;
  readonly detail: string;
}

export function formatScimError(error: KeelsonError, requestId: string): ScimError {
  const scimType = SCIM_TYPE[error.code];
  const detail =
    error.code === 'internal' ? `an internal error; the log has it under the request id ${requestId}` : error.message;
  return {
    schemas: [ERROR_SCHEMA],
    status: String(statusOf(error.code)),
    ...(scimType === undefined ? {} : { scimType }),
    detail,
  };
}
