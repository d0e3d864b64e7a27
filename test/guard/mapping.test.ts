import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { formatHex } from '../../src/core/bytes.js';
import { describeToken } from '../../src/guard/describe.js';
import { ENTRA, KEYCLOAK, readClaims, STANDARD, summarize, type Mapping } from '../../src/guard/mapping.js';
import { nodeHasher } from '../../src/platform/hasher.js';

describe('claims', () => {
  /** What is there of a token, or of a summary. */
  const found = (mapping: Mapping, claims: Record<string, unknown>): object =>
    Object.fromEntries(
      Object.entries(readClaims(mapping, claims)).filter(([, one]) => one !== undefined && (one as []).length !== 0),
    );

  it.each<[string, Mapping, Record<string, unknown>]>([
    ['the standard', STANDARD, { grant: { grants: ['x'] }, delegation_id: { delegations: ['x'] } }],
    ['Entra', ENTRA, { oid: { subjects: [{ id: 'x' }], person: 'x' }, appid: { clientId: 'x' }, uti: { jti: 'x' } }],
    ['Keycloak', KEYCLOAK, { session_state: { sessionId: 'x' }, client_id: { clientId: 'x' } }],
  ])('by %s each say what they say alone', (_, mapping, more) => {
    const all = {
      ...{ iss: { issuer: 'x' }, jti: { jti: 'x' }, sub: { subject: 'x' }, sid: { sessionId: 'x' } },
      ...{ azp: { clientId: 'x' }, grant_id: { grants: ['x'] }, delegation: { delegations: ['x'] } },
      ...{ environment: { environment: 'x' }, ...more },
    };
    for (const [claim, says] of Object.entries(all)) expect(found(mapping, { [claim]: 'x' })).toEqual(says);
    expect(found(mapping, { groups: ['x'] })).toEqual({ groups: ['x'] });
    expect(found(mapping, { act: { sub: 'x' } })).toEqual({ actors: [{ id: 'x' }] });
    expect(found(mapping, { iat: 7 })).toEqual({ issuedAtUs: 7_000_000 });
    expect(found(mapping, { '': 'x', undefined: 'x' })).toEqual({});
  });

  it('of several names the first counts that says something', () => {
    expect(readClaims(STANDARD, { client_id: 'a', azp: 'b' }).clientId).toBe('a');
    for (const nothing of ['', 7, null]) {
      expect(readClaims(STANDARD, { client_id: nothing, azp: 'b' }).clientId).toBe('b');
    }
    for (const mapping of [ENTRA, KEYCLOAK]) {
      expect(readClaims(mapping, { azp: 'a', appid: 'b', client_id: 'b' }).clientId).toBe('a');
    }
    expect(readClaims(ENTRA, { uti: 'a', jti: 'b' }).jti).toBe('a');
    const two = { groups: ['roles', 'groups'], issuedAt: ['auth_time', 'iat'] };
    expect(readClaims(two, { roles: 'no list', groups: ['a'], iat: 1 })).toMatchObject({
      groups: ['a'],
      issuedAtUs: 1_000_000,
    });
    expect(readClaims(two, { roles: [], groups: ['a'], auth_time: 2, iat: 1 })).toMatchObject({
      groups: [],
      issuedAtUs: 2_000_000,
    });
    // The first is there and says no time: under a cutoff that is refused.
    expect(readClaims(two, { auth_time: 'now', iat: 1 }).issuedAtUs).toBeUndefined();
  });

  it('a mapping that names none of finds nothing', () => {
    const claims = { iss: 'i', sub: 'spiffe://x', act: { sub: 'a' }, groups: ['g'], iat: 1, undefined: { sub: 'x' } };
    expect(found({}, claims)).toEqual({});
    expect(found({ agents: ['agent', 'helpers'] }, { agent: 'a', helpers: ['b', '', 7, 'c'] })).toEqual({
      agents: ['a', 'b', 'c'],
    });
  });

  it('list a thousand values, and no more', () => {
    const many = Array.from({ length: 1_001 }, (_, i) => `v${i}`);
    const facts = readClaims({ ...STANDARD, agents: ['agents'] }, { groups: ['', ...many], grant: many, agents: many });
    for (const list of [facts.groups, facts.grants, facts.agents]) expect(list).toEqual(many.slice(0, -1));
  });

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
    for (const act of [null, 'agent', ['agent'], [{ sub: 'agent' }], { sub: '' }, { act: [] }]) {
      expect(readClaims(STANDARD, { act }).actors).toEqual([]);
    }
    for (const iat of [NaN, Infinity]) expect(readClaims(STANDARD, { iat }).issuedAtUs).toBeUndefined();
    expect(readClaims(STANDARD, { act: { sub: 'a', iss: '' } }).actors).toEqual([{ id: 'a' }]);
  });
});

