/** Cases on a real server, with what takes them long: held, late, reopened, only signalled; their certificates, and who listens to them. */
import { randomUUID } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { join, readMembership } from '../../src/guard/join.js';
import { nodeHasher as hasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier as verifier } from '../../src/platform/signer.js';
import { signLeaseRequest } from '../../src/protocol/grant.js';
import { signRequest } from '../../src/protocol/request.js';
import { parseLedgerKey } from '../../src/verify/ledger-key.js';
import { verifyCertificate } from '../../src/verify/verify-certificate.js';
import type { Certificate } from '../../src/protocol/certificate.js';
import { seed } from '../guard/support.js';
import { openService, type Service } from '../provisioning/harness.js';
import type { Api, Json } from '../support/api.js';
import { makeSecret } from '../../src/webhooks/keys.js';
import { Receiver } from '../webhooks/receiver.js';

const ISSUER = 'https://idp.example';
const MAX_LISTENERS = 200;
let receiver: Receiver;
let service: Service;
let admin: Api;

beforeAll(async () => {
  receiver = await Receiver.open();
  service = await openService({
    KEELSON_WEBHOOKS: JSON.stringify([{ id: 'all', url: receiver.url, keys: [makeSecret()] }]),
    KEELSON_REVOCATION_HOLD_COUNT: '0',
    KEELSON_REVOCATION_HOLD_SHARE: '0',
    KEELSON_CASE_WARN_S: '1',
    KEELSON_CASE_CALL_S: '1',
    KEELSON_CASE_QUARANTINE_S: '2',
  });
  ({ admin } = service);
  for (const point of ['batch', 'gateway']) expect((await admin.post('/v1/points', { point })).status).toBe(201);
});
afterAll(async () => {
  await service?.close();
  await receiver?.close();
});

const revoke = async (what: Json): Promise<string> => {
  const { status, body } = await admin.post<Json>('/v1/revocations', { ...what, reason: 'over' });
  expect(status).toBe(200);
  return body.order as string;
};

const ended = (order: string): Promise<Json> =>
  admin.until<Json>(`/v1/cases/${order}`, ({ state }) => state !== 'open', 30_000);

async function enter(point: string, name: string): Promise<ReturnType<typeof readMembership>> {
  const { body } = await admin.post<Json>('/v1/enrolments', { point, uses: 1, expiresInS: 3600 });
  const signer = nodeSigner(seed(name));
  return readMembership(await join(admin.url, body.token as string, signer), signer);
}

async function certified(order: string): Promise<Certificate> {
  const { body: keys } = await admin.get<{ ledger: string }>('/v1/keys');
  const answer = await fetch(`${admin.url}/v1/cases/${order}/certificate`, {
    headers: { authorization: `Bearer ${admin.token}` },
  });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  expect(answer.status, Buffer.from(bytes).toString()).toBe(200);
  const found = verifyCertificate({ hasher, verifier, key: parseLedgerKey(hasher, keys.ledger) }, bytes);
  expect(found.findings).toEqual([]);
  return found.certificate;
}

async function told(type: string, order: string): Promise<Json> {
  const find = (): Json | undefined =>
    receiver.received
      .map(({ body }) => JSON.parse(body) as { type: string; data: Json })
      .find((one) => one.type === type && one.data.order === order)?.data;
  await vi.waitFor(() => expect(find()).toBeDefined(), { timeout: 20_000, interval: 50 });
  return find()!;
}

it('is fenced where nobody had a lease, also of a cause that was held; the certificate shows how it came about', async () => {
  await enter('gateway', 'never asked');
  expect((await admin.send('PUT', '/v1/producers/hr', { issuer: ISSUER })).status).toBe(200);
  const hr = await admin.as('hr', ['publish:lifecycle']);
  const id = randomUUID();
  const leave = {
    type: 'principal.offboarded',
    id,
    timestamp: new Date().toISOString(),
    principal: { issuer: ISSUER, id: 'ana' },
  };
  await hr.post('/v1/events', leave, { prefer: 'wait=10' });
  const { order } = await admin.until<Json>(`/v1/revocations/${id}`, ({ state }) => state === 'held', 20_000);
  expect((await admin.get<Json>(`/v1/cases/${order as string}`)).status).toBe(404);
  expect((await admin.post(`/v1/revocations/${order as string}/approve`, { reason: 'they left' })).status).toBe(200);
  await admin.until(`/v1/cases/${order as string}`, () => true);
  expect(await ended(order as string)).toMatchObject({ state: 'fenced', absent: 1, acked: 0 });
  const { result, says } = await certified(order as string);
  expect(result).toBe('fenced');
  expect(says.proved.map((line) => /^[a-z]+/.exec(line)![0])).toEqual(
    expect.arrayContaining(['held', 'ordered', 'case']),
  );
  expect(says.stated.join('\n')).toMatch(/: absent, it had no lease when the order was given/);
});

