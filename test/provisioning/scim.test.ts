import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventsOf, openService, SCIM, ScimClient, type Service } from './harness.js';

let service: Service;
let hr: ScimClient;
beforeAll(async () => {
  service = await openService();
  hr = await ScimClient.open(service, 'hr');
});
afterAll(() => service?.close());

describe('a user', () => {
  test('is made, read, found, changed and deactivated, each change an event of its own', async () => {
    const made = await hr.send<{ id: string; meta: { version: string } }>('POST', '/Users', {
      schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
      userName: 'Jane@Example.com',
      externalId: '00u1',
      name: { givenName: 'Jane', familyName: 'Doe' },
    });
    expect(made.status).toBe(201);
    const { id } = made.body;
    expect(made.headers.get('etag')).toBe('W/"1"');
    expect(made.headers.get('location')).toBe(`${hr.url}/Users/${id}`);
    expect(made.headers.get('content-type')).toContain('application/scim+json');
    expect((await hr.get(`/Users/${id}`)).body).toMatchObject({ userName: 'Jane@Example.com', active: true });
    expect((await hr.find('/Users', 'userName eq "jane@EXAMPLE.com"')).body).toMatchObject({
      totalResults: 1,
      Resources: [{ id }],
    });

    const gone = await hr.patch(`/Users/${id}`, { op: 'Replace', path: 'active', value: 'False' });
    expect(gone).toMatchObject({ status: 200, body: { active: false, meta: { version: 'W/"2"' } } });
    expect((await hr.get(`/Users/${id}`)).body).toMatchObject({ active: false });
    const back = await hr.patch(`/Users/${id}`, { op: 'replace', value: { active: true, nickName: 'J' } });
    expect(back).toMatchObject({ status: 200, body: { active: true, nickName: 'J' } });

    const principal = { issuer: 'urn:keelson:scim:hr', id };
    const aliases = [
      { issuer: 'https://idp.example', id: 'Jane@Example.com' },
      { issuer: 'https://login.example', id: '00u1' },
    ];
    expect(await eventsOf(service, 'hr')).toMatchObject([
      { type: 'principal.linked', principal, aliases },
      { type: 'principal.joined', principal, provisioned: { source: 'hr', resource: id, version: 1, active: true } },
      {
        type: 'principal.offboarded',
        principal,
        scope: 'everything',
        reason_code: 'scim.active_false',
        provisioned: { version: 2, active: false },
      },
      { type: 'principal.reinstated', principal, provisioned: { version: 3, active: true } },
    ]);
  });
});

const offboarded = async (source: string): Promise<unknown[]> =>
  (await eventsOf(service, source)).filter(({ type }) => type === 'principal.offboarded');

