// @ts-check
/**
 * A gateway for MCP (Streamable HTTP): it knows who calls by their token, asks the guard, and hands the call on to the company's
 * tools. Prints its URL, and what becomes of it, as one JSON document a line.
 *
 * Environment: TOOLS_URL, ISSUER, JWKS (its public keys, JSON), CLAIMS (standard, entra or keycloak: which claim says what).
 * KEELSON_URL, KEELSON_ENROLMENT (kle_…), KEELSON_TOKEN (of the scope publish:decisions), FOLDER (for this gateway alone: who it is, and
 * what is not sent yet); without KEELSON_URL it believes each token until that runs out, as gateways do.
 */
import Fastify from 'fastify';
import { createLocalJWKSet, jwtVerify } from 'jose';
// In a project of your own: @keelson/guard and @keelson/guard/fastify.
import { ENTRA, KEYCLOAK, openGuard, STANDARD } from '#guard';
import { guardRoutes } from '#guard/fastify';
import { AUDIENCE } from './issuer.mjs';

const { TOOLS_URL = '', ISSUER = '', JWKS = '{"keys":[]}', FOLDER = '.', KEELSON_URL } = process.env;
const mapping = { standard: STANDARD, entra: ENTRA, keycloak: KEYCLOAK }[process.env.CLAIMS ?? 'standard'] ?? STANDARD;
const issuerKeys = createLocalJWKSet(JSON.parse(JWKS));
/** @type {Map<string, import('jose').JWTPayload>} */
const verified = new Map();
const app = Fastify({ forceCloseConnections: true });

/** Verifies a token once, and believes it until it runs out. @param {string | undefined} token */
async function claimsOf(token) {
  if (token === undefined) return undefined;
  const known = verified.get(token);
  if (known?.exp !== undefined && known.exp > Date.now() / 1000) return known;
  const checked = await jwtVerify(token, issuerKeys, { issuer: ISSUER, audience: AUDIENCE }).catch(() => undefined);
  if (checked !== undefined) verified.set(token, checked.payload);
  return checked?.payload;
}

/** The tool that a message of MCP calls. @param {any} message */
const toolOf = (message) => (message?.method === 'tools/call' ? String(message.params?.name) : undefined);

app.decorateRequest('claims', null);
app.addHook('onRequest', async (request) => {
  const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
  /** @type {any} */ (request).claims = await claimsOf(token);
});

const guard = KEELSON_URL === undefined ? undefined : await guardWith(KEELSON_URL);

app.post('/mcp', async (request, reply) => {
  if (/** @type {any} */ (request).claims === undefined) return reply.code(401).send();
  const answer = await fetch(TOOLS_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify(request.body),
    signal: AbortSignal.any([AbortSignal.timeout(30_000), ...(request.revoked ? [request.revoked] : [])]),
  });
  const text = await answer.text();
  return reply
    .code(answer.status)
    .type(answer.headers.get('content-type') ?? 'application/json')
    .send(text);
});

/** A guard, to which every request from here on is put. @param {string} url */
async function guardWith(url) {
  const opened = await openGuard({
    url,
    enrolment: process.env.KEELSON_ENROLMENT,
    publishToken: process.env.KEELSON_TOKEN,
    folder: FOLDER,
    mapping,
    onProblem: console.warn,
  });
  app.addHook('onClose', () => opened.close());
  await app.register(guardRoutes, {
    guard: opened,
    claimsOf: (request) => /** @type {any} */ (request).claims,
    toolOf: (request) => toolOf(request.body),
    describe: (request) => describe(/** @type {any} */ (request).claims),
  });
  return opened;
}

/** What the ledger is told beside what the guard finds in a token: here the client is the agent, where no other is named. @param {any} claims */
const describe = (claims) => claims && { agent: claims.act?.sub ?? claims.client_id ?? claims.azp };

// Until it may trust its table it would refuse everybody.
await guard?.ready();
console.log(JSON.stringify({ url: `${await app.listen({ port: 0, host: '127.0.0.1' })}/mcp` }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close().then(() => process.exit(0)));