it('is incomplete where a point can only be signalled, which is told of it and can not be joined', async () => {
  expect((await admin.post('/v1/points', { point: 'crm', signalled: true })).status).toBe(201);
  expect((await admin.post('/v1/points', { point: 'crm' })).status).toBe(409);
  expect((await admin.post('/v1/enrolments', { point: 'crm', uses: 1, expiresInS: 60 })).status).toBe(404);
  expect((await admin.get<Json>('/v1/points/crm')).body).toMatchObject({ signalled: true, instances: 0 });
  const target = { type: 'agent', issuer: '', value: 'bot' };
  const order = await revoke({ target: { type: 'agent', value: 'bot' } });
  expect(await told('revocation.ordered', order)).toMatchObject({ point: 'crm', target });
  expect((await admin.post<Json>('/v1/check', { agents: ['bot'] })).body).toMatchObject({ revoked: true });
  const incomplete = [{ reason: 'signalled_only', point: 'crm' }];
  expect(await ended(order)).toMatchObject({ state: 'incomplete', incomplete });
  const { result, says } = await certified(order);
  expect([result, says.stated]).toEqual(['incomplete', expect.arrayContaining(['not proven: signalled_only crm'])]);
  expect((await admin.send('DELETE', '/v1/points/crm')).status).toBe(204);
  expect(await ended(await revoke({ target: { type: 'agent', value: 'bot-2' } }))).toMatchObject({ state: 'fenced' });
});

it('that goes on for long is an entry and told, and its points are put out of service', async () => {
  const { signer, ledger, instance } = await enter('batch', 'silent');
  const body = signLeaseRequest(signer, ledger, { instance, nonce: seed('nonce').subarray(0, 16) });
  const path = '/v1/feed/lease';
  const authorization = signRequest(signer, ledger, { method: 'POST', path }, { instance, atUs: Date.now() * 1000 });
  const headers = { authorization, 'content-type': 'application/vnd.keelson.feed' };
  const leased = await fetch(admin.url + path, { method: 'POST', headers, body: Buffer.from(body) });
  expect(leased.status).toBe(200);
  expect((await admin.post('/v1/points', { point: 'pbx', signalled: true })).status).toBe(201);
  const order = await revoke({ target: { type: 'agent', value: 'bot-3' } });
  expect(await told('case.late', order)).toMatchObject({
    count: 1,
    stragglers: [{ point: 'batch', status: 'silent' }],
  });
  const found = await admin.until<{ timeline: { what: string; entry: { log: string; index: number } }[] }>(
    `/v1/cases/${order}`,
    ({ timeline }) => timeline.some(({ what }) => what === 'late'),
    20_000,
  );
  const { log, index } = found.timeline.find(({ what }) => what === 'late')!.entry;
  const entry = await admin.get<{ event: Json }>(`/v1/logs/${log}/entries/${index}`);
  expect(entry.body.event).toMatchObject({ type: 'case.late', order, count: 1, instances: [{ status: 'silent' }] });
  await admin.until<Json>('/v1/points/batch', ({ quarantinedAt }) => quarantinedAt !== undefined, 20_000);
  expect((await admin.get<Json>('/v1/points/gateway')).body).not.toHaveProperty('quarantinedAt');
  expect((await admin.get<Json>(`/v1/cases/${order}/certificate`)).body).toMatchObject({ code: 'case_open' });
  // It was there when the order was given: retiring it proves nothing.
  const incomplete = [{ reason: 'signalled_only', point: 'pbx' }];
  expect((await admin.send('DELETE', '/v1/points/pbx')).status).toBe(204);
  const next = await revoke({ target: { type: 'agent', value: 'bot-4' } });
  await admin.until<{ incomplete: Json[] }>(`/v1/cases/${next}`, ({ incomplete: gaps }) =>
    gaps.every(({ point }) => point !== 'pbx'),
  );
  expect((await admin.get<Json>(`/v1/cases/${order}`)).body).toMatchObject({ state: 'open', incomplete });
});

