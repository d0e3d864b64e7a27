/** A token that is to be revoked: what can be said of it without trusting it, and without keeping it. */
import { hash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { isTokenText } from '../../access/token.js';
import { KeelsonError } from '../../core/error.js';

export interface ShownToken {
  /** SHA-256 of the token, lower-case hex. */
  readonly digest: string;
  /** Claims `iss` and `jti` of a JWT, as it says; absent in any other token. */
  readonly issuer?: string;
  readonly jti?: string;
}

const MAX_LENGTH = 32 * 1024;
const MAX_CLAIM = 2048;
/** JWTs that are no credentials (RFC 8725, section 3.11). */
const OTHER_TYPES = /^(?:application\/)?(?:logout|secevent|dpop|statuslist|global-token-revocation)\+jwt$/i;

/**
 * Reads what a token says of itself. Nothing of it is verified: whoever asks may revoke only tokens of issuers they own, and a digest
 * is of the very token that was shown.
 * @throws KeelsonError `invalid_request`; `unsupported_token_type` for a token that nothing here accepts
 */
export function readToken(token: string): ShownToken {
  if (token.length > MAX_LENGTH || !/^[\x21-\x7e]+$/.test(token)) {
    throw new KeelsonError('invalid_request', `a token is 1 to ${MAX_LENGTH} visible ASCII characters`);
  }
  if (isTokenText(token)) {
    throw new KeelsonError('unsupported_token_type', 'an API token of this server is revoked at /v1/tokens');
  }
  const digest = hash('sha256', token, 'hex');
  const claims = readClaims(token);
  return { digest, ...claims };
}

function readClaims(token: string): Pick<ShownToken, 'issuer' | 'jti'> {
  let typ: unknown;
  let claims: { iss?: unknown; jti?: unknown };
  try {
    typ = decodeProtectedHeader(token).typ;
    claims = decodeJwt(token);
  } catch {
    // Opaque, or encrypted for somebody else.
    return {};
  }
  if (typeof typ === 'string' && OTHER_TYPES.test(typ)) {
    throw new KeelsonError('unsupported_token_type', 'this JWT is no access or refresh token');
  }
  const { iss, jti } = claims;
  return {
    ...(isName(iss) ? { issuer: iss } : {}),
    ...(isName(jti) ? { jti } : {}),
  };
}

const isName = (claim: unknown): claim is string =>
  typeof claim === 'string' && claim.length > 0 && claim.length <= MAX_CLAIM;
