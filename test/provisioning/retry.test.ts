/** A ledger that is not there in time: 503, sent again, and it is there once. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answer, Json } from '../support/api.js';
import { eventsOf, openService, ScimClient, type Service } from './harness.js';

let service: Service;
let entra: ScimClient;
beforeAll(async () => {
  service = await openService({ KEELSON_SCIM_WAIT_MS: '1000' });
  entra = await ScimClient.open(service, 'entra');
});
afterAll(() => service?.close());

test('a create, a change and a delete that the ledger does not have in time are answered 503, and count once', async () => {
  const [leaver, gone] = [await entra.user('leaver@idp.example'), await entra.user('gone@idp.example')];
  const before = (await eventsOf(service, 'entra')).length;
  const ask = (): Promise<Answer<Json>[]> =>
    Promise.all([
      entra.send('POST', '/Users', {
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
        userName: 'new@idp.example',
        externalId: 'object-1',
      }),
      entra.patch(`/Users/${leaver}`, { op: 'Replace', path: 'active', value: 'False' }),
      entra.send('DELETE', `/Users/${gone}`),
    ]);
  const blocker = new pg.Client({ connectionString: service.database.adminUrl });
  await blocker.connect();
  try {
    await blocker.query('begin');
    await blocker.query('lock table keelson.page in access exclusive mode');
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const { status, headers, body } of await ask()) {
        expect({ status, body }).toMatchObject({ status: 503, body: { status: '503' } });
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
    }
  } finally {
    await blocker.query('rollback');
    await blocker.end();
  }
  // As a client does that has no answer yet; one that is behind an earlier attempt of its own hears so.
  await expect
    .poll(async () => (await ask()).map(({ status }) => status), { timeout: 30_000, interval: 500 })
    .toEqual([409, 200, 404]);
  const { body: found } = await entra.find('/Users', 'externalId eq "object-1"');
  expect(found).toMatchObject({ totalResults: 1, Resources: [{ userName: 'new@idp.example', active: true }] });
  expect((await entra.get(`/Users/${leaver}`)).body).toMatchObject({ active: false, meta: { version: 'W/"2"' } });
  const types = (await eventsOf(service, 'entra')).slice(before).map(({ type }) => type as string);
  expect(types.sort()).toEqual([
    'principal.joined',
    'principal.linked',
    'principal.offboarded',
    'principal.offboarded',
  ]);
  const { body } = await service.admin.get<{ revocations: Json[] }>('/v1/revocations?source=entra');
  expect(body.revocations.map(({ kind }) => kind)).toEqual(['leaver', 'leaver']);
}, 90_000);
