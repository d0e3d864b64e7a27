/** JWT-SVIDs: real tokens, and everything that one may be instead. */
import { createHmac } from 'node:crypto';
import { exportSPKI, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseBundle, type Bundle } from '../../../src/identity/registration/bundle.js';
import { findingOf, type Finding } from '../../../src/identity/registration/finding.js';
import { verifyJwtSvid } from '../../../src/identity/registration/jwt-svid.js';
import { makeJwtKey, TrustDomain } from './authority.js';

const AUDIENCE = 'keelson.example';
let domain: TrustDomain;
let other: TrustDomain;
let bundles: Map<string, Bundle>;

beforeAll(async () => {
  domain = await TrustDomain.make('example.org');
  other = await TrustDomain.make('other.example', 'k2');
  bundles = new Map([
    ['example.org', parseBundle(Buffer.from(domain.bundle()))],
    ['other.example', parseBundle(Buffer.from(other.bundle()))],
  ]);
});

const check = (
  token: string,
  spiffeId = 'spiffe://example.org/bot',
  trusted: ReadonlyMap<string, Bundle> = bundles,
): Promise<Finding> =>
  findingOf(
    'jwt_svid',
    (known) =>
      verifyJwtSvid(
        token,
        { bundles: trusted, audiences: [AUDIENCE], spiffeIds: [spiffeId], nowMs: Date.now() },
        known,
      ),
    (bug) => {
      throw bug;
    },
  );

const now = (): number => Math.floor(Date.now() / 1000);
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

it('holds', async () => {
  const exp = now() + 60;
  expect(await check(await domain.jwt('bot', AUDIENCE, { exp }))).toEqual({
    method: 'jwt_svid',
    detail: 'spiffe://example.org/bot',
    trustDomain: 'example.org',
    keyId: 'k1',
    expiresUs: BigInt(exp) * 1_000_000n,
  });
});

it.each(['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512'])('holds with %s', async (alg) => {
  const { privateKey, jwk } = await makeJwtKey('k', alg);
  const made = parseBundle(Buffer.from(JSON.stringify({ keys: [{ use: 'jwt-svid', ...jwk }] })));
  const token = await new SignJWT({ sub: 'spiffe://example.org/bot', aud: [AUDIENCE, 'x'], exp: now() + 60 })
    .setProtectedHeader({ alg, kid: 'k' })
    .sign(privateKey);
  expect(await check(token, undefined, new Map([['example.org', made]]))).not.toHaveProperty('code');
});

describe('claims and headers', () => {
  it.each<[string, object, object, string]>([
    ['has expired', { exp: now() - 60 }, {}, 'expired'],
    ['never expires', { exp: undefined }, {}, 'malformed'],
    ['is not valid yet', { nbf: now() + 600 }, {}, 'not_yet_valid'],
    ['is for another audience', { aud: 'someone.else' }, {}, 'wrong_audience'],
    ['is for nobody', { aud: undefined }, {}, 'wrong_audience'],
    ['is for an audience that begins like ours', { aud: `${AUDIENCE}.evil` }, {}, 'wrong_audience'],
    ['has no subject', { sub: undefined }, {}, 'not_an_svid'],
    ['has a subject that is no SPIFFE ID', { sub: 'bot' }, {}, 'not_an_svid'],
    ['has the trust domain for its subject', { sub: 'spiffe://example.org' }, {}, 'not_an_svid'],
    ['is somebody else’s', { sub: 'spiffe://example.org/other' }, {}, 'wrong_subject'],
    ['is of an unknown trust domain', { sub: 'spiffe://unknown.example/bot' }, {}, 'unknown_trust_domain'],
    ['is of another trust domain than its key', { sub: 'spiffe://other.example/bot' }, {}, 'unknown_key'],
    ['names no key', {}, { kid: undefined }, 'unknown_key'],
    ['names a key that is not there', {}, { kid: 'k9' }, 'unknown_key'],
    ['has a type of its own', {}, { typ: 'secevent+jwt' }, 'malformed'],
    ['brings its own key', {}, { jwk: { kty: 'EC' } }, 'malformed'],
    ['has a critical header', {}, { crit: ['b64'], b64: true }, 'malformed'],
  ])('that %s', async (_, claims, header, code) => {
    const payload = { sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 300, ...claims };
    const defined = <T extends object>(members: T): T =>
      Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T;
    const head = defined({ alg: 'ES256', kid: 'k1', typ: 'JWT', ...header });
    const token = await new SignJWT(defined(payload))
      .setProtectedHeader(head)
      .sign(domain.jwtKey.privateKey, { crit: { b64: true } });
    expect(await check(token)).toMatchObject({ code });
  });
});

