/** docs/connect-okta.md, with Okta's own requests: an app of the catalogue, one of one's own, groups, Universal Logout, a workflow. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Json } from '../support/api.js';
import type { ServerProcess } from '../support/server.js';
import { Connected, shownIn } from './connect.js';

const [config, workflow] = shownIn('connect-okta.md') as [Json & { openid: Json }, Json];
const AS = 'https://acme.okta.com/oauth2/default';
const ORG = 'https://acme.okta.com';
const ENDPOINT = (config.openid.audiences as string[])[0]!;

const oktaUser = (n: number, more: Json = {}): Json => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
  userName: `user${n}@acme.example`,
  name: { givenName: 'Test', familyName: `User ${n}` },
  emails: [{ primary: true, value: `user${n}@acme.example`, type: 'work' }],
  displayName: `Test User ${n}`,
  locale: 'en-US',
  externalId: `00u${n}`,
  groups: [],
  password: '1mz050nq',
  active: true,
  ...more,
});

export function describeOkta(server: () => ServerProcess): void {
  let okta: Connected;
  let keys: Server;
  let key: CryptoKey;

  beforeAll(async () => {
    const pair = await generateKeyPair('RS256', { extractable: true });
    key = pair.privateKey;
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'okta', alg: 'RS256', use: 'sig' };
    keys = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] }))).listen(0, '127.0.0.1');
    await once(keys, 'listening');
    // The document's own, but for where the keys are.
    const jwksUri = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/oauth2/v1/keys`;
    okta = await Connected.open(server(), 'okta', { ...config, openid: { ...config.openid, jwksUri } });
  });
  afterAll(() => void keys?.close());

  /** Whether tokens of the authorization server and of the org are refused. */
  const isRefused = async (n: number, issued_at = Date.now() / 1000): Promise<boolean[]> => [
    await okta.check({ issuer: AS, subject: `user${n}@acme.example`, issued_at }),
    await okta.check({ issuer: ORG, subject: `00u${n}`, issued_at }),
  ];

  test('a catalogue app: assigned, deactivated by PATCH, assigned again', async () => {
    expect((await okta.send('GET', '/Users?startIndex=1&count=2')).status).toBe(200);
    const id = await okta.provision(oktaUser(1), 'userName');
    expect(await isRefused(1)).toEqual([false, false]);
    const old = Date.now() / 1000;

    const off = await okta.patch(`/Users/${id}`, { op: 'replace', value: { active: false } });
    expect(off).toMatchObject({ status: 200, body: { active: false } });
    expect(await okta.send('GET', `/Users/${id}`)).toMatchObject({ status: 200, body: { active: false } });
    const left = await okta.untilNewest('leaver', 'ordered');
    expect(left).toMatchObject({ complete: true, incomplete: [], reasonCode: 'scim.active_false' });
    expect(await isRefused(1)).toEqual([true, true]);

    await okta.patch(`/Users/${id}`, { op: 'replace', value: { active: true } });
    await okta.untilNewest('reinstatement', 'settled');
    expect((await okta.admin.get<Json>(`/v1/revocations/${left.order as string}`)).body.state).toBe('lifted');
    expect(await isRefused(1)).toEqual([false, false]);
    expect(await isRefused(1, old)).toEqual([true, true]);
  });

  test('an app of one’s own: deactivated by a PUT of the whole user, and a PUT without active changes nothing', async () => {
    const id = await okta.provision(oktaUser(2), 'userName');
    const { active, ...silent } = oktaUser(2, { displayName: 'Renamed' });
    expect(active).toBe(true);
    expect(await okta.send('PUT', `/Users/${id}`, silent)).toMatchObject({ status: 200, body: { active: true } });
    expect(await isRefused(2)).toEqual([false, false]);
    const off = await okta.send('PUT', `/Users/${id}`, {
      ...oktaUser(2, { id, active: false }),
      meta: { resourceType: 'User' },
    });
    expect(off).toMatchObject({ status: 200, body: { active: false } });
    await okta.untilNewest('leaver', 'ordered');
    expect(await isRefused(2)).toEqual([true, true]);
  });

  test('a pushed group that somebody leaves, by PATCH and by PUT', async () => {
    const id = await okta.provision(oktaUser(3), 'userName');
    const schemas = ['urn:ietf:params:scim:schemas:core:2.0:Group'];
    const made = await okta.send<{ id: string }>('POST', '/Groups', { schemas, displayName: 'analysts', members: [] });
    expect(made.status).toBe(201);
    const group = `/Groups/${made.body.id}`;
    const member = { value: id, display: 'user3@acme.example' };
    const isIn = (): Promise<boolean> =>
      okta.check({ issuer: AS, subject: 'user3@acme.example', groups: ['analysts', 'everyone'] });
    const ways = [
      () => okta.patch(group, { op: 'remove', path: `members[value eq "${id}"]` }),
      () => okta.send('PUT', group, { schemas, id: made.body.id, displayName: 'analysts', members: [] }),
    ];
    const join = () => okta.patch(group, { op: 'add', path: 'members', value: [member] });
    for (const leave of ways) {
      expect((await join()).status).toBe(200);
      await expect.poll(isIn).toBe(false);
      expect((await leave()).status).toBe(200);
      await expect.poll(isIn).toBe(true);
      expect(await okta.check({ issuer: AS, subject: 'user3@acme.example', groups: ['everyone'] })).toBe(false);
    }
    await join();
    await expect.poll(isIn).toBe(false);
    expect(await okta.untilNewest('mover', 'ordered')).toMatchObject({ complete: true });
  });

  test.each([
    ['the issuer and the user id', { format: 'iss_sub', iss: ORG, sub: '00u4' }, 4],
    ['the e-mail address', { format: 'email', email: 'user5@acme.example' }, 5],
  ])('Universal Logout by %s', async (_what, sub_id, n) => {
    await okta.provision(oktaUser(n), 'userName');
    const now = Math.floor(Date.now() / 1000);
    const jwt = await new SignJWT({ iss: ORG, sub: '0oa1', aud: ENDPOINT, iat: now, nbf: now - 300, exp: now + 300 })
      .setJti(`logout-${n}`)
      .setProtectedHeader({ alg: 'RS256', kid: 'okta', typ: 'global-token-revocation+jwt' })
      .sign(key);
    const old = Date.now() / 1000;
    const answer = await fetch(server().url + new URL(ENDPOINT).pathname, {
      method: 'POST',
      headers: { authorization: `Bearer ${jwt}`, 'content-type': 'application/json' },
      body: JSON.stringify({ sub_id }),
    });
    expect(answer.status).toBe(204);
    expect(await okta.untilNewest('request', 'ordered')).toMatchObject({ effect: 'cutoff' });
    expect(await isRefused(n, old)).toEqual([true, true]);
    expect(await isRefused(n)).toEqual([false, false]);
  });

  test('a workflow, with the event that the document shows', async () => {
    await okta.provision(oktaUser(9), 'userName');
    for (let i = 0; i < 2; i++) expect((await okta.publisher.post('/v1/events', workflow)).status).toBe(200);
    expect(await okta.untilNewest('leaver', 'ordered')).toMatchObject({ reasonCode: 'termination' });
    expect(await isRefused(9)).toEqual([true, true]);
  });
}
