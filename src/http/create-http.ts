/**
 * The HTTP server as every room finds it: typed schemas on every route, one description at /openapi.json with pages at
 * /docs, problems for everything that goes wrong (down to what never became a request), a caller on every route that is not
 * public, bounded work.
 *
 * Rooms register their routes on what `createHttp` resolves with. Every route says who may call it in `config.access`.
 */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import helmet from '@fastify/helmet';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { Gauge, Histogram, type Registry } from 'prom-client';
import { KeelsonError } from '../core/error.js';
import { requireAnyScope, type Authenticate, type Caller } from './caller.js';
import { answerClientError } from './client-error.js';
import { MemoryGate } from './gate.js';
import { registerHealth } from './health.js';
import type { Http } from './http.js';
import { parseJsonBodies } from './json-body.js';
import { MethodTable } from './methods.js';
import { formatProblem, Problem, PROBLEM_TYPE, statusOf, toKeelsonError } from './problem.js';
import type { Readiness } from './readiness.js';
import type { HttpSettings } from './settings.js';
import { endUnasked } from './unasked.js';

/** Bytes of a request's line and headers. */
const MAX_ADDRESS = 32 * 1024;

export interface HttpOptions {
  readonly settings: HttpSettings;
  readonly authenticate: Authenticate;
  readonly readiness: Readiness;
  readonly metrics: Registry;
  /** A pino logger. Absent: silent. */
  readonly logger?: FastifyBaseLogger;
  /** The version that /openapi.json tells. */
  readonly version: string;
}

/**
 * Builds the server; listens to nothing yet.
 * @throws Error when, later, a route is registered without `config.access`.
 */
export async function createHttp(options: HttpOptions): Promise<Http> {
  const { settings } = options;
  const http = Fastify({
    ...(options.logger === undefined ? {} : { loggerInstance: options.logger }),
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestId,
    bodyLimit: settings.KEELSON_HTTP_BODY_BYTES,
    requestTimeout: settings.KEELSON_HTTP_REQUEST_TIMEOUT_MS,
    keepAliveTimeout: settings.KEELSON_HTTP_KEEP_ALIVE_TIMEOUT_MS,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    http: {
      // Answered as a problem, below.
      requireHostHeader: false,
      headersTimeout: settings.KEELSON_HTTP_HEADERS_TIMEOUT_MS,
      maxHeaderSize: MAX_ADDRESS,
      connectionsCheckingInterval: 1_000,
    },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, request, reply) => void sendProblem(request, reply, error),
    // Ids are bounded by each route; percent-encoded, one takes up to nine times its characters.
    routerOptions: { maxParamLength: MAX_ADDRESS },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  http.server.maxConnections = settings.KEELSON_HTTP_MAX_CONNECTIONS;

  const memory = new MemoryGate(settings.KEELSON_HTTP_MEMORY_BYTES);
  http.decorate('memory', memory);
  const closing = new AbortController();
  // Of every answer that waits.
  setMaxListeners(0, closing.signal);
  http.decorate('closing', closing.signal);
  const endConnections = endUnasked(http.server);
  http.addHook('preClose', async () => {
    closing.abort();
    endConnections();
  });
  answerProblems(http);
  parseJsonBodies(http);
  await http.register(helmet, { global: true });
  boundRequests(http, settings.KEELSON_HTTP_MAX_REQUESTS);
  requireAccess(http, options.authenticate);
  measure(http, options.metrics, memory);
  await describe(http, options.version);
  registerHealth(http, options.readiness, options.metrics);
  return http;
}

/** The caller's own X-Request-Id where it is harmless to log, else a fresh one. */
function requestId(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

function answerProblems(http: Http): void {
  const table = new MethodTable();
  http.addHook('onRoute', (route) => table.add(route.url, [route.method].flat()));
  http.setErrorHandler((error, request, reply) => sendProblem(request, reply, error));
  http.setNotFoundHandler((request, reply) => {
    const allowed = table.allowed(request.url.split('?', 1)[0]!);
    if (allowed.length === 0)
      return sendProblem(request, reply, new KeelsonError('not_found', 'there is nothing here'));
    void reply.header('allow', allowed.join(', '));
    return sendProblem(request, reply, new KeelsonError('method_not_allowed', `this answers ${allowed.join(', ')}`));
  });
  http.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
    requireWellFormed(request);
  });
}

