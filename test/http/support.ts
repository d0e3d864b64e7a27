import { Registry } from 'prom-client';
import { KeelsonError } from '../../src/core/error.js';
import type { Authenticate, Scope } from '../../src/http/caller.js';
import { createHttp } from '../../src/http/create-http.js';
import type { Http } from '../../src/http/http.js';
import { Readiness } from '../../src/http/readiness.js';
import type { HttpSettings } from '../../src/http/settings.js';

export const httpSettings: HttpSettings = {
  KEELSON_HOST: '127.0.0.1',
  KEELSON_PORT: 0,
  KEELSON_HTTP_HEADERS_TIMEOUT_MS: 10_000,
  KEELSON_HTTP_REQUEST_TIMEOUT_MS: 60_000,
  KEELSON_HTTP_KEEP_ALIVE_TIMEOUT_MS: 75_000,
  KEELSON_HTTP_MAX_CONNECTIONS: 1_000,
  KEELSON_HTTP_MAX_REQUESTS: 100,
  KEELSON_HTTP_MEMORY_BYTES: 4 * 1024 * 1024,
  KEELSON_HTTP_BODY_BYTES: 64 * 1024,
};

/** `Bearer read,admin` is a caller with these scopes. */
export const authenticateByName: Authenticate = (authorization) => {
  if (authorization === undefined) throw new KeelsonError('unauthenticated', 'no token');
  const scopes = authorization.replace('Bearer ', '').split(',') as Scope[];
  return { tokenId: 'test', producer: 'test', scopes: new Set(scopes) };
};

export interface TestHttp {
  readonly http: Http;
  readonly readiness: Readiness;
}

export async function openHttp(
  settings: Partial<HttpSettings> = {},
  authenticate = authenticateByName,
): Promise<TestHttp> {
  const readiness = new Readiness(100);
  const http = await createHttp({
    settings: { ...httpSettings, ...settings },
    authenticate,
    readiness,
    metrics: new Registry(),
    version: '0.0.0',
  });
  return { http, readiness };
}
