/** SPIFFE trust bundles: which keys speak for a trust domain (SPIFFE Trust Domain and Bundle §4, X509-SVID §6, JWT-SVID §6). */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Certificate } from 'pkijs';
import { isObject, parseJson, type Json } from '../../events/index.js';

export interface Bundle {
  /** Certificates that end a path. */
  readonly authorities: readonly Certificate[];
  /** Keys of JWT-SVIDs by `kid`. */
  readonly jwtKeys: ReadonlyMap<string, KeyObject>;
}

const KEYS_MAX = 1_000;
const LIMITS = { maxDepth: 8, maxStringLength: 65_536, maxValues: 100_000 };

/**
 * Reads a bundle in the SPIFFE bundle format, a JWK set. Entries of other uses and key types are ignored, as the specification says; one of
 * these uses that can't be read is a problem, because nobody would miss it.
 * @throws Error for people, naming the entry.
 */
export function parseBundle(bytes: Uint8Array): Bundle {
  const document = parseJson(bytes, LIMITS);
  const keys = isObject(document) ? document.keys : undefined;
  if (!Array.isArray(keys)) throw new Error('not a SPIFFE bundle: it has no list `keys`');
  if (keys.length > KEYS_MAX) throw new Error(`more than ${KEYS_MAX} keys`);
  const authorities: Certificate[] = [];
  const jwtKeys = new Map<string, KeyObject>();
  keys.forEach((key, i) => {
    try {
      if (!isObject(key)) throw new Error('not an object');
      if (key.use === 'x509-svid') addAuthority(key.x5c, authorities);
      else if (key.use === 'jwt-svid') addKey(key, jwtKeys);
    } catch (error) {
      throw new Error(`/keys/${i}: ${(error as Error).message}`, { cause: error });
    }
  });
  return { authorities, jwtKeys };
}

/** X509-SVID §6.2: the first value counts; an entry without one is ignored. */
function addAuthority(x5c: Json | undefined, authorities: Certificate[]): void {
  const first = Array.isArray(x5c) ? x5c[0] : undefined;
  if (first === undefined) return;
  if (typeof first !== 'string') throw new Error('x5c holds no text');
  authorities.push(Certificate.fromBER(Buffer.from(first, 'base64')));
}

function addKey(jwk: Json & object, keys: Map<string, KeyObject>): void {
  const { kid, kty } = jwk as { kid?: Json; kty?: Json };
  if (kty !== 'RSA' && kty !== 'EC') return;
  if (typeof kid !== 'string' || kid === '') throw new Error('a key of JWT-SVIDs without a kid');
  if (keys.has(kid)) throw new Error(`two keys with the kid ${kid}`);
  keys.set(kid, createPublicKey({ key: jwk as Record<string, unknown>, format: 'jwk' }));
}
