/** Cases on a real server, with real guards and with instances that do as they like. */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { runCli } from '../../src/cli/index.js';
import { Guard, type GuardConfig } from '../../src/guard/guard.js';
import type { Membership } from '../../src/guard/core.js';
import { join, readMembership } from '../../src/guard/join.js';
import { formatHex } from '../../src/core/bytes.js';
import { nodeSigner } from '../../src/platform/signer.js';
import { signAck } from '../../src/protocol/ack.js';
import { signLeaseRequest } from '../../src/protocol/grant.js';
import { signRequest } from '../../src/protocol/request.js';
import { Api, type Json } from '../support/api.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { seed } from '../guard/support.js';

const ISSUER = 'https://idp.example';
const FEED_TYPE = 'application/vnd.keelson.feed';
let server: ServerProcess;
let admin: Api;
const guards: Guard[] = [];

beforeAll(async () => {
  server = await startServer();
  admin = await Api.admin(server);
  for (const point of ['gateway', 'proxy', 'batch']) {
    expect((await admin.post('/v1/points', { point })).status).toBe(201);
  }
});
afterAll(async () => {
  await Promise.all(guards.map((guard) => guard.close()));
  await server?.stop();
});

async function enter(point: string, name: string): Promise<Membership> {
  const { body } = await admin.post<Json>('/v1/enrolments', { point, uses: 10, expiresInS: 3600 });
  const signer = nodeSigner(seed(name));
  return readMembership(await join(server.url, body.token as string, signer), signer);
}

async function startGuard(point: string, name: string, more: Partial<GuardConfig> = {}): Promise<Guard> {
  const guard = new Guard({ url: server.url, membership: await enter(point, name), ...more });
  guards.push(guard);
  guard.start();
  await until(() => guard.core.lease !== undefined);
  return guard;
}

async function until(enough: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; !(await enough());) {
    if (Date.now() > end) throw new Error(`not in time\n${server.log}`);
    await sleep(20);
  }
}

const revoke = async (what: Json): Promise<string> => {
  const { status, body } = await admin.post<Json>('/v1/revocations', { ...what, reason: 'over' });
  expect(status).toBe(200);
  return body.order as string;
};

const ended = (order: string): Promise<Json> =>
  admin.until<Json>(`/v1/cases/${order}`, ({ state }) => state !== 'open', 30_000);

/** As an instance does. */
function ask(by: Membership, method: string, path: string, body?: Uint8Array): Promise<Response> {
  const { signer, ledger, instance } = by;
  const authorization = signRequest(signer, ledger, { method, path }, { instance, atUs: Date.now() * 1000 });
  return fetch(server.url + path, {
    method,
    headers: { authorization, ...(body === undefined ? {} : { 'content-type': FEED_TYPE }) },
    ...(body === undefined ? {} : { body: Buffer.from(body) }),
  });
}

const askLease = (by: Membership): Promise<Response> => {
  const request = { instance: by.instance, nonce: crypto.getRandomValues(new Uint8Array(16)) };
  return ask(by, 'POST', '/v1/feed/lease', signLeaseRequest(by.signer, by.ledger, request));
};

async function runCase(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: admin.token };
  const code = await runCli(['case', ...args], { stdin: new PassThrough(), stdout, stderr, env });
  const text = ((stdout.read() as Buffer | null) ?? '').toString();
  return { code, lines: text.trimEnd().split('\n') };
}

let gateway: Guard;

