/** Global Token Revocation (draft-parecki-oauth-global-token-revocation-06) at a real server, also as Okta signs it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Api } from '../support/api.js';
import { type Answer, type Json } from '../support/api.js';
import { eventsOf, openService, SCIM, ScimClient, type Service } from './harness.js';

const OKTA = 'https://acme.okta.example';
const IDP = 'https://idp.example';
const ENDPOINT = 'https://keelson.example/oauth/okta/global-token-revocation';
const nowS = (): number => Math.floor(Date.now() / 1000);

let service: Service;
let key: CryptoKey;
let okta: Api;
let scim: ScimClient;
let users = 0;

beforeAll(async () => {
  const pair = await generateKeyPair('RS256', { extractable: true });
  key = pair.privateKey;
  const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k', alg: 'RS256', use: 'sig' }] };
  service = await openService({ KEELSON_REVOCATION_SKEW_MS: '0' });
  const openid = { issuer: OKTA, audiences: [ENDPOINT], jwks, emailIssuer: IDP };
  const aliases = [{ attribute: 'userName' }, { attribute: 'externalId', issuer: OKTA }];
  scim = await ScimClient.open(service, 'okta', { ...SCIM, aliases }, { openid });
  okta = await service.admin.as('okta', ['publish:lifecycle']);
});
afterAll(() => service?.close());

/** Somebody whom Okta provisioned: their e-mail address, their id at Okta, and the one that SCIM gave them. */
async function user(): Promise<{ email: string; sub: string; id: string }> {
  const n = users++;
  const [email, sub] = [`user${n}@acme.example`, `00u${n}`];
  return { email, sub, id: await scim.user(email, { externalId: sub }) };
}

const signed = (claims: Json = {}, header: Json = {}, by = key): Promise<string> =>
  new SignJWT({
    iss: OKTA,
    sub: 'instance-id',
    aud: ENDPOINT,
    iat: nowS(),
    nbf: nowS() - 300,
    exp: nowS() + 300,
    jti: crypto.randomUUID(),
    ...claims,
  })
    .setProtectedHeader({ alg: 'RS256', kid: 'k', typ: 'global-token-revocation+jwt', ...header })
    .sign(by);

function send(body: unknown, token: string = okta.token, headers: Record<string, string> = {}, source = 'okta') {
  const path = `/oauth/${source}/global-token-revocation`;
  return service.admin.post<Json>(path, body, { authorization: `Bearer ${token}`, ...headers });
}
const check = async (facts: Json): Promise<unknown> =>
  (await service.admin.post<Json>('/v1/check', { issuer: OKTA, ...facts })).body.revoked;
