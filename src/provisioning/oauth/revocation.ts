/** Token revocation (RFC 7009): a client says of a token that nobody may use it any more. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ownedIssuers, type Producer } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import type { JsonObject } from '../../events/index.js';
import { authenticateClient } from './client.js';
import { formOf } from './form.js';
import { eventId, say, type OAuthParts } from './parts.js';
import { readToken, type ShownToken } from './token.js';

/**
 * Answers 200 for every token that may be revoked, known or not, once the ledger has it.
 * @throws KeelsonError `unauthenticated`, `forbidden`, `invalid_request`, `unsupported_token_type`, as `say`
 */
export async function revokeToken(
  parts: OAuthParts,
  source: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  await authenticateClient(parts.access, request.headers.authorization, source);
  const form = formOf(request);
  const text = form.get('token');
  if (text === undefined) throw new KeelsonError('invalid_request', 'the parameter token is missing');
  const producer = await parts.access.producer(source);
  const token = readToken(text);
  // What the hint says of others, it only says to find them faster (section 2.1).
  const isRefresh = form.get('token_type_hint') === 'refresh_token';
  const event = describe(token, requireIssuer(producer, token), isRefresh);
  const id = eventId(isRefresh ? 'revoke-grant' : 'revoke', token.digest);
  await say(parts, producer, [{ id, event }], true);
  return reply.code(200).header('cache-control', 'no-store').send();
}

/** @throws KeelsonError `forbidden` */
function requireIssuer(producer: Producer, token: ShownToken): string {
  const { issuer = producer.config.openid?.issuer ?? producer.config.issuer ?? '' } = token;
  if (issuer !== '' && ownedIssuers(producer).has(issuer)) return issuer;
  throw new KeelsonError(
    'forbidden',
    issuer === ''
      ? `the producer ${producer.id} has no issuer, so it revokes nobody's tokens`
      : `the producer ${producer.id} does not own the issuer of this token`,
  );
}

const describe = ({ digest, jti }: ShownToken, issuer: string, grants: boolean): JsonObject => ({
  type: 'revocation.requested',
  target: {
    type: 'token',
    issuer,
    digest,
    ...(jti === undefined ? {} : { value: jti }),
    ...(grants ? { grants } : {}),
  },
  source_system: 'oauth',
  reason_code: 'oauth.revocation',
  reason: 'the client revoked the token',
});