it('shows who attested what, when, which tokens are concerned, and is watched to its end', async () => {
  gateway = await startGuard('gateway', 'gateway');
  const token = { issuer: ISSUER, jti: 'ana-1' };
  const [timestamp, user] = [new Date().toISOString(), { issuer: ISSUER, id: 'ana' }];
  const seen = { type: 'token.seen', timestamp, token, user };
  expect((await admin.post('/v1/events', seen, { prefer: 'wait=20' })).status).toBe(200);
  const decision = { timestamp, tool: 'deploy', decision: 'allow', token, user };
  expect((await admin.post('/v1/decisions', [decision], { prefer: 'wait=20' })).status).toBe(200);

  const order = await revoke({ principal: { issuer: ISSUER, id: 'ana' } });
  await admin.until(`/v1/cases/${order}`, () => true);
  const watched = await runCase('watch', order, '--json');
  expect(JSON.parse(watched.lines.at(-1)!)).toMatchObject({ order, state: 'enforced', acked: 1, incomplete: [] });
  expect(watched.code).toBe(0);

  const found = await admin.until<Json>(
    `/v1/cases/${order}`,
    ({ tokens }) => (tokens as Json | undefined)?.lastUsedAt !== undefined,
  );
  expect(found).toMatchObject({
    state: 'enforced',
    result: 'enforced',
    acked: 1,
    incomplete: [],
    points: [{ point: 'gateway', acked: 1, silent: 0 }],
    instances: [{ point: 'gateway', status: 'acked' }],
    stragglers: [],
    tokens: { count: 1, atLeast: false, tokens: [{ issuer: ISSUER, id: 'ana-1' }] },
  });
  const times = found.timeline as { at: string; what: string; point?: string }[];
  // What the graph learnt meanwhile comes in another part.
  const steps = times.map(({ what }) => what).filter((what) => what !== 'last_part');
  expect(steps).toEqual(['ordered', 'first_ack', 'closed']);
  expect(times.map(({ at }) => at)).toEqual(times.map(({ at }) => at).sort());

  const list = await runCase('list');
  expect(list.lines[0]).toMatch(/^ORDER +STATE +ORDERED/);
  expect(list.lines[1]).toContain(`${order}  enforced`);
  const show = await runCase('show', order);
  expect(show.lines[0]).toBe(`order ${order}, change ${found.seq as number} of the table: enforced`);
  expect(show.lines.at(-1)).toMatch(/^tokens concerned: 1, last used 20/);
  for (const line of [...list.lines, ...show.lines]) expect(line.length).toBeLessThanOrEqual(100);
});

it('is incomplete where a mapping can not find what is ordered, and names point and types', async () => {
  const mapping = { issuer: 'iss', subject: 'sub', jti: 'jti', issuedAt: 'iat' };
  await startGuard('proxy', 'blind', { mapping });
  const person = await revoke({ principal: { issuer: ISSUER, id: 'bob' } });
  expect(await ended(person)).toMatchObject({ state: 'enforced', acked: 2 });
  const client = await revoke({ target: { type: 'client', issuer: ISSUER, value: 'crm' } });
  expect(await ended(client)).toMatchObject({
    state: 'incomplete',
    acked: 1,
    partial: 1,
    incomplete: [{ reason: 'unmapped_keys', point: 'proxy', count: 1, keyTypes: ['client'] }],
  });
  const { code } = await runCase('watch', client);
  expect(code).toBe(1);
});

it('takes an ack of another table for none, and says so', async () => {
  const liar = await enter('batch', 'liar');
  const order = await revoke({ target: { type: 'agent', value: 'bot' } });
  await until(() => (gateway.core.ackedSeq ?? 0) > 0);
  const { seq } = await admin.until<Json>(`/v1/cases/${order}`, () => true);
  const { instance, generation, signer, ledger } = liar;
  const ack = signAck(signer, ledger, {
    instance,
    generation,
    seq: seq as number,
    stateHash: new Uint8Array(32).fill(7),
    mappingHash: new Uint8Array(32),
    keyTypes: ['agent'],
    aborted: 0,
    atUs: Date.now() * 1000,
  });
  expect((await ask(liar, 'POST', '/v1/feed/acks', ack)).status).toBe(202);
  await admin.until<Json>(`/v1/cases/${await revoke({ target: { type: 'agent', value: 'bot-2' } })}`, () => true);
  await until(() => server.log.includes('attests a table that there is not'));
  const name = formatHex(instance);
  expect((await admin.send('DELETE', `/v1/points/batch/instances/${name}`)).status).toBe(204);
  const metrics = await admin.get<string>('/metrics');
  expect(metrics.body).toMatch(/keelson_case_contradicting_acks_total [1-9]/);
});

