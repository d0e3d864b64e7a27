/**
 * Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): fetched from the URL that is the client's id. Others choose
 * that URL, so: HTTPS alone, no redirect, a bounded body in bounded time, and only addresses that may be asked. The address that is
 * checked is the one that is connected to; what a name resolves to later does not matter.
 */
import { lookup } from 'node:dns';
import { request } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isObject, parseJson, type JsonObject } from '../../events/index.js';
import { mayAsk } from './addresses.js';
import { readClientUrl } from './client-url.js';
import type { ClientRules } from './configuration.js';
import { Failure, Unavailable } from './finding.js';

/** The draft recommends 5 kB; documents with keys and logos are a little larger. */
const BODY_MAX = 32 * 1024;
const LIMITS = { maxDepth: 16, maxStringLength: BODY_MAX, maxValues: 5_000 };
/** How long name, connection, answer and body may take together. */
const TIMEOUT_MS = 5_000;
const MEDIA_TYPE = /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i;

/**
 * @throws Failure for what will not change by asking again; `Unavailable`
 */
export async function fetchMetadata(client: string, rules: ClientRules, timeoutMs = TIMEOUT_MS): Promise<void> {
  let url;
  try {
    url = readClientUrl(client);
  } catch (error) {
    throw new Failure('metadata_refused', (error as Error).message);
  }
  requireDocument(client, await get(url, rules, timeoutMs));
}

function requireDocument(client: string, body: Buffer): void {
  let document: JsonObject | undefined;
  try {
    const parsed = parseJson(body, LIMITS);
    if (isObject(parsed)) document = parsed;
  } catch {
    // Said below.
  }
  if (document === undefined) throw new Failure('metadata_refused', 'not a JSON object');
  if (document.client_id !== client) throw new Failure('metadata_refused', 'its client_id is another one');
  const method = document.token_endpoint_auth_method;
  if ('client_secret' in document || 'client_secret_expires_at' in document || isSecretMethod(method)) {
    throw new Failure('metadata_refused', 'a public document with a shared secret');
  }
}

/** Methods that need a secret both sides know: a public document can't hold one. */
const isSecretMethod = (method: unknown): boolean => typeof method === 'string' && method.startsWith('client_secret_');

function get(url: URL, { networks, ca }: ClientRules, timeoutMs: number): Promise<Buffer> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !mayAsk(host, networks)) throw new Failure('address_not_allowed', 'not a public address');
  return new Promise((resolve, reject) => {
    const asked = request(
      url,
      {
        method: 'GET',
        agent: false,
        headers: { accept: 'application/json', 'accept-encoding': 'identity' },
        lookup: lookupAllowed(networks),
        maxHeaderSize: 16 * 1024,
        ...(ca === undefined ? {} : { ca }),
      },
      (answer) => {
        const { statusCode: status = 0, headers } = answer;
        const refusal = refuse(status, headers['content-type'], headers['content-encoding']);
        if (refusal !== undefined) {
          asked.destroy(refusal);
          return;
        }
        const chunks: Buffer[] = [];
        let size = 0;
        answer.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > BODY_MAX) asked.destroy(new Failure('metadata_refused', `more than ${BODY_MAX} bytes`));
          else chunks.push(chunk);
        });
        answer.on('end', () => end(undefined, Buffer.concat(chunks)));
        answer.on('error', end);
      },
    );
    const timer = setTimeout(() => asked.destroy(new Unavailable(`no document within ${timeoutMs} ms`)), timeoutMs);
    const end = (error: Error | undefined, body?: Buffer): void => {
      clearTimeout(timer);
      if (body !== undefined) resolve(body);
      else reject(error instanceof Failure ? error : new Unavailable(error?.message));
    };
    asked.on('error', end);
    asked.on('close', () => end(new Unavailable('the connection ended')));
    asked.end();
  });
}

function refuse(status: number, type: string | undefined, encoding: string | undefined): Error | undefined {
  if (status >= 500 || [408, 425, 429].includes(status)) return new Unavailable(`status ${status}`);
  if (status !== 200) return new Failure('metadata_refused', `status ${status}, where 200 is needed`);
  if (!MEDIA_TYPE.test(type ?? '')) return new Failure('metadata_refused', 'its content type is not JSON');
  if (encoding !== undefined && encoding !== 'identity') return new Failure('metadata_refused', 'an encoded body');
  return undefined;
}

/** Names resolved to addresses that may be asked; where any of them may not, none is. */
function lookupAllowed(networks: ClientRules['networks']): LookupFunction {
  return (host, { family, all }, answer) => {
    lookup(
      host,
      { family: family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : (family ?? 0), all: true },
      (error, found) => {
        if (error) return answer(error, '', 0);
        if (!found.every(({ address }) => mayAsk(address, networks))) {
          return answer(new Failure('address_not_allowed', 'a name of an address that is not public'), '', 0);
        }
        if (all === true) answer(null, found);
        else answer(null, found[0]!.address, found[0]!.family);
      },
    );
  };
}
