/** Who may answer for what is held: persons, not tokens, where it is known who holds one; one by one, and for many at once. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { runKeelson, startServer, type ServerProcess } from '../support/server.js';

const ISSUER = 'https://idp.example';
let server: ServerProcess;
let admin: Api;

beforeAll(async () => {
  server = await startServer({ env: { KEELSON_REVOCATION_HOLD_COUNT: '0', KEELSON_REVOCATION_HOLD_SHARE: '0' } });
  admin = await Api.admin(server);
  for (const producer of ['hr', 'entra']) {
    expect((await admin.send('PUT', `/v1/producers/${producer}`, { issuer: ISSUER })).status).toBe(200);
  }
});
afterAll(() => server?.stop());

async function tokenOf(holder: object | undefined, producer = 'admin', scopes = ['admin', 'read']): Promise<Api> {
  const body = { name: randomUUID(), producer, scopes, ...(holder === undefined ? {} : { holder }) };
  const { status, body: made } = await admin.post<Json>('/v1/tokens', body);
  expect(status).toBe(201);
  return new Api(server.url, made.token as string);
}

/** Somebody leaves, and it waits for a second person; the name of the order. */
async function hold(source: Api, id: string, more: Json = {}): Promise<string> {
  return (await holdMany(source, [id], more))[0]!;
}

async function holdMany(source: Api, ids: readonly string[], more: Json = {}): Promise<string[]> {
  const events = ids.map((id) => ({
    type: 'principal.offboarded',
    id: randomUUID(),
    timestamp: new Date().toISOString(),
    principal: { issuer: ISSUER, id },
    ...more,
  }));
  const { body } = await source.post<{ items: Json[] }>('/v1/events', events, { prefer: 'wait=10' });
  for (const item of body.items) expect(item).toMatchObject({ status: 'accepted' });
  const orders: string[] = [];
  for (const { id } of events) {
    for (const end = Date.now() + 20_000; ;) {
      const found = await admin.get<Json>(`/v1/revocations/${id}`);
      if (found.body.state === 'held') {
        orders.push(found.body.order as string);
        break;
      }
      if (Date.now() > end) throw new Error(`not held: ${JSON.stringify(found.body)}`);
    }
  }
  return orders;
}

const approve = (api: Api, order: string) => api.post<Json>(`/v1/revocations/${order}/approve`, { reason: 'r' });

