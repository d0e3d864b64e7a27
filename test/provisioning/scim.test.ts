import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventsOf, openService, ScimClient, type Service } from './harness.js';

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