describe('what a source means', () => {
  test('by active: false may be that somebody lost what it gives; a DELETE is a leaver all the same', async () => {
    const saas = await ScimClient.open(service, 'saas', { ...SCIM, activeFalse: 'scope_loss' });
    const id = await saas.user('sam');
    await saas.patch(`/Users/${id}`, { op: 'replace', value: { active: false } });
    expect(await saas.send('DELETE', `/Users/${id}`)).toMatchObject({ status: 204 });
    expect((await saas.get(`/Users/${id}`)).status).toBe(404);
    expect((await saas.find('/Users', 'userName eq "sam"')).body.totalResults).toBe(0);
    expect(await offboarded('saas')).toMatchObject([
      { scope: 'source', provisioned: { deleted: false } },
      { scope: 'everything', provisioned: { deleted: true } },
    ]);
  });

  test('the same again changes nothing, and a PUT without active leaves it', async () => {
    const okta = await ScimClient.open(service, 'okta', { ...SCIM, vendor: 'okta' });
    const id = await okta.user('olga', { title: 'Dr' });
    for (let i = 0; i < 2; i++) await okta.send('PUT', `/Users/${id}`, { userName: 'olga', active: false });
    const put = await okta.send('PUT', `/Users/${id}`, { userName: 'olga', displayName: 'Olga' });
    expect(put.body).toMatchObject({ active: false, displayName: 'Olga', meta: { version: 'W/"3"' } });
    expect(put.body).not.toHaveProperty('title');
    expect(await offboarded('okta')).toHaveLength(1);
  });

  test('one made inactive has left until they are activated', async () => {
    const early = await ScimClient.open(service, 'early');
    const id = await early.user('newcomer', { active: false });
    await early.patch(`/Users/${id}`, { op: 'replace', path: 'active', value: true });
    expect((await eventsOf(service, 'early')).map(({ type }) => type)).toEqual([
      'principal.linked',
      'principal.joined',
      'principal.offboarded',
      'principal.reinstated',
    ]);
  });

  test('whoever comes back after a DELETE by the same externalId is the same person, rehired; by the same name alone they are not', async () => {
    const back = await ScimClient.open(service, 'back');
    const first = await back.user('rita', { externalId: 'r1' });
    await back.send('DELETE', `/Users/${first}`);
    const again = await back.user('rita.new', { externalId: 'r1' });
    expect(again).not.toBe(first);
    const events = (await eventsOf(service, 'back')).slice(-3);
    const principal = { issuer: 'urn:keelson:scim:back', id: first };
    expect(events).toMatchObject([
      { type: 'principal.linked', principal, aliases: [{ id: 'rita.new' }, { id: 'r1' }] },
      { type: 'principal.joined', principal },
      {
        type: 'principal.reinstated',
        principal,
        reason_code: 'scim.rehired',
        provisioned: { resource: again, version: 1 },
      },
    ]);
    await back.send('DELETE', `/Users/${again}`);
    const other = await back.user('rita.new', { externalId: 'r2' });
    expect((await eventsOf(service, 'back')).slice(-4)).toMatchObject([
      { type: 'principal.offboarded' },
      { type: 'principal.unlinked', principal, aliases: [{ id: 'rita.new' }] },
      { type: 'principal.linked', principal: { id: other } },
      { type: 'principal.joined', principal: { id: other } },
    ]);
  });

  test('a renamed user keeps the account under the old name until another gets it', async () => {
    const names = await ScimClient.open(service, 'names');
    const jo = await names.user('jo', { externalId: 'n1' });
    await names.patch(`/Users/${jo}`, { op: 'replace', path: 'userName', value: 'jo.new' });
    expect((await eventsOf(service, 'names')).map(({ type }) => type)).not.toContain('principal.unlinked');
    await names.user('jo', { externalId: 'n2' });
    expect(await eventsOf(service, 'names')).toContainEqual(
      expect.objectContaining({
        type: 'principal.unlinked',
        principal: { issuer: 'urn:keelson:scim:names', id: jo },
        aliases: [{ issuer: 'https://idp.example', id: 'jo' }],
      }),
    );
  });

  test('Entra without objectId in externalId is told what to map', async () => {
    const entra = await ScimClient.open(service, 'entra', {
      activeFalse: 'scope_loss',
      vendor: 'entra',
      aliases: [{ attribute: 'externalId' }],
      groupClaim: 'externalId',
    });
    const upn = await entra.send('POST', '/Users', { userName: 'upn@x' });
    const nick = await entra.send('POST', '/Users', { userName: 'upn@x', externalId: 'mailnick' });
    for (const { status, body } of [upn, nick]) {
      expect(status).toBe(400);
      expect(body).toMatchObject({ scimType: 'invalidValue', status: '400' });
      expect(body.detail).toContain('map objectId');
    }
    const id = await entra.user('upn@x', { externalId: '6f1c2a3e-0000-4000-8000-00000000abcd' });
    // A mapping that was broken later keeps nobody from being deactivated.
    const off = { op: 'replace', value: { externalId: 'mailnick', active: false } };
    expect(await entra.patch(`/Users/${id}`, off)).toMatchObject({ status: 200, body: { active: false } });
  });

  test('who is no identity source, or has no such scope, is refused', async () => {
    const none = await service.admin.as('none', ['provision']);
    expect(await none.get('/scim/v2/Users')).toMatchObject({ status: 403, body: { status: '403' } });
    const reader = await service.admin.as('hr', ['read', 'publish:lifecycle']);
    expect(await reader.get('/scim/v2/Users')).toMatchObject({ status: 403, body: { status: '403' } });
    const bad = { issuer: 'x', scim: { ...SCIM, aliases: [{ attribute: 'nonsense' }] } };
    expect(await service.admin.send('PUT', '/v1/producers/bad', bad)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', pointer: '/scim/aliases/0/attribute' },
    });
  });

  test('sources do not see each other', async () => {
    const other = await ScimClient.open(service, 'other');
    const id = await hr.user('private-person');
    expect((await other.get(`/Users/${id}`)).status).toBe(404);
    expect((await other.patch(`/Users/${id}`, { op: 'replace', path: 'active', value: false })).status).toBe(404);
    expect((await other.find('/Users', 'userName eq "private-person"')).body.totalResults).toBe(0);
  });
});

