/** Token revocation, back-channel logout and global token revocation at a real server, with keys and providers of their own. */
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Api } from '../support/api.js';
import { type Answer, type Json } from '../support/api.js';
import { eventsOf, openService, type Service } from './harness.js';

const OP = 'https://op.example';
const CLIENT = 'keelson-at-op';
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const nowS = (): number => Math.floor(Date.now() / 1000);
const sha256 = (text: string): string => hash('sha256', text, 'hex');

/** A provider that serves its keys, and counts how often it is asked. */
class Provider {
  asked = 0;
  keys: JWK[] = [];
  #server: HttpServer;
  body: (() => string) | undefined;

  constructor() {
    this.#server = createServer((_request, response) => {
      this.asked++;
      response.setHeader('content-type', 'application/json');
      response.end(this.body?.() ?? JSON.stringify({ keys: this.keys }));
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  close = (): Promise<unknown> => new Promise((resolve) => this.#server.close(resolve));

  async addKey(kid: string, alg = 'RS256'): Promise<CryptoKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    this.keys.push({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' });
    return privateKey;
  }
}

const provider = new Provider();
let service: Service;
let key: CryptoKey;
let op: Api;
let jwksUri: string;
let url: string;

beforeAll(async () => {
  jwksUri = await provider.open();
  key = await provider.addKey('k1');
  service = await openService({ KEELSON_REVOCATION_SKEW_MS: '0', KEELSON_OAUTH_WAIT_MS: '2000' });
  await configure('op', {
    issuer: OP,
    openid: { issuer: OP, audiences: [CLIENT, 'https://keelson.example/gtr'], jwksUri },
  });
  op = await service.admin.as('op', ['publish:lifecycle']);
  url = op.url;
});
afterAll(async () => {
  await service?.close();
  await provider.close();
});

async function configure(source: string, config: object): Promise<Answer<Json>> {
  return service.admin.send<Json>('PUT', `/v1/producers/${source}`, config);
}

type Claims = { [name: string]: unknown };
let jtis = 0;
function sign(claims: Claims, header: object = {}, by = key): Promise<string> {
  const whole = { iss: OP, aud: CLIENT, iat: nowS(), exp: nowS() + 120, jti: `j${jtis++}`, ...claims };
  return new SignJWT(whole).setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'logout+jwt', ...header }).sign(by);
}
const logoutToken = (claims: Claims, header?: object, by?: CryptoKey): Promise<string> =>
  sign({ events: { [EVENT]: {} }, ...claims }, header, by);

async function form(
  path: string,
  parameters: Record<string, string> | string,
  headers: Record<string, string> = {},
): Promise<Answer<Json>> {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: typeof parameters === 'string' ? parameters : new URLSearchParams(parameters).toString(),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as Json };
}
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const basic = (id: string, secret: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
});
const logout = (token: string, source = 'op'): Promise<Answer<Json>> =>
  form(`/oauth/${source}/backchannel-logout`, { logout_token: token });
const revoke = (parameters: Record<string, string> | string, headers = bearer(op.token), source = 'op') =>
  form(`/oauth/${source}/revoke`, parameters, headers);

