/** JWT-SVIDs (JWT-SVID §2–4): bearer tokens of a workload that name this ledger as their audience. */
import type { KeyObject } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose';
import type { Bundle } from './bundle.js';
import { Failure, type Known } from './finding.js';
import { parseSpiffeId, requireSubject } from './spiffe-id.js';

/** §2.1. */
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
const ALGORITHMS = [...RSA, ...Object.values(CURVES)];
/** §2: any other is refused. */
const HEADER = new Set(['alg', 'kid', 'typ']);
const TOKEN_MAX = 16_384;
/** Seconds that clocks may differ. */
const LEEWAY_S = 10;

export interface JwtSvidOptions {
  readonly bundles: ReadonlyMap<string, Bundle>;
  readonly audiences: readonly string[];
  /** Whose it must be (`expectedIds`). */
  readonly spiffeIds: readonly string[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * @param known gets what the token says of itself, as soon as its signature holds
 * @throws Failure
 */
export async function verifyJwtSvid(
  token: string,
  { bundles, audiences, spiffeIds, nowMs }: JwtSvidOptions,
  known: Known,
): Promise<void> {
  if (token.length > TOKEN_MAX) throw new Failure('too_large', `more than ${TOKEN_MAX} characters`);
  const { subject, kid } = readUnverified(token);
  const trustDomain = parseSpiffeId(subject);
  const bundle = bundles.get(trustDomain);
  if (bundle === undefined) throw new Failure('unknown_trust_domain', `no bundle for ${trustDomain}`);
  known.trustDomain = trustDomain;
  const key = bundle.jwtKeys.get(kid);
  if (key === undefined) throw new Failure('unknown_key', `the bundle of ${trustDomain} has no such key`);
  known.keyId = kid;
  const payload = await verify();
  known.expiresUs = BigInt(Math.floor(payload.exp! * 1000)) * 1000n;
  requireSubject(subject, spiffeIds);
  known.detail = subject;

  async function verify(): Promise<JWTPayload> {
    try {
      const options = { algorithms: algorithmsOf(key!), clockTolerance: LEEWAY_S, currentDate: new Date(nowMs) };
      return (await jwtVerify(token, key!, { ...options, audience: [...audiences], requiredClaims: ['exp', 'aud'] }))
        .payload;
    } catch (error) {
      throw failureOf(error);
    }
  }
}

/** What chooses the key. Nothing of it is believed before the signature is checked. */
function readUnverified(token: string): { subject: string; kid: string } {
  let header;
  let subject;
  try {
    header = decodeProtectedHeader(token);
    ({ sub: subject } = decodeJwt(token));
  } catch {
    throw new Failure('malformed', 'not a JWT');
  }
  if (header.alg === undefined || !ALGORITHMS.includes(header.alg)) {
    throw new Failure('algorithm_not_allowed', `alg ${String(header.alg)}`);
  }
  for (const name of Object.keys(header)) {
    if (!HEADER.has(name)) throw new Failure('malformed', `a JWT-SVID has no header ${name}`);
  }
  if (header.typ !== undefined && header.typ !== 'JWT' && header.typ !== 'JOSE') {
    throw new Failure('malformed', `typ ${String(header.typ)}`);
  }
  if (typeof header.kid !== 'string') throw new Failure('unknown_key', 'it names no key');
  if (typeof subject !== 'string') throw new Failure('not_an_svid', 'it has no subject');
  return { subject, kid: header.kid };
}

/** What a key of the bundle may be used with. */
function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string[] {
  if (asymmetricKeyType === 'rsa') return RSA;
  const algorithm = CURVES[asymmetricKeyDetails?.namedCurve ?? ''];
  return algorithm === undefined ? [] : [algorithm];
}

function failureOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return new Failure('expired', 'it has expired');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return new Failure('wrong_audience', 'it is not for this ledger');
    if (error.claim === 'nbf') return new Failure('not_yet_valid', 'it is not valid yet');
    return new Failure('malformed', `claim ${error.claim}`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new Failure('bad_signature', 'its signature fails');
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return new Failure('algorithm_not_allowed', 'its alg is not that of the key');
  }
  if (error instanceof errors.JOSEError) return new Failure('malformed', error.code);
  return error;
}
