/** JWTs that an OpenID provider signs for us. */
import { errors, jwtVerify, type JWTPayload } from 'jose';
import type { OpenIdConfig } from '../../access/producer.js';
import { KeelsonError, type ErrorCode } from '../../core/error.js';
import type { KeySets } from './key-sets.js';

/** Signatures that are taken where a configuration names none: asymmetric ones, of SHA-256 and better. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'];
const SKEW_S = 60;

export interface SignedOptions {
  /** Values of the header `typ` that are taken, lower case, without `application/`; undefined: it may be absent. */
  readonly types: readonly (string | undefined)[];
  /** No token is older, whenever it expires. */
  readonly maxAgeS: number;
  /** What a token that is not good raises. */
  readonly code: ErrorCode;
  readonly nowUs: bigint;
}

/**
 * The claims of a JWT of this provider that is meant for us, valid now: `iss`, `aud`, `iat`, `exp`, `jti` are there.
 * @throws KeelsonError of the code that `options` name; `not_ready` where the provider's keys can't be had
 */
export async function verifySigned(
  keySets: KeySets,
  config: OpenIdConfig,
  token: string,
  { types, maxAgeS, code, nowUs }: SignedOptions,
): Promise<JWTPayload & { readonly jti: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keySets.of(config), {
      issuer: config.issuer,
      audience: [...config.audiences],
      algorithms: [...(config.algorithms ?? ALGORITHMS)],
      clockTolerance: SKEW_S,
      maxTokenAge: maxAgeS,
      requiredClaims: ['iat', 'exp', 'jti'],
      currentDate: new Date(Number(nowUs / 1000n)),
    });
    const typ = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
    if (!types.includes(typ)) throw new KeelsonError(code, `the JWT is of type ${JSON.stringify(typ ?? null)}`);
    const { jti } = payload;
    if (typeof jti !== 'string' || jti === '' || jti.length > 2048) throw new KeelsonError(code, 'jti is no id');
    return { ...payload, jti };
  } catch (error) {
    // jose's messages name claims and never quote the token.
    if (error instanceof errors.JOSEError) throw new KeelsonError(code, error.message, { cause: error });
    throw error;
  }
}