async function until(facts: Json, revoked = true): Promise<void> {
  for (const end = Date.now() + 15_000; (await check(facts)) !== revoked;) {
    if (Date.now() > end) throw new Error(`still not: ${JSON.stringify(facts)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const requested = async (): Promise<Json[]> =>
  (await eventsOf(service, 'okta')).filter(({ type }) => type === 'revocation.requested');

describe('somebody is signed out', () => {
  test('of everything issued up to now, at every issuer, and may sign in again', async () => {
    const { email, sub } = await user();
    const old = Date.now() / 1000 - 1;
    const answer = await send({ sub_id: { format: 'iss_sub', iss: OKTA, sub } }, await signed());
    expect([answer.status, answer.body]).toEqual([204, '']);
    await until({ subject: sub, issued_at: old });
    await until({ issuer: IDP, subject: email, issued_at: old });
    expect(await check({ subject: sub, issued_at: Date.now() / 1000 })).toBe(false);
    expect((await requested()).at(-1)).toMatchObject({
      principal: { issuer: OKTA, id: sub },
      effect: 'cutoff',
      reason_code: 'oauth.global_token_revocation',
    });
    const { body } = await service.admin.get<{ revocations: Json[] }>('/v1/revocations?source=okta&limit=1');
    expect(body.revocations[0]).toMatchObject({ kind: 'request', state: 'ordered', effect: 'cutoff', security: false });
  });

  test('whatever they are called: by e-mail, by the id SCIM gave, by aliases, as the user of a complex subject', async () => {
    const subjects = [
      ({ email }: Awaited<ReturnType<typeof user>>) => ({ format: 'email', email }),
      ({ id }) => ({ format: 'opaque', id }),
      ({ sub }) => ({
        format: 'aliases',
        identifiers: [
          { format: 'email', email: 'unknown@acme.example' },
          { format: 'iss_sub', iss: 'https://foreign.example', sub },
          { format: 'iss_sub', iss: OKTA, sub },
        ],
      }),
      ({ email }) => ({ format: 'complex', user: { format: 'email', email } }),
    ] satisfies ((who: Awaited<ReturnType<typeof user>>) => Json)[];
    for (const name of subjects) {
      const who = await user();
      expect((await send({ sub_id: name(who) })).status).toBe(204);
      await until({ subject: who.sub, issued_at: nowS() - 10 });
    }
  });

  test('grants and sessions end for good', async () => {
    const { sub } = await user();
    const publisher = await service.admin.as('okta', ['publish:decisions', 'publish:lifecycle']);
    const principal = { issuer: OKTA, id: sub };
    const timestamp = new Date().toISOString();
    const said = await publisher.post(
      '/v1/events',
      [
        { type: 'grant.given', timestamp, grant: `g-${sub}`, issuer: OKTA, principal, client: 'app' },
        { type: 'session.started', timestamp, session_id: `s-${sub}`, issuer: OKTA, user: principal },
      ],
      { prefer: 'wait=5' },
    );
    expect(said.status).toBe(200);
    // What the graph learns of afterwards is taken for later, and is refused only where it was issued before.
    for (const thing of [`grant/g-${sub}`, `session/s-${sub}`]) {
      const path = `/v1/identity/${thing}?issuer=${encodeURIComponent(OKTA)}`;
      while ((await service.admin.get(path)).status !== 200) await sleep(20);
    }
    expect((await send({ sub_id: { format: 'iss_sub', iss: OKTA, sub } })).status).toBe(204);
    await until({ grants: [`g-${sub}`], issued_at: Date.now() / 1000 });
    await until({ session_id: `s-${sub}`, issued_at: Date.now() / 1000 });
  });

  test('once for each request, however often it comes', async () => {
    const { sub } = await user();
    const body = { sub_id: { format: 'iss_sub', iss: OKTA, sub } };
    const before = (await requested()).length;
    const token = await signed();
    for (let i = 0; i < 3; i++) expect((await send(body, token)).status).toBe(204);
    for (let i = 0; i < 3; i++) expect((await send(body, okta.token, { 'idempotency-key': 'k1' })).status).toBe(204);
    expect((await requested()).length).toBe(before + 2);
  });
});

describe('what is refused', () => {
  test.each<[string, unknown, number]>([
    ['no subject', {}, 400],
    ['a list', [], 400],
    ['a format that is unknown', { sub_id: { format: 'phone_number', phone_number: '+1' } }, 400],
    ['no format', { sub_id: { iss: OKTA, sub: 'x' } }, 400],
    ['a name that is missing', { sub_id: { format: 'iss_sub', iss: OKTA } }, 400],
    ['a name that is no text', { sub_id: { format: 'iss_sub', iss: OKTA, sub: 7 } }, 400],
    ['a user on one device', { sub_id: { format: 'complex', user: { format: 'opaque', id: 'x' }, device: {} } }, 400],
    ['aliases of aliases', { sub_id: { format: 'aliases', identifiers: [{ format: 'aliases' }] } }, 400],
    [
      'too many aliases',
      { sub_id: { format: 'aliases', identifiers: Array(21).fill({ format: 'opaque', id: 'x' }) } },
      400,
    ],
    ['nobody', { sub_id: { format: 'iss_sub', iss: OKTA, sub: 'nobody' } }, 404],
    ['somebody of another issuer', { sub_id: { format: 'iss_sub', iss: 'https://foreign.example', sub: 'x' } }, 403],
  ])('%s', async (_what, body, status) => {
    expect((await send(body)).status).toBe(status);
  });

  test('whoever may not ask', async () => {
    const { sub } = await user();
    const body = { sub_id: { format: 'iss_sub', iss: OKTA, sub } };
    const stranger = (await generateKeyPair('RS256')).privateKey;
    const other = await service.admin.as('other', ['publish:lifecycle']);
    const weak = await service.admin.as('okta', ['publish:decisions']);
    const cases: [string, Answer<Json>, number][] = [
      ['a made-up token', await send(body, 'x'), 401],
      ['another key', await send(body, await signed({}, {}, stranger)), 401],
      ['meant for another app', await send(body, await signed({ aud: 'https://other.example' })), 401],
      ['another issuer', await send(body, await signed({ iss: IDP })), 401],
      ['expired', await send(body, await signed({ iat: nowS() - 400, exp: nowS() - 100 })), 401],
      ['old, whatever it says', await send(body, await signed({ iat: nowS() - 3600, exp: nowS() + 3600 })), 401],
      ['a logout token', await send(body, await signed({}, { typ: 'logout+jwt' })), 401],
      ['without jti', await send(body, await signed({ jti: undefined })), 401],
      ['another producer', await send(body, other.token), 403],
      ['without the scope', await send(body, weak.token), 403],
      ['signed, where there is no provider', await send(body, await signed(), {}, 'other'), 401],
      ['of nobody', await send(body, await signed(), {}, 'nobody'), 404],
    ];
    for (const [what, { status }, expected] of cases) expect([what, status]).toEqual([what, expected]);
    expect(await check({ subject: sub, issued_at: nowS() - 10 })).toBe(false);
  });
});

test('the metadata lead there, and tell nobody which sources there are', async () => {
  const { url } = service.admin;
  for (const source of ['okta', 'nobody']) {
    const response = await fetch(`${url}/.well-known/oauth-authorization-server/oauth/${source}`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      issuer: `${url}/oauth/${source}`,
      revocation_endpoint: `${url}/oauth/${source}/revoke`,
      global_token_revocation_endpoint: `${url}/oauth/${source}/global-token-revocation`,
      global_token_revocation_endpoint_auth_methods_supported: ['Bearer', 'private_key_jwt'],
    });
  }
});
