/**
 * The guard inside a fastify server: every request of the scope it is registered in is checked, after the host's own authentication.
 *
 *     await app.register(guardRoutes, { guard, claimsOf: (request) => request.user, toolOf: (request) => request.routeOptions.url });
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { KnownToken, Refused } from './check.js';
import type { Guard } from './guard.js';
import type { Session } from './holdings.js';
import type { ClaimSet } from './mapping.js';
import type { Publisher } from './publisher.js';

export interface RouteGuardOptions {
  readonly guard: Guard;
  /** The claims of the request's verified token; undefined or null: there is none, and the request is refused. */
  readonly claimsOf: (request: FastifyRequest) => ClaimSet | null | undefined;
  /** What is called; undefined: whatever. */
  readonly toolOf?: (request: FastifyRequest) => string | undefined;
  /** Where decisions go; the guard's own publisher where absent. */
  readonly publisher?: Publisher;
  /** Members of the recorded decision that the token does not say, or says otherwise. */
  readonly describe?: (request: FastifyRequest) => Record<string, unknown>;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Aborts when what the request stands on is revoked while it is worked on. */
    revoked: AbortSignal | undefined;
  }
}

/**
 * Where, below the prefix of the scope, the canary is shown: a route like the host's others, behind all its hooks. The host's authentication has to let requests to it go on
 * without a token; the guard refuses all but its own canary there, which nobody else can show.
 */
export const CANARY_PATH = '/.well-known/keelson-canary';
const CANARY_HEADER = 'keelson-canary';
const REFUSAL_HEADER = 'keelson-refusal';
const NO_TOKEN = { allowed: false, reason: 'no_token', seq: 0 } as const;

/** A fastify plugin. It stays in its scope's hooks: as if it were written there. */
export const guardRoutes = Object.assign(
  async (app: FastifyInstance, options: RouteGuardOptions): Promise<void> => {
    const { guard, claimsOf, toolOf, publisher = options.guard.publisher, describe } = options;
    const sessions = new WeakMap<FastifyRequest, Session>();
    /** Canaries under way, by a random name that nobody else knows. */
    const probed = new Map<string, KnownToken>();
    const identify = (request: FastifyRequest): KnownToken | undefined => {
      const claims = claimsOf(request);
      const bearer = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
      return claims === undefined || claims === null ? undefined : guard.token(claims, bearer);
    };
    app.decorateRequest('revoked', undefined);
    const canaryPath = `${app.prefix}${CANARY_PATH}`;
    app.get(CANARY_PATH, async () => 'let in');
    // Not earlier: asking would make it ready, and no route may be added behind that.
    const isReady = new Promise<void>((resolve) => app.addHook('onReady', async () => resolve()));
    const stop = guard.addProbe(async (canary) => {
      await isReady;
      const name = randomUUID();
      probed.set(name, canary);
      try {
        const { headers, statusCode } = await app.inject({ url: canaryPath, headers: { [CANARY_HEADER]: name } });
        if (probed.has(name)) {
          throw new Error(`${canaryPath} was answered with ${statusCode} before the guard saw it: nothing is attested`);
        }
        return headers[REFUSAL_HEADER] === 'cutoff';
      } finally {
        probed.delete(name);
      }
    });
    app.addHook('onClose', async () => stop());
    app.addHook('preHandler', async (request, reply) => {
      const name = request.headers[CANARY_HEADER] as string;
      const canary = probed.get(name);
      probed.delete(name);
      const token = canary ?? identify(request);
      const tool = toolOf?.(request);
      const verdict = token === undefined ? NO_TOKEN : guard.check(token, tool);
      // What is for the canary alone is nobody's decision: it is open to everybody.
      if (request.routeOptions.url !== canaryPath) {
        const decision = verdict.allowed ? 'allow' : 'deny';
        publisher?.publish(
          { ...(tool === undefined ? {} : { tool }), decision, ...describe?.(request) },
          { token, verdict },
        );
      }
      if (token === undefined || !verdict.allowed) return refuse(reply, verdict.allowed ? NO_TOKEN : verdict);
      const session = guard.session(token, tool);
      sessions.set(request, session);
      request.revoked = session.signal;
      // An answer under way is broken off: half of it is better than all of it.
      session.signal.addEventListener('abort', () => reply.raw.destroy(), { once: true });
      return undefined;
    });
    app.addHook('onResponse', async (request) => sessions.get(request)?.close());
    app.addHook('onRequestAbort', async (request) => sessions.get(request)?.close());
  },
  { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'keelson-guard' },
);

/** Not trusted for now: come back; revoked: get another token (RFC 6750 §3.1). */
function refuse(
  reply: FastifyReply,
  { reason, seq, order }: Omit<Refused, 'reason'> & { readonly reason: string },
): FastifyReply {
  const isTemporary = reason === 'stale' || reason === 'starting';
  if (isTemporary) void reply.header('retry-after', '1');
  else void reply.header('www-authenticate', `Bearer error="invalid_token", error_description="${reason}"`);
  return reply
    .code(isTemporary ? 503 : 401)
    .header('cache-control', 'no-store')
    .header(REFUSAL_HEADER, reason)
    .type('application/problem+json')
    .send({
      type: `urn:keelson:problem:${reason}`,
      title: 'refused by revocation',
      status: isTemporary ? 503 : 401,
      seq,
      ...(order === undefined ? {} : { order }),
    });
}
