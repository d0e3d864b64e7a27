/**
 * The keys that a cluster signs the tokens of its service accounts with: a file, or what its issuer publishes (OpenID Connect Discovery 1.0
 * §4; Kubernetes: "Service account issuer discovery"). What was fetched is good for a while; for a key that is not among them it is
 * fetched again, at most every 5 seconds, whoever makes them up.
 */
import { readFile } from 'node:fs/promises';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose';
import { KeelsonError } from '../../core/error.js';

const KEEP_MS = 10 * 60_000;
const COOL_DOWN_MS = 5_000;
const TIMEOUT_MS = 3_000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 100;

export interface RemoteKeys {
  readonly issuer: string;
  /** Undefined: what the issuer's discovery document says. */
  readonly jwksUri: string | undefined;
  /** Certificates that are trusted instead of the usual ones: PEM. */
  readonly ca: Buffer | undefined;
  /** Holds a token for asking, where the cluster does not tell everybody. */
  readonly tokenFile: string | undefined;
}

export class ClusterKeys {
  private constructor(readonly find: JWTVerifyGetKey) {}

  /** @throws Error for people */
  static local(json: unknown): ClusterKeys {
    return new ClusterKeys(createLocalJWKSet(requireKeySet(json)));
  }

  /** @throws Error for people: an address that is not https, nor this machine's */
  static remote(remote: RemoteKeys): ClusterKeys {
    const { issuer, jwksUri } = remote;
    const first = requireAddress(jwksUri ?? `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const set = createRemoteJWKSet(first, {
      cacheMaxAge: KEEP_MS,
      cooldownDuration: COOL_DOWN_MS,
      timeoutDuration: TIMEOUT_MS,
      [customFetch]: async () => Response.json(await fetchKeys(first, remote)),
    });
    return new ClusterKeys(async (header, token) => {
      try {
        return await set(header, token);
      } catch (error) {
        // It may be a new key: while nothing is fetched, nobody can tell.
        if (error instanceof errors.JWKSNoMatchingKey && !set.coolingDown) throw error;
        if (error instanceof errors.JWKSMultipleMatchingKeys) throw error;
        throw new KeelsonError('not_ready', `the keys of ${issuer} can not be had, or not again yet`, {
          retryAfterS: COOL_DOWN_MS / 1000,
          cause: error,
        });
      }
    });
  }
}

async function fetchKeys(first: URL, remote: RemoteKeys): Promise<JSONWebKeySet> {
  if (remote.jwksUri !== undefined) return requireKeySet(await getJson(first, remote));
  const { issuer, jwks_uri: uri } = (await getJson(first, remote)) as { issuer?: unknown; jwks_uri?: unknown };
  if (issuer !== remote.issuer) throw new Error('the discovery document is of another issuer');
  if (typeof uri !== 'string') throw new Error('the discovery document names no keys');
  return requireKeySet(await getJson(requireAddress(uri), remote));
}

function requireKeySet(json: unknown): JSONWebKeySet {
  const keys = typeof json === 'object' && json !== null ? (json as { keys?: unknown }).keys : undefined;
  if (!Array.isArray(keys)) throw new Error('not a JWK set: it has no list `keys`');
  if (keys.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys`);
  return { keys: keys as JWK[] };
}

function requireAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHere = url?.protocol === 'http:' && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url === undefined || (url.protocol !== 'https:' && !isHere)) throw new Error(`${text} is no https address`);
  return url;
}

async function getJson(url: URL, { ca, tokenFile }: RemoteKeys): Promise<unknown> {
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  const headers = { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  const options = {
    agent: false,
    headers,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(ca === undefined ? {} : { ca }),
  };
  const body = await new Promise<Buffer>((resolve, reject) => {
    const asked = request(url, options, (answer) => {
      if (answer.statusCode !== 200) return void asked.destroy(new Error(`${url.href} answered ${answer.statusCode}`));
      const chunks: Buffer[] = [];
      let length = 0;
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if ((length += chunk.length) > MAX_BYTES)
          asked.destroy(new Error(`${url.href} has more than ${MAX_BYTES} bytes`));
      });
      answer.once('end', () => resolve(Buffer.concat(chunks)));
      answer.once('error', reject);
    });
    asked.once('error', reject);
    asked.end();
  });
  return JSON.parse(body.toString('utf8'));
}
