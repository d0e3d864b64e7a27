// @ts-check
/**
 * The access tokens of this example: JWTs (RFC 7519) signed with Ed25519 (RFC 8037), issued to an agent that acts for a
 * person (RFC 8693 `act`). Stands in for the company's identity provider.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';

export const ISSUER = 'https://id.company.com';
export const AUDIENCE = 'https://tools.company.com/mcp';

/**
 * What a token of this example says.
 * @typedef {object} Claims
 * @property {string} iss
 * @property {string} aud
 * @property {string} jti
 * @property {number} iat seconds since 1970
 * @property {number} exp seconds since 1970
 * @property {string} sub the person
 * @property {{ sub: string }} act the agent that acts for the person
 * @property {string} client_id
 * @property {string} scope
 * @property {string} department
 * @property {string} role
 * @property {number} clearance
 * @property {string} purpose what the agent is there for
 */

/** A fresh signing key pair, as PEM. */
export function createIssuer() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/**
 * @param {string} privatePem
 * @param {Omit<Claims, 'iss' | 'aud' | 'jti' | 'iat' | 'exp'>} claims
 * @param {number} lifetimeS
 */
export function issueToken(privatePem, claims, lifetimeS = 600) {
  const iat = Math.floor(Date.now() / 1000);
  const body = { iss: ISSUER, aud: AUDIENCE, jti: randomUUID(), iat, exp: iat + lifetimeS, ...claims };
  const signed = `${encode({ alg: 'EdDSA', typ: 'at+jwt' })}.${encode(body)}`;
  return `${signed}.${sign(null, Buffer.from(signed), createPrivateKey(privatePem)).toString('base64url')}`;
}

/**
 * The claims of a token this issuer signed for this audience. Expiry is the policy's business: an expired token shall leave
 * a decision, too.
 * @param {string} publicPem
 * @param {string} token
 * @returns {Claims | undefined} undefined where the token is not ours
 */
export function readToken(publicPem, token) {
  const [header, body, signature, ...rest] = token.split('.');
  if (header === undefined || body === undefined || signature === undefined || rest.length > 0) return undefined;
  try {
    if (JSON.parse(Buffer.from(header, 'base64url').toString()).alg !== 'EdDSA') return undefined;
    const signed = Buffer.from(`${header}.${body}`);
    if (!verify(null, signed, createPublicKey(publicPem), Buffer.from(signature, 'base64url'))) return undefined;
    /** @type {Claims} */
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    return claims.iss === ISSUER && claims.aud === AUDIENCE ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** @param {unknown} value */
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