describe('groups', () => {
  test('members come and go as movers, also all at once', async () => {
    const source = await ScimClient.open(service, 'groups');
    const [a, b, c] = [await source.user('a'), await source.user('b'), await source.user('c')];
    const id = await source.group('analysts', [a, b]);
    expect((await source.get(`/Groups/${id}`)).body).toMatchObject({ displayName: 'analysts' });
    expect((await source.get(`/Users/${a}`)).body).toMatchObject({ groups: [{ value: id, display: 'analysts' }] });
    await source.patch(`/Groups/${id}`, { op: 'Remove', path: 'members', value: [{ value: a }] });
    await source.send('PUT', `/Groups/${id}`, { displayName: 'analysts', members: [{ value: c }] });
    await source.send('PUT', `/Groups/${id}`, { displayName: 'readers' });
    expect((await source.send('DELETE', `/Groups/${id}`)).status).toBe(204);
    const moves = (await eventsOf(service, 'groups')).filter(({ type }) => type === 'principal.moved');
    const moved = moves.map(({ principal, groups_added, groups_removed }) => [
      (principal as { id: string }).id,
      groups_added,
      groups_removed,
    ]);
    expect(moved).toEqual([
      [a, ['analysts'], undefined],
      [b, ['analysts'], undefined],
      [a, undefined, ['analysts']],
      [b, undefined, ['analysts']],
      [c, ['analysts'], undefined],
      [c, ['readers'], ['analysts']],
      [c, undefined, ['readers']],
    ]);
  });

  test('are found by name and by member, and answered without members', async () => {
    const source = await ScimClient.open(service, 'finder');
    const a = await source.user('a');
    const id = await source.group('Admins', [a]);
    await source.group('Others');
    const named = await source.find<{ members?: unknown }>(
      '/Groups',
      'displayName eq "admins"',
      '&excludedAttributes=members',
    );
    expect(named.body).toMatchObject({ totalResults: 1, Resources: [{ id }] });
    expect(named.body.Resources[0]).not.toHaveProperty('members');
    expect((await source.find('/Groups', `id eq "${id}" and members eq "${a}"`)).body.totalResults).toBe(1);
    expect((await source.find('/Groups', `members[value eq "${a}"]`)).body.totalResults).toBe(1);
  });

  test('refuse who is no user of the source, groups in groups, and a second one of the same name in tokens', async () => {
    const source = await ScimClient.open(service, 'strict');
    const a = await source.user('a');
    const id = await source.group('one', [a]);
    const add = (value: unknown) => source.patch(`/Groups/${id}`, { op: 'add', path: 'members', value });
    expect(await add([{ value: 'nobody' }])).toMatchObject({ status: 400, body: { scimType: 'invalidValue' } });
    expect(await add([{ value: id, type: 'Group' }])).toMatchObject({
      status: 400,
      body: { scimType: 'invalidValue' },
    });
    expect(await source.send('POST', '/Groups', { displayName: 'ONE' })).toMatchObject({
      status: 409,
      body: { scimType: 'uniqueness' },
    });
    await source.send('DELETE', `/Users/${a}`);
    expect((await source.get(`/Groups/${id}`)).body).not.toHaveProperty('members');
  });

  test('of a hundred; and more than anybody may add', async () => {
    const source = await ScimClient.open(service, 'xxl');
    const ids: string[] = [];
    for (let at = 0; at < 100; at += 10) {
      ids.push(...(await Promise.all(Array.from({ length: 10 }, (_, i) => source.user(`user${at + i}`)))));
    }
    const id = await source.group('everyone', ids);
    const { body } = await source.get<{ members: unknown[] }>(`/Groups/${id}`);
    expect(body.members).toHaveLength(100);
    const tooMany = {
      op: 'add',
      path: 'members',
      value: Array.from({ length: 100_001 }, (_, i) => ({ value: `u${i}` })),
    };
    expect((await source.patch(`/Groups/${id}`, tooMany)).status).toBe(413);
    await source.patch(`/Groups/${id}`, { op: 'replace', path: 'members', value: [] });
    expect((await source.get(`/Groups/${id}`)).body).not.toHaveProperty('members');
  }, 120_000);
});