/** What `/v1/check` says, once it is what is expected: the order follows the request by milliseconds. */
async function untilRevoked(token: Json, revoked = true): Promise<Json> {
  for (const end = Date.now() + 15_000; ;) {
    const { body } = await service.admin.post<Json>('/v1/check', { issuer: OP, ...token });
    if (body.revoked === revoked) return body;
    if (Date.now() > end) throw new Error(`still not: ${JSON.stringify(body)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const isRevoked = async (token: Json): Promise<unknown> =>
  (await service.admin.post<Json>('/v1/check', { issuer: OP, issued_at: Date.now() / 1000, ...token })).body.revoked;
const requested = async (source = 'op'): Promise<Json[]> =>
  (await eventsOf(service, source)).filter(({ type }) => type === 'revocation.requested');

describe('token revocation', () => {
  test('a JWT is revoked by its id and by its digest, and stands nowhere', async () => {
    const token = await sign({ sub: 'anna', jti: 'access-1' }, { typ: 'at+jwt' });
    const answer = await revoke({ token, token_type_hint: 'access_token' });
    expect(answer).toMatchObject({ status: 200, body: {} });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    await untilRevoked({ jti: 'access-1' });
    expect(await isRevoked({ issuer: 'https://other.example', digest: sha256(token) })).toBe(true);
    const [event] = (await requested()).slice(-1);
    expect(event).toMatchObject({
      target: { type: 'token', issuer: OP, value: 'access-1', digest: sha256(token) },
      reason_code: 'oauth.revocation',
    });
    const { rows } = await service.database.tamper(
      `select table_schema || '.' || table_name as table from information_schema.tables
       where table_type = 'BASE TABLE' and table_schema like 'keelson%'`,
    );
    expect(rows.length).toBeGreaterThan(10);
    const signature = token.split('.')[2]!;
    const texts = [`%${signature}%`, `%${Buffer.from(signature).toString('hex')}%`];
    for (const { table } of rows as { table: string }[]) {
      const sql = `select 1 from ${table} as t where t::text like any ($1) limit 1`;
      expect([table, (await service.database.tamper(sql, [texts])).rowCount]).toEqual([table, 0]);
    }
  });

  test('an opaque one by its digest; by Basic, too; the same again is the same', async () => {
    const token = 'opaque.refresh/token+1';
    const before = (await requested()).length;
    for (let i = 0; i < 3; i++) expect((await revoke({ token }, basic('op', op.token))).status).toBe(200);
    await untilRevoked({ digest: sha256(token) });
    expect((await requested()).length).toBe(before + 1);
    expect((await revoke({ token: 'never-seen-before', token_type_hint: 'whatever' })).status).toBe(200);
  });

  test('a refresh token takes its grant with it where the graph knows it', async () => {
    const token = 'opaque-refresh-2';
    const facts = { digest: sha256(token), issuer: OP, type: 'refresh_token' };
    const issued = { type: 'token.issued', timestamp: new Date().toISOString(), token: facts, grant: 'g-77' };
    const publisher = await service.admin.as('op', ['publish:decisions']);
    expect((await publisher.post('/v1/events', issued, { prefer: 'wait=5' })).status).toBe(200);
    expect((await revoke({ token, token_type_hint: 'refresh_token' })).status).toBe(200);
    await untilRevoked({ digest: sha256(token) });
    await untilRevoked({ grants: ['g-77'], jti: 'minted-from-it' });
    expect(await isRevoked({ grants: ['g-78'] })).toBe(false);
  });

  test('what a client may not', async () => {
    const foreign = await sign({ iss: 'https://elsewhere.example' }, { typ: 'at+jwt' });
    const other = await service.admin.as('other', ['publish:lifecycle']);
    const weak = await service.admin.as('op', ['publish:decisions']);
    const cases: [string, Answer<Json>, number, string][] = [
      ['no client', await revoke({ token: 'x' }, {}), 401, 'invalid_client'],
      ['a made-up token', await revoke({ token: 'x' }, bearer('kls_x')), 401, 'invalid_client'],
      ['another client id', await revoke({ token: 'x' }, basic('other', op.token)), 401, 'invalid_client'],
      ['no Basic at all', await revoke({ token: 'x' }, { authorization: 'Basic %%%' }), 401, 'invalid_client'],
      ['another producer', await revoke({ token: 'x' }, bearer(other.token)), 400, 'unauthorized_client'],
      ['without the scope', await revoke({ token: 'x' }, bearer(weak.token)), 400, 'unauthorized_client'],
      ['a token of another issuer', await revoke({ token: foreign }), 400, 'unauthorized_client'],
      ['without an issuer', await revoke({ token: 'x' }, bearer(other.token), 'other'), 400, 'unauthorized_client'],
      ['nothing', await revoke({}), 400, 'invalid_request'],
      ['twice', await revoke('token=a&token=b'), 400, 'invalid_request'],
      ['no ASCII', await revoke({ token: 'ä' }), 400, 'invalid_request'],
      ['too long', await revoke({ token: 'x'.repeat(40_000) }), 400, 'invalid_request'],
      ['an API token', await revoke({ token: op.token }), 400, 'unsupported_token_type'],
      ['a logout token', await revoke({ token: await logoutToken({ sub: 'a' }) }), 400, 'unsupported_token_type'],
      ['JSON', await revoke('{}', { ...bearer(op.token), 'content-type': 'application/json' }), 415, 'invalid_request'],
      ['a huge body', await revoke({ token: 'x'.repeat(100_000) }), 413, 'invalid_request'],
    ];
    for (const [what, { status, body, headers }, expected, error] of cases) {
      expect([what, status, body.error]).toEqual([what, expected, error]);
      expect(headers.get('cache-control')).toBe('no-store');
      if (status === 401) expect(headers.get('www-authenticate')).toContain('Basic');
      expect(JSON.stringify(body)).not.toContain(op.token);
    }
  });
});

describe('back-channel logout', () => {
  test('ends a session by its id', async () => {
    const answer = await logout(await logoutToken({ sid: 's-1', sub: 'anna' }));
    expect(answer).toMatchObject({ status: 200, body: {} });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    await untilRevoked({ session_id: 's-1' });
    expect(await isRevoked({ session_id: 's-2', subject: 'anna' })).toBe(false);
  });

  test('or all of somebody’s at this provider, and nothing that comes after', async () => {
    const started = { type: 'session.started', timestamp: new Date().toISOString(), session_id: 's-9', issuer: OP };
    const publisher = await service.admin.as('op', ['publish:decisions']);
    const said = await publisher.post('/v1/events', { ...started, user: 'ben' }, { prefer: 'wait=5' });
    expect(said.status).toBe(200);
    expect((await logout(await logoutToken({ sub: 'ben' }))).status).toBe(200);
    await untilRevoked({ subject: 'ben', issued_at: nowS() - 30 });
    await untilRevoked({ session_id: 's-9', issued_at: Date.now() / 1000 });
    expect(await isRevoked({ subject: 'ben' })).toBe(false);
    expect((await requested()).at(-1)).toMatchObject({
      principal: { issuer: OP, id: 'ben' },
      target: { type: 'session', issuer: OP },
      effect: 'cutoff',
    });
  });

  test('the same token again changes nothing; the same jti for something else is refused', async () => {
    const token = await logoutToken({ sid: 's-3', jti: 'once' });
    for (let i = 0; i < 2; i++) expect((await logout(token)).status).toBe(200);
    expect(await logout(await logoutToken({ sid: 's-4', jti: 'once' }))).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
    const sessions = (await requested()).filter(({ target }) => (target as Json).value === 's-3');
    expect(sessions).toHaveLength(1);
    expect(await isRevoked({ session_id: 's-4' })).toBe(false);
  });

  test.each<[string, Claims, object?]>([
    ['another issuer', { iss: 'https://evil.example' }],
    ['for somebody else', { aud: 'another-client' }],
    ['expired', { exp: nowS() - 300, iat: nowS() - 600 }],
    ['from the future', { iat: nowS() + 600, exp: nowS() + 900 }],
    ['very old', { iat: nowS() - 8000 }],
    ['without exp', { exp: undefined }],
    ['without iat', { iat: undefined }],
    ['without jti', { jti: undefined }],
    ['with a nonce', { nonce: 'n' }],
    ['an ID token', { events: undefined }],
    ['with another event', { events: { 'https://other': {} } }],
    ['an event that is no object', { events: { [EVENT]: 'x' } }],
    ['about nobody', { sid: undefined }],
    ['with a sid that is no text', { sid: 7 }],
    ['of another type', {}, { typ: 'JWT' }],
    ['of no type', {}, { typ: undefined }],
    ['of a critical extension', {}, { crit: ['x'], x: 1 }],
  ])('a token is refused that is %s', async (_what, claims, header) => {
    const token = await logoutToken({ sid: 'never', ...claims }, header).catch(() => undefined);
    if (token === undefined) return expect(header).toHaveProperty('crit');
    expect(await logout(token)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  test('a signature is refused that is none, of another key, or of a kind that is not allowed', async () => {
    const token = await logoutToken({ sid: 'never' });
    const [head, body, signature] = token.split('.') as [string, string, string];
    const none = Buffer.from('{"alg":"none","typ":"logout+jwt"}').toString('base64url');
    const stranger = (await generateKeyPair('RS256')).privateKey;
    const secret = await crypto.subtle.importKey(
      'raw',
      Buffer.from(JSON.stringify(provider.keys[0])),
      { name: 'HMAC', hash: 'SHA-256' },
      false,
      ['sign'],
    );
    const ps = await (async () => {
      const pair = await generateKeyPair('RS512', { extractable: true });
      provider.keys.push({ ...(await exportJWK(pair.publicKey)), kid: 'k512' });
      return pair.privateKey;
    })();
    for (const bad of [
      `${none}.${body}.`,
      `${head}.${body}.${Buffer.from(signature, 'base64url').reverse().toString('base64url')}`,
      `${head}.${body}`,
      await logoutToken({ sid: 'never' }, {}, stranger),
      await logoutToken({ sid: 'never' }, { alg: 'HS256' }, secret),
      await logoutToken({ sid: 'never' }, { alg: 'RS512', kid: 'k512' }, ps),
      'x',
    ]) {
      expect(await logout(bad)).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    }
    expect(await isRevoked({ session_id: 'never' })).toBe(false);
  });

  test('who has no provider has no such endpoint', async () => {
    await service.admin.as('plain', ['publish:lifecycle']);
    expect((await logout(await logoutToken({ sid: 's' }), 'plain')).status).toBe(404);
    expect((await logout(await logoutToken({ sid: 's' }), 'nobody')).status).toBe(404);
  });
});

test('what the ledger does not have in time is answered 503, and once it is sent again it is there once', async () => {
  const blocker = new pg.Client({ connectionString: service.database.adminUrl });
  await blocker.connect();
  const token = 'opaque-while-the-ledger-is-stuck';
  const logoutLater = await logoutToken({ sid: 's-stuck' });
  const ask = async (): Promise<Answer<Json>[]> => Promise.all([revoke({ token }), logout(logoutLater)]);
  try {
    await blocker.query('begin');
    await blocker.query('lock table keelson.page in access exclusive mode');
    for (const { status, headers, body } of await ask()) {
      expect([status, body.error]).toEqual([503, 'temporarily_unavailable']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
  } finally {
    await blocker.query('rollback');
    await blocker.end();
  }
  await expect.poll(async () => (await ask()).map(({ status }) => status), { timeout: 30_000 }).toEqual([200, 200]);
  await untilRevoked({ digest: sha256(token) });
  await untilRevoked({ session_id: 's-stuck' });
  const named = (await requested()).map(({ target }) => target as Json);
  expect(named.filter(({ digest, value }) => digest === sha256(token) || value === 's-stuck')).toHaveLength(2);
}, 60_000);

describe('the keys of a provider', () => {
  test('are fetched again for a key that is new, and not for every one that is made up', async () => {
    const rotating = new Provider();
    const uri = await rotating.open();
    const issuer = 'https://rotating.example';
    const first = await rotating.addKey('r1');
    await configure('rotating', { openid: { issuer, audiences: [CLIENT], jwksUri: uri } });
    const send = async (kid: string, by: CryptoKey): Promise<Answer<Json>> =>
      logout(await logoutToken({ iss: issuer, sid: 's' }, { kid }, by), 'rotating');
    try {
      expect((await send('r1', first)).status).toBe(200);
      const second = await rotating.addKey('r2', 'ES256');
      const signed = logoutToken({ iss: issuer, sid: 's' }, { kid: 'r2', alg: 'ES256' }, second);
      // Right after a fetch nobody asks again: the provider is told to come back.
      const early = await logout(await signed, 'rotating');
      expect(early).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
      expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
      for (let i = 0; i < 50; i++) expect((await send(`made-up-${i}`, first)).status).toBe(503);
      expect(rotating.asked).toBe(1);
      let late = early;
      for (const end = Date.now() + 20_000; late.status === 503 && Date.now() < end;) {
        await new Promise((resolve) => setTimeout(resolve, 250));
        late = await logout(await signed, 'rotating');
      }
      expect(late.status).toBe(200);
      expect(rotating.asked).toBe(2);
    } finally {
      await rotating.close();
    }
  });

  test.each<[string, (broken: Provider) => void]>([
    ['are no JSON', (broken) => (broken.body = () => '<html>')],
    ['are too many', (broken) => (broken.body = () => JSON.stringify({ keys: Array(101).fill({ kty: 'RSA' }) }))],
    ['are endless', (broken) => (broken.body = () => JSON.stringify({ keys: [{ x: 'x'.repeat(300_000) }] }))],
    ['are no list', (broken) => (broken.body = () => '{"keys":{}}')],
  ])('that %s are as good as none: later', async (_what, broke) => {
    const broken = new Provider();
    broke(broken);
    const issuer = 'https://broken.example';
    const configured = { openid: { issuer, audiences: [CLIENT], jwksUri: await broken.open() } };
    await configure('broken', configured);
    const answer = await logout(await logoutToken({ iss: issuer, sid: 's' }), 'broken');
    expect(answer).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
    await broken.close();
    expect((await logout(await logoutToken({ iss: issuer, sid: 's' }), 'broken')).status).toBe(503);
  });

  test('may stand in the configuration, but no private ones, and none where both are given', async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true });
    const [open, secret] = [await exportJWK(publicKey), await exportJWK(privateKey)];
    const issuer = 'https://inline.example';
    const shared = { issuer, audiences: [CLIENT] };
    expect((await configure('inline', { openid: { ...shared, jwks: { keys: [open] } } })).status).toBe(200);
    const token = await logoutToken({ iss: issuer, sid: 'inline-1' }, { alg: 'EdDSA', kid: undefined }, privateKey);
    expect((await logout(token, 'inline')).status).toBe(200);
    await untilRevoked({ issuer, session_id: 'inline-1' });
    const bad: [object, string][] = [
      [{ ...shared, jwks: { keys: [secret] } }, '/openid/jwks/keys/0'],
      [{ ...shared, jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, '/openid/jwks/keys/0'],
      [{ ...shared, jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'a', y: 'b' }] } }, '/openid/jwks/keys/0'],
      [{ ...shared, jwks: { keys: [open] }, jwksUri: 'https://inline.example/keys' }, '/openid'],
      [shared, '/openid'],
      [{ ...shared, jwksUri: 'http://inline.example/keys' }, '/openid/jwksUri'],
      [{ ...shared, jwksUri: 'https://user:pass@inline.example/keys' }, '/openid/jwksUri'],
      [{ ...shared, jwksUri: 'keys' }, '/openid/jwksUri'],
    ];
    for (const [openid, pointer] of bad) {
      expect(await configure('inline', { openid })).toMatchObject({
        status: 400,
        body: { code: 'invalid_request', pointer },
      });
    }
  });
});
