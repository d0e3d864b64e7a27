/** What a source, or somebody with its token, may try: coded answers, nothing lost, and its neighbours go on. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { applyPatch, copyDraft } from '../../src/provisioning/scim/patch.js';
import { parseFilter } from '../../src/provisioning/scim/filter.js';
import { RESOURCE_TYPES } from '../../src/provisioning/scim/schema.js';
import { eventsOf, openService, ScimClient, type Service } from './harness.js';

let service: Service;
let hr: ScimClient;
let neighbour: ScimClient;
beforeAll(async () => {
  service = await openService({ KEELSON_REVOCATION_SKEW_MS: '0' });
  hr = await ScimClient.open(service, 'hr');
  neighbour = await ScimClient.open(service, 'neighbour', undefined, { issuer: 'https://neighbour.example' });
});
afterAll(() => service?.close());

const code = (value: string) => expect.objectContaining({ code: value }) as Error;

describe('work is counted', () => {
  const filter = (terms: number): string => Array(terms).fill('value sw "x"').join(' or ');
  const group = (size: number) =>
    copyDraft(
      {},
      Array.from({ length: size }, (_, i) => `m${i}`),
    );
  const patch = (draft: ReturnType<typeof copyDraft>, kind: 'User' | 'Group', ...Operations: Json[]): void =>
    applyPatch(draft, { Operations } as never, RESOURCE_TYPES[kind]);

  test('of a thousand removals, by id they cost nothing, by a filter they are refused', () => {
    const by = (path: (i: number) => string): Json[] =>
      Array.from({ length: 1000 }, (_, i) => ({ op: 'remove', path: path(i) }));
    const big = group(100_000);
    patch(big, 'Group', ...by((i) => `members[value eq "M${i}"]`));
    expect(big.members.size).toBe(99_000);
    expect(() => patch(group(100_000), 'Group', ...by((i) => `members[value sw "m${i}"]`))).toThrow(code('too_large'));
    expect(() => patch(group(5_000), 'Group', { op: 'remove', path: `members[${filter(100)}]` })).toThrow(
      code('too_large'),
    );
    patch(group(100_000), 'Group', { op: 'remove', path: 'members[value sw "m9"]' });
  });

  test('of lists that are added to again and again', () => {
    const emails = (op: number): Json[] =>
      Array.from({ length: 990 }, (_, i) => ({ value: `${i}@${op % 2}.example`, type: 'work' }));
    const operations = Array.from({ length: 160 }, (_, i) => ({ op: 'replace', path: 'emails', value: emails(i) }));
    expect(() => patch(copyDraft({}, []), 'User', ...operations)).toThrow(code('too_large'));
    const filtered = Array.from({ length: 999 }, () => ({
      op: 'replace',
      path: `emails[${filter(90)} or value co "example"].type`,
      value: 'x',
    }));
    expect(() =>
      patch(copyDraft({}, []), 'User', { op: 'add', path: 'emails', value: emails(0) }, ...filtered),
    ).toThrow(code('too_large'));
    const draft = copyDraft({}, []);
    for (let i = 0; i < 3; i++) patch(draft, 'User', { op: 'add', path: 'emails', value: emails(0) });
    expect(draft.resource.emails).toHaveLength(990);
    patch(draft, 'User', { op: 'remove', path: 'emails', value: emails(0).slice(0, 980) });
    expect(draft.resource.emails).toHaveLength(10);
  });

  test.each([
    ['too long', `userName eq "${'x'.repeat(9_000)}"`],
    ['too deep', `${'('.repeat(20)}active eq true${')'.repeat(20)}`],
    ['too many terms', Array(101).fill('active eq true').join(' and ')],
    ['not, not, not', `${'not ('.repeat(20)}active eq true${')'.repeat(20)}`],
  ])('of a filter that is %s', (_what, text) => {
    expect(() => parseFilter(text, RESOURCE_TYPES.User)).toThrow(code('invalid_filter'));
  });
});

describe('a filter stays a value', () => {
  test.each([
    `x"; drop table keelson.scim_resource; --`,
    `' or '1'='1`,
    `x\\" or userName pr or userName eq \\"x`,
    '*)(uid=*',
    '%',
    '${jndi:ldap://x}',
    '\u202e\ufeff',
  ])('%j', async (name) => {
    const victim = await hr.user(`victim-of-${name}`);
    for (const attribute of ['userName', 'externalId', 'id', 'displayName', 'emails.value']) {
      const { status, body } = await hr.find(
        '/Users',
        `${attribute} eq ${JSON.stringify(name.replaceAll('\\"', '"'))}`,
      );
      expect([status, body.totalResults]).toEqual([200, 0]);
    }
    const { body } = await hr.find<Json>('/Users', `userName eq ${JSON.stringify(`victim-of-${name}`)}`);
    expect(body.Resources).toMatchObject([{ id: victim }]);
    expect(await hr.find('/Users', `userName eq "x" or ${name}`)).toMatchObject({ status: 400 });
  });

  test('that the database sees as one: a source that is not asked for is never found', async () => {
    const secret = await neighbour.user('secret@neighbour.example');
    for (const text of [
      `id eq "${secret}"`,
      'userName pr',
      'userName ne "x"',
      'not (userName eq "x")',
      'userName co "secret"',
    ]) {
      const { body } = await hr.find<Json>('/Users', text);
      expect(body.Resources.filter(({ id }) => id === secret)).toEqual([]);
    }
  });
});

describe('paths, names and types that are none', () => {
  test.each<[string, unknown, number, string]>([
    ['an unknown path', { op: 'replace', path: 'nonsense', value: 1 }, 400, 'invalidPath'],
    ['a path into a text', { op: 'replace', path: 'userName.first', value: 'x' }, 400, 'invalidPath'],
    ['a prototype', { op: 'replace', path: '__proto__.admin', value: true }, 400, 'invalidPath'],
    ['a path that is a filter', { op: 'replace', path: 'userName eq "x"', value: 'x' }, 400, 'invalidPath'],
    ['an open bracket', { op: 'replace', path: 'emails[type eq "work"', value: 'x' }, 400, 'invalidPath'],
    ['a path of another type', { op: 'replace', path: 7, value: 'x' }, 400, 'invalidPath'],
    ['an unknown verb', { op: 'increment', path: 'title', value: 'x' }, 400, 'invalidSyntax'],
    ['a verb that is no text', { op: ['replace'], path: 'title', value: 'x' }, 400, 'invalidSyntax'],
    ['active that is neither', { op: 'replace', path: 'active', value: 'perhaps' }, 400, 'invalidValue'],
    ['active as a number', { op: 'replace', path: 'active', value: 0 }, 400, 'invalidValue'],
    ['a name that is an object', { op: 'replace', path: 'userName', value: { a: 1, b: 2 } }, 400, 'invalidValue'],
    ['an id of one’s own', { op: 'replace', path: 'id', value: 'x' }, 400, 'mutability'],
    ['groups, which groups say', { op: 'add', path: 'groups', value: [{ value: 'admins' }] }, 400, 'mutability'],
    ['no name at all', { op: 'remove', path: 'userName' }, 400, 'invalidValue'],
  ])('%s', async (what, operation, status, scimType) => {
    const id = await hr.user(`typed-${what}`);
    expect(await hr.patch(`/Users/${id}`, operation)).toMatchObject({ status, body: { scimType } });
    expect((await hr.get(`/Users/${id}`)).headers.get('etag')).toBe('W/"1"');
  });

  test('are read without case where the standard says so, and a half good PATCH does nothing', async () => {
    const id = await hr.user('cases');
    const shouted = { OP: 'REPLACE', PATH: 'Name.GIVENNAME', VALUE: 'Mia' };
    expect(await hr.patch(`/Users/${id}`, shouted)).toMatchObject({
      status: 200,
      body: { name: { givenName: 'Mia' } },
    });
    const half = [
      { op: 'replace', path: 'active', value: false },
      { op: 'replace', path: 'nonsense', value: 1 },
    ];
    expect((await hr.patch(`/Users/${id}`, ...half)).status).toBe(400);
    expect((await hr.get(`/Users/${id}`)).body).toMatchObject({ active: true });
    expect((await eventsOf(service, 'hr')).filter(({ type }) => type === 'principal.offboarded')).toEqual([]);
  });
});

describe('100,000 members at once', () => {
  test('who are nobody are refused as a whole; who come again and again are there once; neighbours are answered meanwhile', async () => {
    const users = await Promise.all(Array.from({ length: 8 }, (_, i) => hr.user(`member-${i}`)));
    const gone = await neighbour.user('leaves-meanwhile@neighbour.example');
    const listed = (id: (i: number) => string): Json[] => Array.from({ length: 100_000 }, (_, i) => ({ value: id(i) }));
    const group = await hr.group('xxl', users);
    const nobody = hr.patch(`/Groups/${group}`, { op: 'add', path: 'members', value: listed((i) => `nobody-${i}`) });
    const meanwhile = neighbour.patch(`/Users/${gone}`, { op: 'replace', value: { active: false } });
    expect((await meanwhile).status).toBe(200);
    expect(await nobody).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } });
    const again = await hr.patch(`/Groups/${group}`, {
      op: 'replace',
      path: 'members',
      value: listed((i) => users[i % 8]!),
    });
    expect(again.status).toBe(200);
    expect((await hr.get<{ members: unknown[] }>(`/Groups/${group}`)).body.members).toHaveLength(8);
    expect((await hr.get(`/Groups/${group}`)).headers.get('etag')).toBe('W/"1"');
  });
});

describe('contradicting causes at once', () => {
  const until = async (facts: Json, revoked: boolean): Promise<void> => {
    await expect
      .poll(
        async () =>
          (await service.admin.post<Json>('/v1/check', { issued_at: Date.now() / 1000, ...facts })).body.revoked,
        { timeout: 20_000 },
      )
      .toBe(revoked);
  };

  test('of one source: whatever SCIM says in the end is what gateways do', async () => {
    for (let round = 0; round < 3; round++) {
      const name = `torn-${round}@idp.example`;
      const id = await hr.user(name);
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          hr.patch(`/Users/${id}`, { op: 'replace', value: { active: i % 2 === 1 } }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      const { active } = (await hr.get(`/Users/${id}`)).body;
      await until({ issuer: 'https://idp.example', subject: name }, active !== true);
    }
  });

  test('of two: who is back for one has still left for the other', async () => {
    const other = await ScimClient.open(service, 'other', {
      activeFalse: 'leaver',
      aliases: [{ attribute: 'userName' }],
      groupClaim: 'displayName',
    });
    const name = 'both@idp.example';
    const [here, there] = [await hr.user(name, { externalId: 'both' }), await other.user(name)];
    const active = (value: boolean): Json => ({ op: 'replace', value: { active: value } });
    await Promise.all([hr.patch(`/Users/${here}`, active(false)), other.patch(`/Users/${there}`, active(false))]);
    await until({ issuer: 'https://idp.example', subject: name }, true);
    await other.patch(`/Users/${there}`, active(true));
    await expect
      .poll(async () => {
        const { body } = await service.admin.get<{ revocations: Json[] }>('/v1/revocations?source=other&limit=1');
        return body.revocations[0]!.state;
      })
      .toBe('settled');
    await until({ issuer: 'https://idp.example', subject: name }, true);
    await hr.patch(`/Users/${here}`, active(true));
    await until({ issuer: 'https://idp.example', subject: name }, false);
  });
});

test('who is deactivated does not let their own deactivation pass, nor ends it, by a token of theirs', async () => {
  const strict = await openService({ KEELSON_REVOCATION_HOLD_COUNT: '0', KEELSON_REVOCATION_HOLD_SHARE: '0' });
  try {
    const source = await ScimClient.open(strict, 'hr');
    const id = await source.user('boss@idp.example');
    const { body: made } = await strict.admin.post<{ id: string; token: string }>('/v1/tokens', {
      name: 'the boss',
      producer: 'desk',
      scopes: ['admin'],
    });
    const boss = new Api(strict.admin.url, made.token);
    const linked = await strict.admin.post(
      '/v1/events',
      {
        type: 'principal.linked',
        timestamp: new Date().toISOString(),
        principal: { issuer: 'urn:keelson:scim:hr', id },
        aliases: [{ issuer: 'keelson', id: made.id }],
      },
      { prefer: 'wait=5' },
    );
    expect(linked.status).toBe(200);
    await source.patch(`/Users/${id}`, { op: 'replace', value: { active: false } });
    const newest = async (): Promise<Json> =>
      (await strict.admin.get<{ revocations: Json[] }>('/v1/revocations?source=hr&limit=1')).body.revocations[0] ?? {};
    await expect.poll(async () => (await newest()).state).toBe('held');
    const { order } = await newest();
    for (const verb of ['approve', 'deny']) {
      const answer = await boss.post<Json>(`/v1/revocations/${order as string}/${verb}`, { reason: 'it is me' });
      expect([verb, answer.status]).toEqual([verb, 403]);
    }
    const approved = await strict.admin.post(`/v1/revocations/${order as string}/approve`, { reason: 'they left' });
    expect(approved.status).toBe(200);
    await expect.poll(async () => (await newest()).state).toBe('ordered');
  } finally {
    await strict.close();
  }
});