describe('versions and uniqueness', () => {
  test('a change of another version than expected is refused, an unchanged one not sent again', async () => {
    const id = await hr.user('vera');
    const patch = (match: string) =>
      hr.send(
        'PATCH',
        `/Users/${id}`,
        { Operations: [{ op: 'add', path: 'title', value: match }] },
        { 'if-match': match },
      );
    expect((await patch('W/"7"')).status).toBe(412);
    expect((await patch('W/"1"')).status).toBe(200);
    expect((await patch('W/"1"')).status).toBe(412);
    expect((await hr.get(`/Users/${id}`, { 'if-none-match': 'W/"2"' })).status).toBe(304);
    expect((await hr.send('DELETE', `/Users/${id}`, undefined, { 'if-match': 'W/"1"' })).status).toBe(412);
  });

  test('of many who make the same user at once, one does', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => hr.send('POST', '/Users', { userName: 'Twin', externalId: 'tw' })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 11 }, () => 409)]);
    const refused = answers.find(({ status }) => status === 409);
    expect(refused!.body).toMatchObject({
      schemas: ['urn:ietf:params:scim:api:messages:2.0:Error'],
      status: '409',
      scimType: 'uniqueness',
    });
    const same = await hr.send('POST', '/Users', { userName: 'other-name', externalId: 'tw' });
    expect(same).toMatchObject({ status: 409, body: { scimType: 'uniqueness' } });
  });

  test('of many changes at once none is lost', async () => {
    const id = await hr.user('busy');
    const types = Array.from({ length: 10 }, (_, i) => `t${i}`);
    const answers = await Promise.all(
      types.map((type) =>
        hr.patch(`/Users/${id}`, { op: 'add', path: 'emails', value: [{ value: `${type}@x`, type }] }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(types.map(() => 200));
    const { body } = await hr.get<{ emails: unknown[]; meta: { version: string } }>(`/Users/${id}`);
    expect(body.emails).toHaveLength(10);
    expect(body.meta.version).toBe('W/"11"');
  });
});

describe('lists', () => {
  test('in pages, bounded, with only what was asked for', async () => {
    const source = await ScimClient.open(service, 'lists');
    for (let i = 0; i < 5; i++) await source.user(`u${i}`, { title: i % 2 === 0 ? 'even' : 'odd' });
    const page = await source.get('/Users?startIndex=2&count=2&attributes=userName');
    expect(page.body).toMatchObject({
      totalResults: 5,
      itemsPerPage: 2,
      startIndex: 2,
      Resources: [{ userName: 'u1' }, { userName: 'u2' }],
    });
    expect((page.body.Resources as object[])[0]).not.toHaveProperty('title');
    expect((await source.get('/Users?count=0')).body).toMatchObject({ totalResults: 5, Resources: [] });
    expect((await source.get('/Users?startIndex=-3&count=-1')).body).toMatchObject({ startIndex: 1, itemsPerPage: 0 });
    expect((await source.get('/Users?count=x')).body).toMatchObject({ status: '400', scimType: 'invalidValue' });
    expect((await source.find('/Users', 'title eq "even"')).body).toMatchObject({ totalResults: 3 });
    expect((await source.find('/Users', 'userName eq "')).body).toMatchObject({
      status: '400',
      scimType: 'invalidFilter',
    });
    const search = {
      schemas: ['urn:ietf:params:scim:api:messages:2.0:SearchRequest'],
      filter: 'userName sw "u"',
      count: 1,
    };
    expect((await source.send('POST', '/Users/.search', search)).body).toMatchObject({
      totalResults: 5,
      itemsPerPage: 1,
    });
  });
});

describe('bad input', () => {
  test.each([
    ['no JSON', '{', 400, 'invalidSyntax'],
    ['a member twice', '{"userName":"a","userName":"b"}', 400, 'invalidSyntax'],
    ['a list', '[]', 400, 'invalidSyntax'],
    ['nothing', '', 400, 'invalidSyntax'],
    ['no name', '{"displayName":"x"}', 400, 'invalidValue'],
    ['a blank name', '{"userName":" "}', 400, 'invalidValue'],
    ['a number for a name', '{"userName":7}', 400, 'invalidValue'],
    ['an object for a flag', '{"userName":"x","active":{}}', 400, 'invalidValue'],
    [
      'a text for an extension',
      '{"userName":"x","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":"y"}',
      400,
      'invalidValue',
    ],
    ['half a character', '{"userName":"\\ud800"}', 400, 'invalidSyntax'],
  ])('%s', async (_name, body, status, scimType) => {
    const answer = await hr.send('POST', '/Users', body);
    expect(answer.headers.get('content-type')).toContain('application/scim+json');
    expect(answer).toMatchObject({ status, body: { status: String(status), scimType } });
  });

  test('other types of content, unknown paths and methods', async () => {
    expect((await hr.send('POST', '/Users', 'x', { 'content-type': 'text/plain' })).status).toBe(415);
    expect(await hr.get('/nonsense')).toMatchObject({ status: 404, body: { status: '404' } });
    expect(await hr.send('DELETE', '/Schemas')).toMatchObject({ status: 405, body: { status: '405' } });
    expect(await hr.get(`/Users/${encodeURIComponent("' or 1=1 --")}`)).toMatchObject({ status: 404 });
  });
});
