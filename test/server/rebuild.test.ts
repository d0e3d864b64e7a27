/** `keelson rebuild` beside a running server: it folds again what was emptied, and says what it said before. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { makeDataFolder, runKeelson, startServer, type ServerProcess } from '../support/server.js';

const IDP = 'https://idp.example';
const AS = 'https://as.example';

let database: TestDatabase;
let server: ServerProcess;
let admin: Api;
let env: Record<string, string>;
/** After all that the world is made of: who came back holds a token of then. */
let issuedAt: number;

beforeAll(async () => {
  database = await createDatabase({ migrated: false });
  env = { KEELSON_DATABASE_URL: database.url, KEELSON_MIGRATION_URL: database.adminUrl };
  server = await startServer({ env: { ...env, KEELSON_REVOCATION_SKEW_MS: '0' }, dataFolder: await makeDataFolder() });
  env.KEELSON_DATA = server.dataFolder;
  admin = await Api.admin(server);
  await world();
  issuedAt = Date.now() / 1000;
}, 180_000);
afterAll(async () => {
  await server?.stop();
  if (server) await rm(server.dataFolder, { recursive: true, force: true });
  await database?.drop();
});

const now = (): string => new Date().toISOString();
const person = (id: string): Json => ({ issuer: IDP, id });

async function publish(path: string, events: readonly Json[]): Promise<void> {
  const body = events.map((event) => ({ timestamp: now(), ...event }));
  const { body: answer } = await admin.post<{ items: Json[] }>(path, body, { prefer: 'wait=20' });
  for (const item of answer.items) expect(item).toMatchObject({ status: 'accepted' });
}

const stateOf = async (order: string): Promise<unknown> => (await admin.get<Json>(`/v1/revocations/${order}`)).body;

async function untilState(order: string, state: object): Promise<void> {
  await vi.waitFor(async () => expect(await stateOf(order)).toMatchObject(state), { timeout: 30_000, interval: 100 });
}

/** One who left, one who will, one who came back; what they own and use. */
async function world(): Promise<void> {
  const all = ['anna', 'ben', 'carl'];
  await publish('/v1/events', [
    { type: 'client.registered', client: 'app', issuer: AS },
    ...all.flatMap((id) => [
      { type: 'agent.registered', agent: `bot-${id}`, owner: person(id), client: 'app', tools: ['deploy'] },
      { type: 'session.started', session_id: `s-${id}`, user: person(id) },
      { type: 'delegation.granted', delegation: `d-${id}`, from: person(id), to_agent: 'bot-anna' },
      { type: 'token.seen', token: { jti: `t-${id}`, issuer: AS }, agent: `bot-${id}`, user: person(id), point: 'gw' },
    ]),
  ]);
  await publish(
    '/v1/decisions',
    all.map((id) => ({
      agent: `bot-${id}`,
      user: person(id),
      tool: 'deploy',
      decision: 'allow',
      point: 'gw',
      token: { jti: `t-${id}`, issuer: AS },
    })),
  );
  await publish('/v1/events', [
    { type: 'principal.offboarded', id: 'leaves', principal: person('anna') },
    { type: 'principal.offboarded', id: 'will', principal: person('ben'), effective_at: '2999-01-01T00:00:00Z' },
    { type: 'principal.offboarded', id: 'left', principal: person('carl') },
  ]);
  await untilState('leaves', { state: 'ordered', complete: true });
  await untilState('left', { state: 'ordered', complete: true });
  await publish('/v1/events', [{ type: 'principal.reinstated', id: 'back', principal: person('carl') }]);
  await untilState('left', { state: 'lifted' });
  await untilState('back', { state: 'settled' });
}

/** Everything that is asked, as it is answered. */
async function answers(): Promise<{ status: number; body: unknown }[]> {
  const asked = [
    ...['anna', 'ben', 'carl'].flatMap((id) => [
      `/v1/identity/principal/${id}?issuer=${IDP}`,
      `/v1/identity/agent/bot-${id}`,
      `/v1/identity/token/t-${id}?issuer=${AS}`,
      `/v1/identity/session/s-${id}`,
    ]),
    '/v1/identity/agent',
    '/v1/identity/token?accepted=any',
    '/v1/identity/point/gw/edges?direction=below',
    '/v1/revocations',
    ...['leaves', 'will', 'left', 'back'].map((id) => `/v1/revocations/${id}`),
  ].map((path) => admin.get(path));
  const checked = ['anna', 'ben', 'carl'].flatMap((id) =>
    [
      { issuer: IDP, subject: id },
      { agents: [`bot-${id}`] },
      { session_id: `s-${id}` },
      { delegations: [`d-${id}`] },
    ].map((facts) => admin.post('/v1/check', { issued_at: issuedAt, ...facts })),
  );
  return (await Promise.all([...asked, ...checked])).map(({ status, body }) => ({ status, body }));
}

/** Where a projection is, each position with the transaction that wrote it. */
async function positions(projection: string): Promise<Record<string, { at: string; by: string }>> {
  const { rows } = await database.tamper(
    `select l.path, p.next_index::text as at, p.xmin::text as by from keelson.projection_position p
     join keelson.log l on l.id = p.log where p.projection = $1`,
    [projection],
  );
  return Object.fromEntries((rows as { path: string; at: string; by: string }[]).map(({ path, ...is }) => [path, is]));
}

/** Waits until nothing moves any more, with everything folded. */
async function settled(projection: string): Promise<Record<string, { at: string; by: string }>> {
  for (let last = ''; ; await sleep(500)) {
    const is = await positions(projection);
    if (JSON.stringify(is) === last && Object.keys(is).length > 0) return is;
    last = JSON.stringify(is);
  }
}

describe.each(['identity', 'revocation', 'provisioning', 'search'])('keelson rebuild %s', (projection) => {
  test('empties it, the server folds it again, and every answer is what it was', async () => {
    const was = await settled(projection);
    const before = await answers();
    expect(before.filter(({ body }) => (body as Json).revoked === true).length).toBeGreaterThan(3);
    expect(before.filter(({ body }) => (body as Json).revoked === false).length).toBeGreaterThan(3);
    const ran = await runKeelson(['rebuild', projection, '--json'], { env });
    expect(ran).toMatchObject({ code: 0 });
    expect(JSON.parse(ran.stdout)).toEqual({ projection, emptied: true });
    await expect
      .poll(
        async () => {
          const is = await positions(projection);
          return Object.entries(was).every(([path, { at, by }]) => is[path]?.at === at && is[path].by !== by);
        },
        { timeout: 60_000, interval: 200 },
      )
      .toBe(true);
    await expect.poll(() => answers(), { timeout: 20_000, interval: 500 }).toEqual(before);
    const { code, stdout } = await runKeelson(['fsck', '--json'], { env });
    expect({ code, stdout }).toMatchObject({ code: 0 });
  }, 180_000);
});

test('what comes after is folded on top, and decided', async () => {
  await publish('/v1/events', [{ type: 'principal.offboarded', id: 'later', principal: person('carl') }]);
  await untilState('later', { state: 'ordered', complete: true });
  const { body } = await admin.post<Json>('/v1/check', { issued_at: Date.now() / 1000, agents: ['bot-carl'] });
  expect(body).toMatchObject({ revoked: true });
});