it('a mapping has one hash, whatever the order of its members, and says what it can find', () => {
  const reversed = Object.fromEntries(Object.entries(STANDARD).reverse());
  expect(formatHex(summarize(nodeHasher, reversed).hash)).toBe(formatHex(summarize(nodeHasher, STANDARD).hash));
  expect(formatHex(summarize(nodeHasher, ENTRA).hash)).not.toBe(formatHex(summarize(nodeHasher, STANDARD).hash));
  const unset = { jti: undefined, groups: ['b', 'a'], actor: 'é"', subject: 'sub' } as unknown as Mapping;
  const json = '{"actor":"é\\"","groups":["b","a"],"subject":"sub"}';
  expect(formatHex(summarize(nodeHasher, unset).hash)).toBe(createHash('sha256').update(json).digest('hex'));
  const types: [Mapping, string[]][] = [
    [{}, []],
    [{ issuer: 'iss', issuedAt: 'iat' }, []],
    [{ jti: 'x' }, ['token']],
    [{ grants: ['x'] }, ['grant']],
    [{ sessionId: 'x' }, ['session']],
    [{ subject: 'x' }, ['principal', 'agent']],
    [{ aliases: ['x'] }, ['principal']],
    [{ delegations: ['x'] }, ['delegation']],
    [{ agents: ['x'] }, ['agent']],
    [{ actor: 'x' }, ['agent']],
    [{ clientId: 'x' }, ['client']],
    [{ groups: 'x' }, ['membership']],
    [{ environment: 'x' }, ['environment']],
    [{ ownEnvironment: 'x' }, ['environment']],
  ];
  for (const [mapping, found] of types) {
    expect(summarize(nodeHasher, mapping).keyTypes).toEqual([...found, 'tool']);
  }
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

  it('the person by the claim that is mapped beside the subject: Entra’s is another for each application', () => {
    const person = { issuer: 'https://idp', id: 'an oid' };
    const claims = { iss: 'https://idp', sub: 'pairwise', oid: 'an oid' };
    expect(describeToken(readClaims(ENTRA, claims))).toMatchObject({ user: person, token: { subject: person } });
    expect(describeToken(readClaims(STANDARD, claims)).user).toEqual({ issuer: 'https://idp', id: 'pairwise' });
  });

  it('no person where it names none, its digest where it has no id, no time that is none', () => {
    expect(describeClaims({ sub: 'spiffe://x/me' })).toMatchObject({ agent: 'spiffe://x/me', token: { digest: 'ab' } });
    for (const claims of [{ sub: 'spiffe://x/me' }, { sub: 'c', client_id: 'c' }, {}]) {
      expect(describeClaims(claims)).not.toHaveProperty('user');
    }
    expect(describeClaims({ iat: 1e300 }).token).not.toHaveProperty('issued_at');
  });

  it('what it is told and nothing else', () => {
    expect(describeToken({})).toEqual({ token: {} });
    expect(describeToken({ clientId: 'c' })).toEqual({ client: 'c', token: { client_id: 'c' } });
    expect(describeToken({ subject: 'ana' })).toEqual({ user: 'ana', token: { subject: 'ana' } });
    expect(describeToken({ digest: 'ab', environment: 'e' })).toEqual({
      context: { environment: 'e' },
      token: { digest: 'ab' },
    });
    expect(describeToken({ agents: ['a', 'b'], delegations: ['d', 'e'], grants: ['g', 'h'], actors: [] })).toEqual({
      agent: 'a',
      delegation: 'd',
      grant: 'g',
      token: {},
    });
    expect(describeToken({ agents: ['a'], actors: [{ id: 'b', issuer: 'i' }] })).toEqual({
      agent: 'b',
      delegation_chain: [{ agent: 'b' }],
      token: {},
    });
    expect(describeToken({ subject: 'x/spiffe://y' }).user).toBe('x/spiffe://y');
  });
});
