/** docs/connect-entra.md, with Entra's own requests: with and without its flag, with the mappings of the document and the default ones. */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../support/api.js';
import type { ServerProcess } from '../support/server.js';
import { Connected, shownIn } from './connect.js';

const [config] = shownIn('connect-entra.md') as [Json];
const TENANT = '6babcaad-604b-40ac-a9d7-9fd97c0b779f';
const V2 = `https://login.microsoftonline.com/${TENANT}/v2.0`;
const V1 = `https://sts.windows.net/${TENANT}/`;
const ENTERPRISE = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';

const entraUser = (upn: string, externalId: string | undefined): Json => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User', ENTERPRISE],
  ...(externalId === undefined ? {} : { externalId }),
  userName: upn,
  active: true,
  displayName: 'Mia Muster',
  emails: [{ primary: true, type: 'work', value: upn }],
  meta: { resourceType: 'User' },
  name: { formatted: 'Mia Muster', familyName: 'Muster', givenName: 'Mia' },
  [ENTERPRISE]: { department: 'Data' },
});

/** How Entra writes the same, by the flag in its Tenant URL. */
const dialects = [
  {
    flag: '',
    off: { op: 'Replace', path: 'active', value: 'False' },
    on: { op: 'Replace', path: 'active', value: 'True' },
    change: [
      { op: 'Replace', path: 'displayName', value: 'Mia Neu' },
      { op: 'Add', path: `${ENTERPRISE}:department`, value: 'Law' },
    ],
    leave: (id: string): Json => ({ op: 'Remove', path: 'members', value: [{ value: id }] }),
  },
  {
    flag: 'aadOptscim062020',
    off: { op: 'replace', path: 'active', value: false },
    on: { op: 'replace', path: 'active', value: true },
    change: [
      {
        op: 'replace',
        value: { displayName: 'Mia Neu', 'name.givenName': 'Mina', [`${ENTERPRISE}:department`]: 'Law' },
      },
    ],
    leave: (id: string): Json => ({ op: 'remove', path: `members[value eq "${id}"]` }),
  },
];

export function describeEntra(server: () => ServerProcess): void {
  describe.each(dialects)('Tenant URL ending with "$flag"', ({ flag, off, on, change, leave }) => {
    let entra: Connected;
    beforeAll(async () => {
      entra = await Connected.open(server(), 'entra', config, flag);
    });

    test('Test Connection', async () => {
      expect(await entra.find('/Users', `userName eq "${randomUUID()}"`)).toMatchObject({
        status: 200,
        body: { totalResults: 0, Resources: [] },
      });
      expect((await entra.find('/Groups', `displayName eq "${randomUUID()}"`)).status).toBe(200);
    });

    test('the default mappings are refused, and what to map is said', async () => {
      for (const externalId of ['mia.muster', undefined]) {
        const { status, body } = await entra.send('POST', '/Users', entraUser(`mia-${flag}@acme.example`, externalId));
        expect(status).toBe(400);
        expect(body).toMatchObject({ scimType: 'invalidValue', status: '400' });
        expect(body.detail).toContain('map objectId');
      }
      expect((await entra.find('/Users', `userName eq "mia-${flag}@acme.example"`)).body.totalResults).toBe(0);
    });

    test('disabled, enabled, disabled and deleted for good', async () => {
      const oid = randomUUID();
      const id = await entra.provision(entraUser(`${oid}@acme.example`, oid), 'externalId');
      const isRefused = async (issued_at = Date.now() / 1000): Promise<boolean[]> => [
        await entra.check({ issuer: V2, subject: oid, issued_at }),
        await entra.check({ issuer: V1, subject: oid, issued_at }),
      ];
      const changed = await entra.patch(`/Users/${id}`, ...change);
      expect(changed.body).toMatchObject({ displayName: 'Mia Neu', [ENTERPRISE]: { department: 'Law' } });
      expect(await isRefused()).toEqual([false, false]);
      const old = Date.now() / 1000;

      expect(await entra.patch(`/Users/${id}`, off)).toMatchObject({ status: 200, body: { active: false } });
      expect(await entra.find('/Users', `externalId eq "${oid}"`)).toMatchObject({
        status: 200,
        body: { totalResults: 1, Resources: [{ id, active: false }] },
      });
      const left = await entra.untilNewest('leaver', 'ordered');
      expect(left).toMatchObject({ complete: true, incomplete: [] });
      expect(await isRefused()).toEqual([true, true]);

      await entra.patch(`/Users/${id}`, on);
      await entra.untilNewest('reinstatement', 'settled');
      expect(await isRefused()).toEqual([false, false]);
      expect(await isRefused(old)).toEqual([true, true]);

      await entra.patch(`/Users/${id}`, off);
      await entra.untilNewest('leaver', 'ordered');
      expect((await entra.send('DELETE', `/Users/${id}`)).status).toBe(204);
      expect(await entra.untilNewest('leaver', 'ordered')).toMatchObject({ reasonCode: 'scim.deleted' });
      expect((await entra.send('GET', `/Users/${id}`)).status).toBe(404);
      expect(await isRefused()).toEqual([true, true]);
    });

    test('out of a group: the membership, and at the issuer without groups what was issued before', async () => {
      const [oid, groupOid] = [randomUUID(), randomUUID()];
      const id = await entra.provision(entraUser(`${oid}@acme.example`, oid), 'externalId');
      const made = await entra.send<{ id: string }>('POST', '/Groups', {
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:Group'],
        externalId: groupOid,
        displayName: `Analysts ${groupOid}`,
        meta: { resourceType: 'Group' },
      });
      expect(made.status).toBe(201);
      const group = `/Groups/${made.body.id}`;
      expect((await entra.patch(group, { op: 'Add', path: 'members', value: [{ value: id }] })).status).toBe(200);
      const old = Date.now() / 1000;
      const facts = { issuer: V2, subject: oid };
      expect(await entra.check({ ...facts, groups: [groupOid] })).toBe(false);

      expect((await entra.patch(group, leave(id))).status).toBe(200);
      await entra.untilNewest('mover', 'ordered');
      expect(await entra.check({ ...facts, groups: [groupOid] })).toBe(true);
      expect(await entra.check({ ...facts, groups: [randomUUID()], issued_at: old })).toBe(false);
      // Tokens of version 1.0 don't tell: those from before are refused, and those from now on are good.
      expect(await entra.check({ issuer: V1, subject: oid, issued_at: old })).toBe(true);
      expect(await entra.check({ issuer: V1, subject: oid })).toBe(false);
    });
  });

  test('an issuer without groups has to be one that the source owns', async () => {
    const admin = (await Connected.open(server(), 'entra', config)).admin;
    const bad = { ...config, groupless: [V1, 'https://idp.example'] };
    expect(await admin.send('PUT', '/v1/producers/entra', bad)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', pointer: '/groupless/1' },
    });
  });
}
