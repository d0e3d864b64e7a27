// @ts-check
/**
 * A gateway for MCP (Streamable HTTP): it knows who calls by their token, asks the guard, and hands the call on to the company's
 * tools. Prints its URL, and what becomes of it, as one JSON document a line.
 *
 * Environment: TOOLS_URL, ISSUER, JWKS (its public keys, JSON), CLAIMS (standard, entra or keycloak: which claim says what), FOLDER (for
 * what is not sent yet).
 * KEELSON_URL, KEELSON_ENROLMENT (kle_…), KEELSON_POINT, KEELSON_TOKEN (of the scope publish:decisions); without KEELSON_URL it
 * believes each token until that runs out, as gateways do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { createLocalJWKSet, jwtVerify } from 'jose';
// In a project of your own: @keelson/guard and @keelson/guard/fastify.
import { ENTRA, Guard, join, KEYCLOAK, nodeSigner, Publisher, readMembership, STANDARD } from '#guard';
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
  const { KEELSON_ENROLMENT = '', KEELSON_POINT = '', KEELSON_TOKEN = '' } = process.env;
  // Kept by a gateway that comes back after a restart; this one is another instance each time.
  const signer = nodeSigner(crypto.getRandomValues(new Uint8Array(32)));
  const membership = await join(url, KEELSON_ENROLMENT, signer);
  const onProblem = (/** @type {unknown} */ problem) => console.error(String(problem));
  const guard = new Guard({ url, membership: readMembership(membership, signer), mapping, onProblem });
  const options = { url, token: KEELSON_TOKEN, point: KEELSON_POINT, spoolFolder: FOLDER, onProblem };
  const publisher = new Publisher(guard.core, options);
  app.addHook('onClose', async () => {
    await publisher.close();
    guard.close();
  });
  await app.register(guardRoutes, {
    guard,
    claimsOf: (request) => /** @type {any} */ (request).claims,
    toolOf: (request) => toolOf(request.body),
    publisher,
    describe: (request) => describe(/** @type {any} */ (request).claims),
  });
  return guard;
}

/** What the ledger is told of who calls: facts of the token, never the token. @param {any} claims */
function describe(claims) {
  if (claims === undefined) return {};
  const at = (/** @type {number} */ seconds) => new Date(seconds * 1000).toISOString();
  // Entra's `sub` is another for each application; the person is `oid`.
  const person = { issuer: claims.iss, id: claims.oid ?? claims.sub };
  return {
    agent: claims.act?.sub ?? claims.client_id ?? claims.azp,
    user: person,
    client: claims.client_id ?? claims.azp,
    token: {
      jti: claims.jti ?? claims.uti,
      issuer: claims.iss,
      subject: person,
      issued_at: at(claims.iat),
      expires_at: at(claims.exp),
    },
  };
}

// Once all routes are there: the guard tries them. Not ready before it may trust its table: until then it would refuse everybody.
await app.ready();
guard?.start();
while (guard !== undefined && guard.core.lease === undefined) await sleep(20);
console.log(JSON.stringify({ url: `${await app.listen({ port: 0, host: '127.0.0.1' })}/mcp` }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void app.close().then(() => process.exit(0)));