describe('signatures', () => {
  it('of another key under a known name', async () => {
    const forged = await makeJwtKey('k1');
    const token = await new SignJWT({ sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 60 })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(forged.privateKey);
    expect(await check(token)).toMatchObject({ code: 'bad_signature' });
  });

  it('none at all', async () => {
    const claims = { sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 60 };
    for (const alg of ['none', 'None', 'NONE', '']) {
      expect(await check(`${part({ alg, kid: 'k1' })}.${part(claims)}.`)).toMatchObject({
        code: 'algorithm_not_allowed',
      });
    }
    expect(await check(`${part({ alg: 'ES256', kid: 'k1' })}.${part(claims)}.`)).toMatchObject({
      code: 'bad_signature',
    });
  });

  it('an HMAC under the public key', async () => {
    const { publicKey } = (await generateKeyPair('RS256', { extractable: true })) as { publicKey: CryptoKey };
    const spki = await exportSPKI(publicKey);
    const body = `${part({ alg: 'HS256', kid: 'k1' })}.${part({ sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 60 })}`;
    for (const key of [spki, JSON.stringify(domain.jwtKey.jwk)]) {
      const token = `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`;
      expect(await check(token)).toMatchObject({ code: 'algorithm_not_allowed' });
    }
  });

  it.each(['RS256', 'ES384', 'ES512', 'PS256'])('of an algorithm that is not the key’s: %s', async (alg) => {
    const { privateKey } = await makeJwtKey('k1', alg);
    const token = await new SignJWT({ sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 60 })
      .setProtectedHeader({ alg, kid: 'k1' })
      .sign(privateKey);
    expect(await check(token)).toMatchObject({ code: 'algorithm_not_allowed' });
  });

  it('of a key for certificates alone: its use is another one', async () => {
    const key = await makeJwtKey('ca');
    const made = parseBundle(Buffer.from(domain.bundle([{ use: 'x509-svid', x5c: [domain.root.x5c], ...key.jwk }])));
    const token = await new SignJWT({ sub: 'spiffe://example.org/bot', aud: AUDIENCE, exp: now() + 60 })
      .setProtectedHeader({ alg: 'ES256', kid: 'ca' })
      .sign(key.privateKey);
    expect(await check(token, undefined, new Map([['example.org', made]]))).toMatchObject({ code: 'unknown_key' });
  });

  it('broken anywhere', async () => {
    const token = await domain.jwt('bot', AUDIENCE);
    const dots = [token.indexOf('.'), token.lastIndexOf('.')];
    for (let at = 0; at < token.length; at += 3) {
      // The last digit of a part has bits that say nothing.
      if (dots.includes(at) || dots.includes(at + 1) || at === token.length - 1) continue;
      const broken = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      expect(await check(broken), `character ${at}`).toHaveProperty('code');
    }
  });
});

it.each(['', 'x', 'a.b.c', '..', 'eyJhbGciOiJFUzI1NiJ9..', `${'A'.repeat(9000)}.${'A'.repeat(9000)}.A`])(
  'what is no token: %#',
  async (text) => {
    expect((await check(text)).code).toMatch(/^(malformed|too_large)$/);
  },
);

describe('bundles', () => {
  const bundle = (document: unknown): Bundle => parseBundle(Buffer.from(JSON.stringify(document)));

  it('without keys trust nobody', async () => {
    const empty = new Map([['example.org', bundle({ keys: [] })]]);
    expect(await check(await domain.jwt('bot', AUDIENCE), undefined, empty)).toMatchObject({ code: 'unknown_key' });
  });

  it('may hold what is not used', () => {
    const { authorities, jwtKeys } = bundle({
      spiffe_refresh_hint: 60,
      keys: [
        { kty: 'EC' },
        { use: 'sig', kty: 'RSA' },
        { use: 'jwt-svid', kty: 'OKP', crv: 'Ed25519', kid: 'o' },
        { use: 'x509-svid', kty: 'EC' },
        { use: 'x509-svid', kty: 'EC', x5c: [domain.root.x5c, 'ignored'] },
      ],
    });
    expect([authorities.length, jwtKeys.size]).toEqual([1, 0]);
  });

  it.each<[string, unknown]>([
    ['no set', []],
    ['no list', { keys: {} }],
    ['no key', { keys: [1] }],
    ['a key without a name', { keys: [{ use: 'jwt-svid', kty: 'EC' }] }],
    ['no point of its curve', { keys: [{ use: 'jwt-svid', kty: 'EC', kid: 'k', crv: 'P-256', x: 'AA', y: 'AA' }] }],
    ['no certificate', { keys: [{ use: 'x509-svid', kty: 'EC', x5c: ['AAAA'] }] }],
    ['too many', { keys: Array.from({ length: 1_001 }, () => ({ use: 'sig', kty: 'EC' })) }],
  ])('that are none: %s', (_, document) => expect(() => bundle(document)).toThrow());

  it('with two keys of one name', () => {
    const key = { use: 'jwt-svid', ...domain.jwtKey.jwk };
    expect(() => bundle({ keys: [key, key] })).toThrow(/k1/);
  });
});
