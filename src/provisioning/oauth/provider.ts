/** Whether the configuration of an OpenID provider can be used. */
import { importJWK, type JWK } from 'jose';
import type { OpenIdConfig } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';

const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** By curve, or by type where that has none. */
const ALGORITHM: Readonly<Record<string, string>> = {
  RSA: 'RS256',
  'P-256': 'ES256',
  'P-384': 'ES384',
  'P-521': 'ES512',
  Ed25519: 'EdDSA',
};

/** @throws KeelsonError `invalid_request` with the pointer */
export async function requireUsableProvider({ jwks, jwksUri }: OpenIdConfig): Promise<void> {
  if ((jwks === undefined) === (jwksUri === undefined)) {
    throw refuse('give the keys as jwks or as jwksUri, one of the two', '');
  }
  if (jwksUri !== undefined) requireUri(jwksUri);
  for (const [i, key] of (jwks?.keys ?? []).entries()) await requirePublicKey(key, `/jwks/keys/${i}`);
}

function requireUri(text: string): void {
  const uri = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = uri?.protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(uri.hostname);
  if (uri === undefined || (uri.protocol !== 'https:' && !isHere) || uri.username !== '' || uri.password !== '') {
    throw refuse('an https address without credentials', '/jwksUri');
  }
}

async function requirePublicKey(key: Readonly<Record<string, unknown>>, pointer: string): Promise<void> {
  if (PRIVATE.some((name) => name in key)) throw refuse('this key is not a public one: withdraw it', pointer);
  const algorithm = typeof key.alg === 'string' ? key.alg : ALGORITHM[String(key.crv ?? key.kty)];
  try {
    if (algorithm === undefined) throw new Error('no signature that is known');
    await importJWK(key as JWK, algorithm);
  } catch {
    throw refuse('this is no key of a kind that is taken here', pointer);
  }
}

const refuse = (message: string, pointer: string): KeelsonError =>
  new KeelsonError('invalid_request', message, { pointer: `/openid${pointer}` });
