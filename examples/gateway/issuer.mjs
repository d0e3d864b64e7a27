// @ts-check
/** Stands in for the company's identity provider: access tokens (RFC 9068) for an agent that acts for a person (RFC 8693). */
import { randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export const ISSUER = 'https://login.company.com';
export const AUDIENCE = 'https://tools.company.com/mcp';

/** A new signing key, and the public half as a gateway wants it. */
export async function createIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA');
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'EdDSA' }] });
  /** @param {{ user: string, agent: string, client: string, lifetimeS: number }} who */
  const issueToken = async ({ user, agent, client, lifetimeS }) => {
    const jti = randomUUID();
    const nowS = Math.floor(Date.now() / 1000);
    const token = await new SignJWT({ client_id: client, act: { sub: agent } })
      .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(user)
      .setJti(jti)
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + lifetimeS)
      .sign(privateKey);
    return { token, jti };
  };
  return { jwks, issueToken };
}
