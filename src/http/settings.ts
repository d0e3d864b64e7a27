import { Type, type Static } from 'typebox';

/** What the HTTP server reads from the environment. */
export const httpSettings = Type.Object({
  KEELSON_HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  KEELSON_PORT: Type.Integer({
    default: 8420,
    minimum: 0,
    maximum: 65_535,
    description: 'Port to listen on; 0 takes a free one',
  }),
  KEELSON_HTTP_HEADERS_TIMEOUT_MS: Type.Integer({
    default: 10_000,
    minimum: 100,
    description: 'How long a client may take to send the headers of a request',
  }),
  KEELSON_HTTP_REQUEST_TIMEOUT_MS: Type.Integer({
    default: 60_000,
    minimum: 100,
    description: 'How long a client may take to send a whole request',
  }),
  KEELSON_HTTP_KEEP_ALIVE_TIMEOUT_MS: Type.Integer({
    default: 75_000,
    minimum: 1_000,
    description: 'How long an idle connection is kept',
  }),
  KEELSON_HTTP_MAX_CONNECTIONS: Type.Integer({
    default: 25_000,
    minimum: 1,
    description: 'Open connections, those of guards among them; more are dropped',
  }),
  KEELSON_HTTP_MAX_REQUESTS: Type.Integer({
    default: 2_000,
    minimum: 1,
    description: 'Requests being worked on at once; one more is answered 503 `overloaded`',
  }),
  KEELSON_HTTP_MEMORY_BYTES: Type.Integer({
    default: 128 * 1024 * 1024,
    minimum: 1024 * 1024,
    description: 'Bytes of request bodies held at once; one more is answered 503 `overloaded`',
  }),
  KEELSON_HTTP_BODY_BYTES: Type.Integer({
    default: 1024 * 1024,
    minimum: 1024,
    description: 'Largest body of a request that is not an upload of events',
  }),
});
export type HttpSettings = Static<typeof httpSettings>;
