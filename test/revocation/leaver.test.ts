/** From what HR says over HTTP to a refused token, on a real server. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';

let server: ServerProcess;
let admin: Api;

beforeAll(async () => {
  server = await startServer();
  admin = await Api.admin(server);
});
afterAll(() => server?.stop());

const ISSUER = 'https://idp.example';

const publish = async (event: Json): Promise<Json> => {
  const { status, body } = await admin.post<{ items: Json[] }>('/v1/events', event, { prefer: 'wait=10' });
  if (status !== 200) throw new Error(JSON.stringify(body));
  return body.items[0]!;
};

const check = async (facts: Json): Promise<Json> => (await admin.post<Json>('/v1/check', facts)).body;

async function until<T>(look: () => Promise<T>, enough: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + 20_000; ;) {
    const value = await look();
    if (enough(value)) return value;
    if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(value)}\n${server.log}`);
    await sleep(20);
  }
}

it('a leaver is revoked, told by which order, and nobody else is', async () => {
  const token = { issuer: ISSUER, jti: 't-1', subject: 'u-1', issued_at: Math.floor(Date.now() / 1000) };
  expect(await check(token)).toMatchObject({ revoked: false });
  const { id } = await publish({
    type: 'principal.offboarded',
    timestamp: new Date().toISOString(),
    principal: { issuer: ISSUER, id: 'u-1' },
    reason: 'left',
    reason_code: 'termination',
  });
  const answer = await until(
    () => check(token),
    ({ revoked }) => revoked === true,
  );
  expect(answer).toMatchObject({ reason: 'blocked', order: expect.stringMatching(/^[0-9a-f]{32}$/) as string });
  expect(await check({ ...token, subject: 'u-2', jti: 't-2' })).toMatchObject({ revoked: false });

  const body = await admin.until<Json>(
    `/v1/revocations/${answer.order as string}`,
    ({ complete }) => complete === true,
  );
  expect(body).toMatchObject({
    state: 'ordered',
    kind: 'leaver',
    cause: { id, type: 'principal.offboarded' },
    reasonCode: 'termination',
    keys: [{ type: 'principal', change: 'block', count: 1 }],
  });
  const list = await admin.get<{ revocations: Json[] }>('/v1/revocations?state=ordered');
  expect(list.body.revocations.map(({ order }) => order)).toEqual([answer.order]);
});