it('is reopened by a decision that nobody had looked at; the certificate says so, and where was looked', async () => {
  const seen = await admin.until<{ items: Json[] }>('/v1/cases', ({ items }) =>
    items.some(({ state }) => state === 'fenced'),
  );
  const { order, seq } = seen.items.find(({ state }) => state === 'fenced')!;
  const before = await certified(order as string);
  expect(before).toMatchObject({ result: 'fenced', reopened: [] });
  // Nobody reads decisions for a while, and then it is forgotten how far they were read.
  const sql = `update keelson.case_decision_cursor set holder = gen_random_uuid(), seen_at = 'infinity'`;
  const allow = {
    point: 'gateway',
    tool: 'deploy',
    decision: 'allow',
    agent: 'bot-2',
    user: { issuer: ISSUER, id: 'ana' },
    enforcement: { instance: '00'.repeat(16), seq },
  };
  const timestamp = (): string => new Date().toISOString();
  const late = Date.parse(seen.items.find((one) => one.order === order)!.orderedAt as string) + 5_500;
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(late), { timeout: 10_000, interval: 100 });
  await service.database.tamper(sql);
  await admin.post('/v1/decisions', [{ ...allow, timestamp: timestamp() }], { prefer: 'wait=20' });
  await service.database.tamper('delete from keelson.case_decision_cursor');
  await admin.until<Json>(`/v1/cases/${order as string}`, ({ state }) => state === 'reopened', 20_000);
  expect(await told('case.reopened', order as string)).toMatchObject({ reason_code: 'allowed_after' });
  const certificate = await certified(order as string);
  expect(certificate).toMatchObject({ result: 'incomplete', watched: [{ log: 'decisions/0/g1' }] });
  expect(certificate.says.proved.join('\n')).toMatch(/REOPENED: a decision that the order forbids, decisions\/0\/g1/);
  expect(certificate.says.stated.join('\n')).toMatch(
    /of each who was found to allow .* one decision is named, 100 at most \(decisions/,
  );
});

it('is heard live, by so many, whoever of them does not read', async () => {
  const headers = { authorization: `Bearer ${admin.token}` };
  const { hostname, port } = new URL(admin.url);
  // It asks, and reads nothing.
  const slow = connect(Number(port), hostname).pause();
  slow.write(`GET /v1/cases/events HTTP/1.1\r\nhost: keelson\r\nauthorization: ${headers.authorization}\r\n\r\n`);
  const stopping = new AbortController();
  const { signal } = stopping;
  setMaxListeners(0, signal);
  const listen = (): Promise<Response> => fetch(`${admin.url}/v1/cases/events`, { headers, signal });
  const first = await listen();
  expect(first.headers.get('content-type')).toBe('text/event-stream');
  const order = await revoke({ target: { type: 'agent', value: 'bot-4' } });
  let text = '';
  for await (const chunk of first.body!) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (text.includes(order)) break;
  }
  const told = text.split('\n\n').findLast((one) => one.includes(order))!;
  expect(JSON.parse(/^event: case\ndata: (.*)$/m.exec(told)![1]!)).toMatchObject({ order });

  const others = await Promise.all(Array.from({ length: MAX_LISTENERS }, listen));
  const statuses = others.map(({ status }) => status);
  const refused = others.find(({ status }) => status !== 200)!;
  expect(statuses.filter((status) => status === 200).length).toBeLessThan(MAX_LISTENERS);
  expect(await refused.json()).toMatchObject({ code: 'overloaded' });
  stopping.abort();
  slow.destroy();
  await once(slow, 'close');
  // Who has gone leaves their place.
  await vi.waitFor(async () => {
    const again = await fetch(`${admin.url}/v1/cases/events`, { headers });
    await again.body?.cancel();
    expect(again.status).toBe(200);
  }, 20_000);
});