describe('a token with a holder', () => {
  it('is shown with them, and speaks for them', async () => {
    const dana = await tokenOf({ issuer: ISSUER, id: 'dana' });
    const { body } = await admin.get<{ tokens: Json[] }>('/v1/tokens');
    expect(body.tokens.at(-1)).toMatchObject({ holder: { issuer: ISSUER, id: 'dana' } });
    expect(body.tokens[0]).not.toHaveProperty('holder');
    const hr = await tokenOf(undefined, 'hr', ['publish:lifecycle']);
    const order = await hold(hr, 'anna');
    const approved = await approve(dana, order);
    expect(approved).toMatchObject({ status: 200, body: { deciderKnown: true } });
    const found = await dana.searchUntil({ principal: 'dana', type: 'revocation.approved' }, (hits) => hits.length > 0);
    expect(found.at(-1)!.event).toMatchObject({ holder_known: true, by_token: expect.any(String) as string });
  });

  it('of the person who asked, or who leaves, or of an alias of theirs, answers for nothing, whichever token it is', async () => {
    const hr = await tokenOf(undefined, 'hr', ['publish:lifecycle']);
    const asked = await hold(hr, 'ben', { actor: { issuer: ISSUER, id: 'dana' } });
    for (let token = 0; token < 2; token++) {
      expect(await approve(await tokenOf({ issuer: ISSUER, id: 'dana' }), asked)).toMatchObject({ status: 403 });
    }
    const leaver = await hold(hr, 'eve');
    expect(await approve(await tokenOf({ issuer: ISSUER, id: 'eve' }), leaver)).toMatchObject({ status: 403 });

    const linked = {
      type: 'principal.linked',
      timestamp: new Date().toISOString(),
      principal: { issuer: ISSUER, id: 'eve' },
      aliases: [{ issuer: 'https://mail.example', id: 'eve@mail' }],
    };
    const { body } = await admin.post<{ items: Json[] }>('/v1/events', linked, { prefer: 'wait=10' });
    expect(body.items[0]).toMatchObject({ status: 'accepted' });
    const alias = await tokenOf({ issuer: 'https://mail.example', id: 'eve@mail' });
    // Not before the graph knows that it is her.
    await admin.get(`/v1/identity/principal/eve?issuer=${encodeURIComponent(ISSUER)}`);
    expect(await approve(alias, leaver)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await approve(await tokenOf({ issuer: ISSUER, id: 'frank' }), leaver)).toMatchObject({ status: 200 });
  });

  it('where nobody is known to hold it, it is said', async () => {
    const hr = await tokenOf(undefined, 'hr', ['publish:lifecycle']);
    const order = await hold(hr, 'gil');
    expect(await approve(await tokenOf(undefined), order)).toMatchObject({
      status: 200,
      body: { deciderKnown: false },
    });
  });

  it('nobody gets around it by an event that names its own actor', async () => {
    const event = { type: 'revocation.approved', timestamp: new Date().toISOString(), cause: 'x', actor: 'somebody' };
    expect(await admin.post('/v1/events', event)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  });

  it('without an issuer is known by the one of the producer', async () => {
    await tokenOf({ id: 'hugo' }, 'hr');
    const { body } = await admin.get<{ tokens: Json[] }>('/v1/tokens');
    expect(body.tokens.at(-1)).toMatchObject({ holder: { issuer: ISSUER, id: 'hugo' } });
  });
});

describe('an answer for many', () => {
  it('goes to each that is held of a source within a window, and says what became of each', async () => {
    const [entra, hr] = [
      await tokenOf(undefined, 'entra', ['publish:lifecycle']),
      await tokenOf(undefined, 'hr', ['publish:lifecycle']),
    ];
    const before = await hold(entra, 'early');
    const since = (await admin.get<Json>(`/v1/revocations/${before}`)).body.committedAt as string;
    const many = await holdMany(
      entra,
      Array.from({ length: 30 }, (_, i) => `many-${i}`),
    );
    const own = await hold(entra, 'kim');
    const other = await hold(hr, 'other');
    const kim = await tokenOf({ issuer: ISSUER, id: 'kim' });
    const after = new Date(Date.parse(since) + 1).toISOString();
    const { status, body } = await kim.post<{ results: Json[] }>('/v1/revocations/approve', {
      source: 'entra',
      since: after,
      reason: 'as announced',
    });
    expect(status).toBe(200);
    expect(body).not.toHaveProperty('next');
    const done = body.results.filter(({ code }) => code === undefined);
    expect(done.map(({ order }) => order).sort()).toEqual([...many].sort());
    expect(done.every(({ state }) => state === 'pending' || state === 'ordered')).toBe(true);
    expect(body.results.filter(({ code }) => code !== undefined)).toEqual([
      expect.objectContaining({ order: own, state: 'held', code: 'forbidden' }),
    ]);
    for (const held of [before, other, own]) {
      expect((await admin.get<Json>(`/v1/revocations/${held}`)).body).toMatchObject({ state: 'held' });
    }
  });

  it('or to a list, by the command line', async () => {
    const hr = await tokenOf(undefined, 'hr', ['publish:lifecycle']);
    const orders = await holdMany(hr, ['a1', 'a2']);
    const env = { KEELSON_URL: server.url, KEELSON_TOKEN: (await tokenOf({ issuer: ISSUER, id: 'boss' })).token };
    const deny = ['revocations', 'deny', '--reason', 'a mistake', '--json'];
    const { code, stdout } = await runKeelson([...deny, ...orders, 'nobody'], { env });
    expect(code).toBe(1);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Json);
    expect(lines).toMatchObject([{ state: 'denied' }, { state: 'denied' }, { id: 'nobody', code: 'not_found' }]);
    const again = await runKeelson([...deny, orders[0]!], { env });
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stdout)).toMatchObject({ state: 'denied', code: 'conflict' });
    const all = await runKeelson(['revocations', 'deny', '--source', 'hr', '--reason', 'r', '--json'], { env });
    expect(all.code).toBe(0);
    expect((await admin.get<{ revocations: Json[] }>('/v1/revocations?state=held&source=hr')).body.revocations).toEqual(
      [],
    );
    expect((await runKeelson(['revocations', 'deny', '--reason', 'r'], { env })).code).toBe(2);
  });

  it('refuses what it can not follow', async () => {
    const post = (body: Json) => admin.post<Json>('/v1/revocations/approve', { reason: 'r', ...body });
    expect(await post({})).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(await post({ ids: ['x'], source: 'hr' })).toMatchObject({ status: 400 });
    expect(await post({ ids: Array.from({ length: 501 }, String) })).toMatchObject({ status: 400 });
    expect(await post({ source: 'hr', since: 'today' })).toMatchObject({ status: 400, body: { pointer: '/since' } });
    const reader = await admin.as('reader', ['read']);
    expect(await reader.post('/v1/revocations/deny', { source: 'hr', reason: 'r' })).toMatchObject({ status: 403 });
  });
});
