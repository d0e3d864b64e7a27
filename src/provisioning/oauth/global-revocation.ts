/** Global Token Revocation (draft-parecki-oauth-global-token-revocation-06), which Okta calls Universal Logout. */
import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Producer } from '../../access/producer.js';
import { KeelsonError } from '../../core/error.js';
import { isObject, type Json } from '../../events/index.js';
import type { Person } from '../../vault/index.js';
import { authenticateClient } from './client.js';
import { eventId, say, type OAuthParts } from './parts.js';
import { verifySigned } from './signed.js';
import { readSubject } from './subject.js';

/** Okta lets its own expire after five minutes. */
const MAX_AGE_S = 600;
const MAX_KEY = 500;

/**
 * Answers 204 once the ledger has it: everything that was issued to this person up to now is to be refused, and nothing may be
 * refreshed. Who signs in again goes on.
 * @throws KeelsonError `unauthenticated`, `forbidden`, `invalid_request`, `not_found` (nobody is known by this name), as `say`
 */
export async function revokeAll(
  parts: OAuthParts,
  source: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { producer, once } = await identify(parts, source, request);
  const body = request.body as Json | undefined;
  if (!isObject(body)) throw new KeelsonError('invalid_request', 'the body is a JSON object');
  const persons = await knownOf(parts, readSubject(producer, body.sub_id));
  await say(
    parts,
    producer,
    persons.map(({ issuer, id }) => ({
      id: eventId('global-revocation', ...once, issuer, id),
      event: {
        type: 'revocation.requested',
        principal: { issuer, id },
        effect: 'cutoff',
        source_system: 'oauth',
        reason_code: 'oauth.global_token_revocation',
        reason: 'all tokens of this person were revoked',
      },
    })),
  );
  return reply.code(204).header('cache-control', 'no-store').send();
}

/** Who asks, and what tells this request from the next: a signed one by its `jti`, others by their Idempotency-Key. */
async function identify(
  parts: OAuthParts,
  source: string,
  { headers }: FastifyRequest,
): Promise<{ producer: Producer; once: readonly string[] }> {
  const jwt = /^bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i.exec(headers.authorization ?? '')?.[1];
  if (jwt === undefined) {
    await authenticateClient(parts.access, headers.authorization, source);
    const key = headers['idempotency-key'];
    const once = typeof key === 'string' && key !== '' && key.length <= MAX_KEY ? key : randomUUID();
    return { producer: await parts.access.producer(source), once: ['key', once] };
  }
  const producer = await parts.access.producer(source);
  const { openid } = producer.config;
  if (openid === undefined)
    throw new KeelsonError('unauthenticated', `${source} has no OpenID provider that could sign`);
  const { jti } = await verifySigned(parts.keySets, openid, jwt, {
    types: ['global-token-revocation+jwt', 'jwt', undefined],
    maxAgeS: MAX_AGE_S,
    code: 'unauthenticated',
    nowUs: parts.clock.nowUs(),
  });
  return { producer, once: ['jti', openid.issuer, jti] };
}

/** Those of these names that anything here was ever said of. @throws KeelsonError `not_found` */
async function knownOf({ vault }: OAuthParts, persons: readonly Person[]): Promise<readonly Person[]> {
  const known = await Promise.all(
    persons.map(async (person) => ((await vault.lookup(person.issuer, person.id)) === undefined ? [] : [person])),
  );
  const found = known.flat();
  if (found.length === 0) throw new KeelsonError('not_found', 'nobody is known by this name', { pointer: '/sub_id' });
  return found;
}