/** @throws KeelsonError `malformed_request`, `nul_character`: what Node lets pass and nothing behind this could handle. */
function requireWellFormed({ raw, url, headers }: FastifyRequest): void {
  if (raw.httpVersion === '1.1' && headers.host === undefined) {
    throw new KeelsonError('malformed_request', 'HTTP/1.1 wants a Host header');
  }
  if (url.includes('%00')) throw new KeelsonError('nul_character', 'the address holds the character U+0000');
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, thrown: unknown): FastifyReply {
  const error = toKeelsonError(thrown);
  if (error.code === 'internal') request.log.error({ err: error.cause, route: request.routeOptions.url }, 'a bug');
  if (error.code === 'unauthenticated') void reply.header('www-authenticate', 'Bearer realm="keelson"');
  if (error.code === 'forbidden')
    void reply.header('www-authenticate', 'Bearer realm="keelson", error="insufficient_scope"');
  if (error.code === 'bad_encoding') void reply.header('accept-encoding', 'gzip, deflate, identity');
  if (statusOf(error.code) === 503) void reply.header('retry-after', String(error.retryAfterS ?? 1));
  return reply
    .code(statusOf(error.code))
    .header('cache-control', 'no-store')
    .header('x-request-id', request.id)
    .type(PROBLEM_TYPE)
    .serializer(JSON.stringify)
    .send(formatProblem(error, request.id));
}

async function describe(http: Http, version: string): Promise<void> {
  await http.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Keelson',
        version,
        description: 'Audit and revocation for AI agents.',
        license: { name: 'Apache-2.0' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'kls_…' } } },
    },
    transform: ({ schema, url, route }) => {
      const access = route.config?.access;
      const described = {
        ...schema,
        ...(typeof access === 'object' ? { security: [{ token: [] }] } : {}),
      };
      return { schema: described, url };
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
    },
  });
  http.addSchema(Problem);
  await http.register(swaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { deepLinking: true } });
  http.get('/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, async () => http.swagger());
}

/** Counts requests from their headers until their answer is out or the connection gone. Health is never refused. */
function boundRequests(http: Http, limit: number): void {
  let inFlight = 0;
  http.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.access === 'public') return;
    if (inFlight >= limit) {
      throw new KeelsonError('overloaded', `more than ${limit} requests are being worked on`, { retryAfterS: 1 });
    }
    inFlight++;
    reply.raw.once('close', () => inFlight--);
  });
}

function requireAccess(http: Http, authenticate: Authenticate): void {
  http.decorateRequest('caller', undefined as unknown as Caller);
  http.addHook('onRoute', (route) => {
    if (/^\/docs(\/|$)/.test(route.url)) route.config = { ...route.config, access: 'public' };
    if (route.config?.access === undefined) throw new Error(`the route ${route.url} does not say who may call it`);
  });
  http.addHook('onRequest', async (request) => {
    const access = request.routeOptions.config.access;
    if (access === 'public' || access === 'own' || request.is404) return;
    request.caller = await authenticate(request.headers.authorization);
    requireAnyScope(request.caller, access!);
  });
}

function measure(http: Http, metrics: Registry, memory: MemoryGate): void {
  const seconds = new Histogram({
    name: 'keelson_http_request_seconds',
    help: 'Time from a request to its answer',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [metrics],
  });
  new Gauge({
    name: 'keelson_http_held_bytes',
    help: 'Bytes of request bodies held at this moment',
    registers: [metrics],
    collect() {
      this.set(memory.heldBytes);
    },
  });
  http.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
  });
}