it('does not wait for who has no lease, and names them; who is retired is refused at once and named no more', async () => {
  const gone = await enter('batch', 'gone');
  const order = await revoke({ principal: { issuer: ISSUER, id: 'carl' } });
  expect(await ended(order)).toMatchObject({
    state: 'enforced',
    acked: 2,
    absent: 1,
    stragglers: [{ point: 'batch', status: 'absent' }],
  });
  const { signer, ledger, instance } = gone;
  const path = '/v1/feed?from=0';
  const authorization = signRequest(signer, ledger, { method: 'GET', path }, { instance, atUs: Date.now() * 1000 });
  const socket = new WebSocket(server.url.replace('http', 'ws') + path, { headers: { authorization } });
  await once(socket, 'message');
  const closed = once(socket, 'close');
  const name = formatHex(instance);
  expect((await admin.send('DELETE', `/v1/points/proxy/instances/${name}`)).status).toBe(404);
  expect((await admin.send('DELETE', `/v1/points/batch/instances/${name}`)).status).toBe(204);
  expect((await closed)[0]).toBe(4401);
  expect((await askLease(gone)).status).toBe(401);
  const next = await revoke({ principal: { issuer: ISSUER, id: 'dora' } });
  expect(await ended(next)).toMatchObject({ state: 'enforced', absent: 0, stragglers: [] });
});

it('gives a point in quarantine no leases until it is let go on', async () => {
  const one = await enter('batch', 'quarantined');
  expect((await askLease(one)).status).toBe(200);
  expect((await admin.send('PUT', '/v1/points/batch/quarantine')).status).toBe(204);
  const refused = await askLease(one);
  expect([refused.status, ((await refused.json()) as Json).code]).toEqual([403, 'forbidden']);
  expect((await ask(one, 'GET', '/v1/feed/keys')).status).toBe(200);
  expect((await admin.send('DELETE', '/v1/points/batch/quarantine')).status).toBe(204);
  expect((await admin.send('DELETE', '/v1/points/batch/quarantine')).status).toBe(404);
  expect((await askLease(one)).status).toBe(200);
  expect((await admin.send('DELETE', '/v1/points/batch')).status).toBe(204);
  expect((await askLease(one)).status).toBe(401);
  expect((await admin.post('/v1/points', { point: 'batch' })).status).toBe(409);
});

it('is reopened by a decision that allows what its own guard was told to refuse', async () => {
  const { body: list } = await admin.get<{ items: Json[] }>('/v1/cases');
  const { order } = list.items.find(({ state }) => state === 'enforced')!;
  const before = await admin.until<Json>(`/v1/cases/${order as string}`, () => true);
  const decide = (): Promise<unknown> =>
    admin.post('/v1/decisions', [
      {
        timestamp: new Date().toISOString(),
        point: 'gateway',
        tool: 'deploy',
        decision: 'allow',
        user: { issuer: ISSUER, id: 'dora' },
        enforcement: { instance: '00'.repeat(16), seq: before.seq },
      },
    ]);
  await until(async () => {
    await decide();
    await sleep(200);
    const { body } = await admin.get<Json>(`/v1/cases/${order as string}`);
    return body.state === 'reopened';
  });
  const found = await admin.until<Json>(`/v1/cases/${order as string}`, () => true);
  expect(found).toMatchObject({
    state: 'reopened',
    result: 'incomplete',
    acked: 2,
    incomplete: [{ reason: 'allowed_after', point: 'gateway', log: 'decisions/0/g1' }],
  });
  const { log, index } = (found.incomplete as { log: string; index: number }[])[0]!;
  const { body } = await admin.get<{ event: Json }>(`/v1/logs/${log}/entries/${index}`);
  expect(body.event).toMatchObject({ decision: 'allow', point: 'gateway' });
  // What was allowed in the first moments, when a guard may not yet have known, is no contradiction.
  expect(Date.parse(body.event.timestamp as string)).toBeGreaterThan(Date.parse(found.orderedAt as string) + 5_000);
  expect((found.timeline as Json[]).map(({ what }) => what).at(-1)).toBe('reopened');
});
