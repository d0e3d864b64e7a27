/** OpenID Connect Back-Channel Logout 1.0: the provider says that a session, or all of somebody's, are over. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { JWTPayload } from 'jose';
import { KeelsonError } from '../../core/error.js';
import type { JsonObject } from '../../events/index.js';
import { formOf } from './form.js';
import { eventId, say, type OAuthParts } from './parts.js';
import { verifySigned } from './signed.js';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** A logout token that comes later than this is refused (section 4 recommends two minutes; deliveries are repeated). */
const MAX_AGE_S = 3600;

/**
 * Answers 200 once the ledger has it (section 2.8). The same token again changes nothing.
 * @throws KeelsonError `not_found` (no provider is configured), `invalid_request`, as `say`
 */
export async function logOut(
  parts: OAuthParts,
  source: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const producer = await parts.access.producer(source);
  const { openid } = producer.config;
  if (openid === undefined) throw new KeelsonError('not_found', `${source} has no OpenID provider`);
  const token = formOf(request).get('logout_token');
  if (token === undefined) throw new KeelsonError('invalid_request', 'the parameter logout_token is missing');
  const claims = await verifySigned(parts.keySets, openid, token, {
    types: ['logout+jwt'],
    maxAgeS: MAX_AGE_S,
    code: 'invalid_request',
    nowUs: parts.clock.nowUs(),
  });
  const event = { ...describe(claims, openid.issuer), source_system: 'openid', reason_code: 'openid.logout' };
  await say(parts, producer, [{ id: eventId('logout', openid.issuer, claims.jti), event }]);
  return reply.code(200).header('cache-control', 'no-store').send();
}

/** Section 2.6, steps 4 to 8. */
function describe({ events, nonce, sid, sub }: JWTPayload, issuer: string): JsonObject {
  const happened =
    typeof events === 'object' && events !== null ? (events as Record<string, unknown>)[EVENT] : undefined;
  if (typeof happened !== 'object' || happened === null || Array.isArray(happened)) {
    throw new KeelsonError('invalid_request', `events holds no object ${EVENT}`);
  }
  if (nonce !== undefined) throw new KeelsonError('invalid_request', 'a logout token has no nonce');
  for (const [name, value] of Object.entries({ sid, sub })) {
    if (value !== undefined && (typeof value !== 'string' || value === '' || value.length > 2048)) {
      throw new KeelsonError('invalid_request', `${name} is no id`);
    }
  }
  const type = 'revocation.requested';
  const reason = 'the OpenID provider logged the person out';
  if (typeof sid === 'string') return { type, target: { type: 'session', issuer, value: sid }, reason };
  if (typeof sub === 'string') {
    return { type, principal: { issuer, id: sub }, target: { type: 'session', issuer }, effect: 'cutoff', reason };
  }
  throw new KeelsonError('invalid_request', 'neither sid nor sub says whose session is over');
}
