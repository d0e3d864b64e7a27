/**
 * What OAuth and OpenID Connect have to say that something is over, for each source under `/oauth/<source>`: token revocation,
 * back-channel logout, global token revocation; and the metadata that leads there.
 */
import type { FastifyContextConfig, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { PRODUCER_ID } from '../../access/producer.js';
import type { Http } from '../../http/http.js';
import { Problem } from '../../http/problem.js';
import { takeForms } from './form.js';
import { revokeAll } from './global-revocation.js';
import { logOut } from './logout.js';
import type { OAuthParts } from './parts.js';
import { revokeToken } from './revocation.js';

const tags = ['revocation'];
const config: FastifyContextConfig = { access: 'own' };
const params = Type.Object({ source: Type.String({ pattern: PRODUCER_ID }) });
const Failed = Type.Object({ error: Type.String(), error_description: Type.String() });

export async function registerOAuth(http: Http, parts: OAuthParts): Promise<void> {
  await http.register(async (scope: Http) => {
    takeForms(scope);
    // Forms are read above.
    const described = { params, response: { 200: Type.Null(), '4xx': Failed, '5xx': Failed } };
    scope.post(
      '/oauth/:source/revoke',
      { config, schema: { tags, summary: 'Revoke a token (RFC 7009): a form with `token`', ...described } },
      (request, reply) => revokeToken(parts, request.params.source, request, reply) as never,
    );
    scope.post(
      '/oauth/:source/backchannel-logout',
      {
        config,
        schema: { tags, summary: 'OpenID Connect Back-Channel Logout: a form with `logout_token`', ...described },
      },
      (request, reply) => logOut(parts, request.params.source, request, reply) as never,
    );
  });
  http.post(
    '/oauth/:source/global-token-revocation',
    {
      config,
      schema: {
        tags,
        summary: 'Sign a person out of everything (Global Token Revocation, Okta Universal Logout)',
        params,
        response: { 204: Type.Null(), '4xx': Problem, '5xx': Problem },
      },
    },
    (request, reply) => revokeAll(parts, request.params.source, request, reply) as never,
  );
  http.get(
    '/.well-known/oauth-authorization-server/oauth/:source',
    // The same for sources that are not there: who asks without credentials learns no names.
    { config, schema: { tags, summary: 'Where these endpoints are (RFC 8414)', params } },
    (request, reply) => reply.send(describeServer(`${baseOf(request)}/oauth/${request.params.source}`)),
  );
}

const baseOf = ({ protocol, host }: FastifyRequest): string => `${protocol}://${host}`;

/** No tokens are issued here: of what RFC 8414 requires there is only what says so. */
const describeServer = (issuer: string): object => ({
  issuer,
  response_types_supported: [],
  grant_types_supported: [],
  revocation_endpoint: `${issuer}/revoke`,
  revocation_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
  global_token_revocation_endpoint: `${issuer}/global-token-revocation`,
  global_token_revocation_endpoint_auth_methods_supported: ['Bearer', 'private_key_jwt'],
});
