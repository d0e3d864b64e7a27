/** A Kubernetes cluster and a SPIFFE trust domain, as far as joining needs them: real keys, a real HTTP issuer. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

export async function makeKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg } };
}

export const sign = (key: SigningKey, claims: object, alg = 'ES256'): Promise<string> =>
  new SignJWT({ ...claims }).setProtectedHeader({ alg, kid: key.kid }).sign(key.privateKey);

export const soon = (seconds = 600): number => Math.floor(Date.now() / 1000) + seconds;

/** As a cluster writes into the token of a pod's service account. */
export const accountClaims = (issuer: string, namespace: string, name: string, audience: string): object => ({
  iss: issuer,
  aud: [audience],
  sub: `system:serviceaccount:${namespace}:${name}`,
  iat: soon(0),
  nbf: soon(0),
  exp: soon(),
  'kubernetes.io': { namespace, serviceaccount: { name, uid: 'u1' }, pod: { name: `${name}-0`, uid: 'u2' } },
});

export class Issuer {
  keys: SigningKey[] = [];
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  /** What the discovery document says of itself; undefined: the truth. */
  lies: string | undefined;
  /** What it wants to be asked with. */
  bearer: string | undefined;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Issuer> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const issuer = new Issuer(server);
    server.on('request', ({ url = '', headers }, response) => {
      issuer.asked.push(url);
      const allowed = issuer.bearer === undefined || headers.authorization === `Bearer ${issuer.bearer}`;
      const documents: Record<string, object> = {
        '/.well-known/openid-configuration': {
          issuer: issuer.lies ?? issuer.url,
          jwks_uri: `${issuer.url}/openid/v1/jwks`,
        },
        '/openid/v1/jwks': { keys: issuer.keys.map(({ jwk }) => jwk) },
      };
      const document = allowed ? documents[url] : undefined;
      response.writeHead(document === undefined ? 403 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(document ?? {}));
    });
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
