import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { describeToken } from '../../src/guard/describe.js';
import { ENTRA, KEYCLOAK, readClaims, STANDARD, summarize } from '../../src/guard/mapping.js';
import { nodeHasher } from '../../src/platform/hasher.js';

describe('claims', () => {
  it('of Entra name the person by oid, the token by uti', () => {
    const facts = readClaims(ENTRA, {
      iss: 'https://login.microsoftonline.com/t/v2.0',
      sub: 'pairwise',
      oid: '3f1c…',
      uti: 'token-1',
      azp: 'app-1',
      sid: 's-1',
      groups: ['g-1', 7, 'g-2'],
      iat: 1_800_000_000,
    });
    expect(facts).toMatchObject({
      jti: 'token-1',
      subject: 'pairwise',
      subjects: [{ id: '3f1c…' }],
      clientId: 'app-1',
      sessionId: 's-1',
      groups: ['g-1', 'g-2'],
      issuedAtUs: 1_800_000_000_000_000,
    });
  });

  it('of Keycloak name the session by either claim', () => {
    expect(readClaims(KEYCLOAK, { session_state: 'old' }).sessionId).toBe('old');
    expect(readClaims(KEYCLOAK, { session_state: 'old', sid: 'new' }).sessionId).toBe('new');
  });

  it('name every actor of a chain, and SPIFFE IDs as agents', () => {
    const act = { sub: 'agent-2', act: { sub: 'spiffe://x/agent-1', iss: 'https://other', act: { sub: 7 } } };
    expect(readClaims(STANDARD, { sub: 'spiffe://x/me', act }, 'ab')).toMatchObject({
      digest: 'ab',
      agents: ['spiffe://x/me', 'spiffe://x/agent-1'],
      actors: [{ id: 'agent-2' }, { id: 'spiffe://x/agent-1', issuer: 'https://other' }],
    });
  });

  it('name grants and delegations, and the environment, else the point’s own', () => {
    const claims = { grant_id: 'g', delegation: ['d-1', 'd-2'], environment: 'staging' };
    expect(readClaims(STANDARD, claims)).toMatchObject({
      grants: ['g'],
      delegations: ['d-1', 'd-2'],
      environment: 'staging',
    });
    const own = { ...STANDARD, ownEnvironment: 'production' };
    expect([{}, claims].map((one) => readClaims(own, one).environment)).toEqual(['production', 'staging']);
  });

  it('that are of another type, inherited, or without end are not there', () => {
    const endless: Record<string, unknown> = { sub: 'a' };
    endless.act = endless;
    const facts = readClaims(STANDARD, {
      iss: 1,
      sub: '',
      jti: null,
      iat: '1800000000',
      groups: 'admins',
      act: endless,
    });
    expect(facts).toMatchObject({ issuer: undefined, subject: undefined, jti: undefined, groups: [] });
    expect(facts.issuedAtUs).toBeUndefined();
    expect(facts.actors).toHaveLength(32);
    expect(readClaims({ subject: 'constructor', aliases: ['__proto__'] }, {})).toMatchObject({ subjects: [] });
  });
});

it('a mapping has one hash, whatever the order of its members, and says what it can find', () => {
  const reversed = Object.fromEntries(Object.entries(STANDARD).reverse());
  expect(formatHex(summarize(nodeHasher, reversed).hash)).toBe(formatHex(summarize(nodeHasher, STANDARD).hash));
  expect(formatHex(summarize(nodeHasher, ENTRA).hash)).not.toBe(formatHex(summarize(nodeHasher, STANDARD).hash));
  expect(summarize(nodeHasher, { jti: 'jti' }).keyTypes).toEqual(['token', 'tool']);
  expect(summarize(nodeHasher, { ownEnvironment: 'production' }).keyTypes).toEqual(['environment', 'tool']);
  for (const ready of [STANDARD, ENTRA, KEYCLOAK]) expect(summarize(nodeHasher, ready).keyTypes).toHaveLength(10);
});

describe('a decision is told of its token', () => {
  const describeClaims = (claims: Record<string, unknown>): Record<string, unknown> =>
    describeToken(readClaims(STANDARD, { iss: 'https://idp', iat: 1_800_000_000, ...claims }, 'ab'));

  it('who acts for whom, and which token it was', () => {
    const act = { sub: 'agent-2', act: { sub: 'agent-1' } };
    const person = { issuer: 'https://idp', id: 'ana' };
    expect(describeClaims({ sub: 'ana', jti: 't', client_id: 'c', sid: 's', act })).toEqual({
      agent: 'agent-2',
      client: 'c',
      user: person,
      delegation_chain: [{ agent: 'agent-2' }, { agent: 'agent-1' }],
      context: { session_id: 's' },
      token: {
        jti: 't',
        issuer: 'https://idp',
        client_id: 'c',
        issued_at: '2027-01-15T08:00:00.000Z',
        subject: person,
      },
    });
  });

  it('no person where it names none, its digest where it has no id, no time that is none', () => {
    expect(describeClaims({ sub: 'spiffe://x/me' })).toMatchObject({ agent: 'spiffe://x/me', token: { digest: 'ab' } });
    for (const claims of [{ sub: 'spiffe://x/me' }, { sub: 'c', client_id: 'c' }, {}]) {
      expect(describeClaims(claims)).not.toHaveProperty('user');
    }
    expect(describeClaims({ iat: 1e300 }).token).not.toHaveProperty('issued_at');
  });
});
