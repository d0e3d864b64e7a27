/** Errors as OAuth writes them (RFC 6749, section 5.2; RFC 7009, section 2.2.1). */
import type { ErrorCode, KeelsonError } from '../../core/error.js';
import { statusOf, toKeelsonError } from '../../http/problem.js';

export interface OAuthError {
  readonly error: string;
  readonly error_description: string;
}

const NAME: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'invalid_client',
  forbidden: 'unauthorized_client',
  unsupported_token_type: 'unsupported_token_type',
};

/** What was thrown, and the body that says so. Names of its own where OAuth has none: they are extension errors. */
export function formatOAuthError(thrown: unknown): { readonly error: KeelsonError; readonly body: OAuthError } {
  const error = toKeelsonError(thrown);
  const status = statusOf(error.code);
  const name =
    NAME[error.code] ??
    (status === 503 ? 'temporarily_unavailable' : status < 500 ? 'invalid_request' : 'server_error');
  // Only characters that RFC 6749 lets stand there.
  const text = error.code === 'internal' ? 'an internal error' : error.message;
  return { error, body: { error: name, error_description: text.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'") } };
}

/** What a client is not allowed is told like any other bad request (section 5.2), not with 403. */
export const oauthStatusOf = ({ code }: KeelsonError): number => (code === 'forbidden' ? 400 : statusOf(code));
