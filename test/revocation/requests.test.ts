/** What administrators ask for, over HTTP and on the command line, on a real server. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { runKeelson, startServer, type ServerProcess } from '../support/server.js';

let server: ServerProcess;
let admin: Api;
let boss: Api;
let cli: (...args: string[]) => Promise<{ code: number; json: Json; stderr: string }>;

beforeAll(async () => {
  server = await startServer({
    env: { KEELSON_REVOCATION_HOLD_COUNT: '0', KEELSON_REVOCATION_HOLD_SHARE: '0', KEELSON_REVOCATION_SKEW_MS: '0' },
  });
  admin = await Api.admin(server);
  boss = await admin.as('boss', ['admin', 'read']);
  cli = async (...args) => {
    const env = { KEELSON_URL: server.url, KEELSON_TOKEN: admin.token };
    const { code, stdout, stderr } = await runKeelson([...args, '--json'], { env });
    return { code, stderr, json: (stdout.trim() === '' ? {} : JSON.parse(stdout.split('\n')[0]!)) as Json };
  };
});
afterAll(() => server?.stop());

const ISSUER = 'https://idp.example';
const check = async (facts: Json): Promise<Json> => (await admin.post<Json>('/v1/check', facts)).body;
const nowS = (): number => Date.now() / 1000;

const hold = async (id: string): Promise<string> => {
  const event = {
    type: 'principal.offboarded',
    timestamp: new Date().toISOString(),
    principal: { issuer: ISSUER, id },
  };
  const eventId = randomUUID();
  const { body } = await admin.post<{ items: Json[] }>('/v1/events', { ...event, id: eventId }, { prefer: 'wait=10' });
  expect(body.items[0]).toMatchObject({ status: 'accepted' });
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    const found = await admin.get<Json>(`/v1/revocations/${eventId}`);
    if (found.body.state === 'held') return found.body.order as string;
  }
  throw new Error(`not held:\n${server.log}`);
};

describe('POST /v1/revocations', () => {
  it('revokes a thing, and lifts it again', async () => {
    const target = { type: 'agent', value: 'spiffe://x/bot' };
    const { status, body } = await admin.post<Json>('/v1/revocations', { target, reason: 'went wild' });
    expect(status).toBe(200);
    expect(body).toMatchObject({ state: 'ordered', kind: 'request', target: { ...target, issuer: '' } });
    expect(await check({ agents: ['spiffe://x/bot'] })).toMatchObject({ revoked: true, order: body.order });
    const lifted = await boss.post<Json>(`/v1/revocations/${body.order as string}/lift`, { reason: 'tamed' });
    expect(lifted.body).toMatchObject({ state: 'lifted' });
    expect(await check({ agents: ['spiffe://x/bot'], issued_at: nowS() })).toMatchObject({ revoked: false });
    expect(await check({ agents: ['spiffe://x/bot'], issued_at: nowS() - 60 })).toMatchObject({ reason: 'cutoff' });
    const again = await boss.post<Json>(`/v1/revocations/${body.order as string}/lift`, { reason: 'twice' });
    expect(again).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('refuses what it can not follow, with the place', async () => {
    const post = (body: Json) => admin.post<Json>('/v1/revocations', body);
    const target = { type: 'tool', value: 't' };
    expect(await post({ reason: 'x' })).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(await post({ target })).toMatchObject({ status: 400 });
    expect(await post({ target, reason: 'x', effective_at: 'soon' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_timestamp', pointer: '/effective_at' },
    });
    expect(await post({ target: { type: 'planet', value: 'x' }, reason: 'x' })).toMatchObject({ status: 400 });
    const reader = await admin.as('reader', ['read']);
    expect(await reader.post('/v1/revocations', { target, reason: 'x' })).toMatchObject({ status: 403 });
    expect(await reader.get('/v1/revocations/nobody')).toMatchObject({ status: 404 });
  });

  it('nobody answers for what they asked for; a second person does', async () => {
    const [one, two] = [await hold('anna'), await hold('ben')];
    const say = (api: Api, order: string, verb: string) =>
      api.post<Json>(`/v1/revocations/${order}/${verb}`, { reason: 'r' });
    expect(await say(admin, one, 'approve')).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await check({ issuer: ISSUER, subject: 'anna' })).toMatchObject({ revoked: false });
    expect(await say(boss, one, 'approve')).toMatchObject({ status: 200 });
    expect(await say(boss, two, 'deny')).toMatchObject({ status: 200, body: { state: 'denied' } });
    expect(await say(boss, two, 'approve')).toMatchObject({ status: 409 });
    for (const end = Date.now() + 20_000; Date.now() < end;) {
      if ((await check({ issuer: ISSUER, subject: 'anna' })).revoked === true) break;
    }
    expect(await check({ issuer: ISSUER, subject: 'anna' })).toMatchObject({ revoked: true, order: one });
    expect(await check({ issuer: ISSUER, subject: 'ben' })).toMatchObject({ revoked: false });
  });
});

describe('keelson revoke', () => {
  it('tells what would end, schedules, reschedules, cancels, and revokes', async () => {
    await hold('carl');
    const user = ['user', 'carl', '--issuer', ISSUER];
    const dry = await cli('revoke', ...user, '--dry-run');
    expect(dry.json).toMatchObject({
      keys: [{ type: 'principal', count: 1 }],
      world: expect.stringMatching(/^w1-1-/) as string,
    });
    expect((await cli('revoke', ...user)).stderr).toContain('--reason');
    const later = await cli('revoke', ...user, '--reason', 'leaves', '--at', '2099-01-01T00:00:00Z');
    expect(later.json).toMatchObject({ state: 'scheduled', dueAt: '2099-01-01T00:00:00Z' });
    const order = later.json.order as string;
    const moved = await cli('revocations', 'reschedule', order, '--at', '2098-01-01T00:00:00Z', '--reason', 'earlier');
    expect(moved.json).toMatchObject({ state: 'scheduled', dueAt: '2098-01-01T00:00:00Z' });
    expect((await cli('revocations', 'list', '--state', 'scheduled')).json).toMatchObject({ order });
    expect((await cli('revocations', 'cancel', order, '--reason', 'stays')).json).toMatchObject({ state: 'cancelled' });
    const now = await cli('revoke', ...user, '--reason', 'gone', '--world', dry.json.world as string, '--security');
    expect(now.json).toMatchObject({ state: 'ordered', security: true, incomplete: [] });
    expect((await cli('revocations', 'show', now.json.order as string)).json).toMatchObject({ kind: 'request' });
    expect(await check({ issuer: ISSUER, subject: 'carl' })).toMatchObject({ revoked: true });
  });
});
