/** Webhooks of HR systems, over HTTP: who is believed, what becomes of what they say, and what is answered. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { makeSecret } from '../../../src/webhooks/keys.js';
import { eventsOf, openService, type Service } from '../harness.js';
import { causesOf, HrSystem, ISSUER, nowS, person } from './sender.js';

let service: Service;
beforeAll(async () => {
  service = await openService({ KEELSON_HTTP_REQUEST_TIMEOUT_MS: '2000', KEELSON_HR_BODY_BYTES: '4194304' });
});
afterAll(() => service.close());

test('somebody left: a cause of the source, in the ledger when it is answered, and ordered', async () => {
  const hr = await HrSystem.open(service, 'leaver');
  const answer = await hr.say('person.left', {
    person: 'sam',
    reason_code: 'resigned',
    aliases: [{ issuer: ISSUER, id: 'sam@company.com' }],
  });
  expect(answer.status).toBe(200);
  expect(answer.body).toMatchObject({ people: 1, ignored: 0, accepted: 2, quarantined: 0 });
  expect(answer.body.items).toMatchObject([
    { person: 0, event: 'left', status: 'accepted', log: 'lifecycle/0/g1' },
    { person: 0, event: 'left', status: 'accepted', log: 'lifecycle/0/g1' },
  ]);
  const events = await eventsOf(service, 'leaver');
  expect(events).toMatchObject([
    { type: 'principal.linked', principal: 'sam', aliases: [{ issuer: ISSUER, id: 'sam@company.com' }] },
    { type: 'principal.offboarded', principal: 'sam', reason_code: 'resigned' },
  ]);
  await vi.waitFor(async () => expect(await causesOf(service, 'leaver')).toMatchObject([{ state: 'ordered' }]), {
    timeout: 10_000,
  });
  const { body } = await service.admin.post<{ revoked: boolean }>('/v1/check', {
    issuer: ISSUER,
    subject: 'sam@company.com',
    issued_at: nowS() - 60,
  });
  expect(body.revoked).toBe(true);
});

test('each kind becomes its event', async () => {
  const hr = await HrSystem.open(service, 'kinds', { zone: 'Europe/Berlin' });
  const at = '2026-11-20T09:00:00+01:00';
  const { body, status } = await hr.send({
    timestamp: at,
    data: [
      { event: 'hired', person: 'a', groups: ['x'], name: 'A', department: 'd' },
      { event: 'moved', person: 'a', groups_removed: ['x'] },
      { event: 'leave_scheduled', person: 'a', effective_at: '2999-11-30', successor: 'b' },
      { event: 'leave_cancelled', person: 'a' },
      { event: 'left', person: person('a'), urgent: true },
      { event: 'back', person: 'a', occurred_at: '2026-11-21' },
    ],
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({ people: 6, accepted: 6 });
  expect(body.items.map(({ person: place }) => place)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await eventsOf(service, 'kinds')).toMatchObject([
    { type: 'principal.joined', principal: 'a', groups: ['x'], timestamp: '2026-11-20T08:00:00Z' },
    { type: 'principal.moved', groups_removed: ['x'] },
    // The day ends in Berlin.
    { type: 'principal.offboarded', effective_at: '2999-11-30T23:00:00Z', successor: 'b' },
    { type: 'principal.reinstated' },
    { type: 'principal.offboarded', principal: person('a'), urgent: true },
    { type: 'principal.reinstated', timestamp: '2026-11-20T23:00:00Z' },
  ]);
});

describe('the same webhook again', () => {
  test('is answered as the first was, and recorded once', async () => {
    const hr = await HrSystem.open(service, 'again');
    const data = [{ person: 'a' }, { person: 'b', aliases: ['b@company.com'] }];
    const body = JSON.stringify({ type: 'left', timestamp: '2026-11-20T09:00:00Z', data });
    const first = await hr.send(body, { id: 'msg_1' });
    // Signed anew, as senders do: later, but the same.
    const again = await hr.send(body, { id: 'msg_1', timestampS: nowS() + 5 });
    expect([again.status, again.body]).toEqual([200, first.body]);
    const together = await Promise.all([1, 2, 3, 4].map(() => hr.send(body, { id: 'msg_2' })));
    expect(new Set(together.map((one) => JSON.stringify(one.body))).size).toBe(1);
    expect(await eventsOf(service, 'again')).toHaveLength(6);
  });

  test('with another body is a conflict, and changes nothing', async () => {
    const hr = await HrSystem.open(service, 'conflict');
    const timestamp = '2026-11-20T09:00:00Z';
    await hr.say('left', { person: 'a' }, { id: 'msg_1', timestamp });
    const { body } = await hr.say('left', { person: 'b' }, { id: 'msg_1', timestamp });
    expect(body.items).toMatchObject([{ status: 'conflict' }]);
    expect(await eventsOf(service, 'conflict')).toHaveLength(1);
  });

  test('of another source is another webhook', async () => {
    const [one, other] = [await HrSystem.open(service, 'one'), await HrSystem.open(service, 'other')];
    await one.say('left', { person: 'a' }, { id: 'msg_1' });
    const { body } = await other.say('left', { person: 'b' }, { id: 'msg_1' });
    expect(body.items).toMatchObject([{ status: 'accepted' }]);
  });
});

describe('who is not believed', () => {
  const body = JSON.stringify({ type: 'left', timestamp: '2026-11-20T09:00:00Z', data: { person: 'a' } });
  let hr: HrSystem;
  let stranger: HrSystem;
  beforeAll(async () => {
    hr = await HrSystem.open(service, 'believed');
    stranger = await HrSystem.open(service, 'stranger');
  });

  test('is told 401, and nothing of why', async () => {
    const headers = hr.sign(body);
    const without = (name: string): Record<string, string> =>
      Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
    await service.admin.send('PUT', '/v1/producers/silent', { issuer: ISSUER });
    await service.admin.send('PUT', '/v1/producers/unkeyed', { issuer: ISSUER, hr: {} });
    const to = (source: string): HrSystem => new HrSystem(hr.url, source, hr.secret);
    const attempts = await Promise.all([
      hr.post(body, {}),
      hr.post(body, without('webhook-signature')),
      hr.post(body, without('webhook-id')),
      hr.post(body, without('webhook-timestamp')),
      hr.post(`${body} `, headers),
      hr.post(body.replace('"a"', '"b"'), headers),
      hr.post(body.slice(0, -1), headers),
      hr.post(body, { ...headers, 'webhook-id': 'msg_other' }),
      hr.post(body, { ...headers, 'webhook-timestamp': String(nowS() + 1) }),
      hr.post(body, { ...headers, authorization: `Bearer ${service.admin.token}`, 'webhook-signature': 'v1,AAAA' }),
      hr.post(body, stranger.sign(body)),
      hr.post(body, hr.sign(body, { timestampS: nowS() - 310 })),
      hr.post(body, hr.sign(body, { timestampS: nowS() + 310 })),
      to('nobody').post(body, headers),
      to('silent').post(body, headers),
      to('unkeyed').post(body, headers),
    ]);
    const problems = attempts.map(({ status, body: problem }) =>
      JSON.stringify([status, { ...problem, requestId: undefined }]),
    );
    expect(new Set(problems)).toEqual(new Set([problems[0]]));
    expect(attempts[0]).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(await eventsOf(service, 'believed')).toEqual([]);
    const { body: metrics } = await service.admin.get<string>('/metrics');
    for (const outcome of ['no_signature', 'malformed_id', 'bad_signature', 'too_old', 'in_future']) {
      expect(metrics).toContain(`keelson_hr_webhooks_total{source="believed",outcome="${outcome}"}`);
    }
  });

  test('is not read where headers say enough: its body may be of any size', async () => {
    const { status } = await hr.post(Buffer.alloc(8 * 1024 * 1024, 0x20), { 'webhook-id': 'x' });
    expect(status).toBe(401);
  });
});

test('a body that does not come is waited for as long as any request, and no longer', async () => {
  const hr = await HrSystem.open(service, 'slow');
  const body = JSON.stringify({ type: 'left', data: { person: 'a' } });
  const { port } = new URL(hr.url);
  const socket = connect(Number(port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
  const headers = Object.entries({ ...hr.sign(body), 'content-type': 'application/json', 'content-length': '100' });
  socket.write(
    `POST /v1/hr/slow HTTP/1.1\r\nHost: x\r\n${headers.map(([name, value]) => `${name}: ${value}`).join('\r\n')}\r\n\r\n`,
  );
  socket.write(body);
  await once(socket, 'close');
  expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect(await eventsOf(service, 'slow')).toEqual([]);
});

test('a secret is made, shown once, exchanged while both are good, and ended', async () => {
  const { admin, database } = service;
  const hr = await HrSystem.open(service, 'rotated');
  const old = hr.secret;
  const path = '/v1/producers/rotated/webhook-secrets';
  const made = await admin.post<{ id: string; secret: string }>(path, { keepS: 3600 });
  expect(made.status).toBe(201);
  const works = async (secret: string): Promise<boolean> => {
    hr.secret = secret;
    return (await hr.say('left', { person: 'a' })).status === 200;
  };
  expect([await works(old), await works(made.body.secret)]).toEqual([true, true]);
  // Of three only the last two.
  const third = await admin.post<{ id: string; secret: string }>(path, { keepS: 3600 });
  expect([await works(old), await works(made.body.secret), await works(third.body.secret)]).toEqual([
    false,
    true,
    true,
  ]);
  const { body } = await admin.get<{ secrets: { id: string; expiresAt?: string }[] }>(path);
  expect(body.secrets.map(({ id }) => id).slice(0, 2)).toEqual([third.body.id, made.body.id]);
  expect(JSON.stringify(body)).not.toContain('whsec_');
  expect((await admin.send('DELETE', `${path}/${made.body.id}`)).status).toBe(204);
  expect([await works(made.body.secret), await works(third.body.secret)]).toEqual([false, true]);
  // One at once: the old one ends with the new one.
  const last = await admin.post<{ secret: string }>(path, { keepS: 0 });
  expect([await works(third.body.secret), await works(last.body.secret)]).toEqual([false, true]);
  const kept = await database.tamper(
    `select s::text as text, encode(wrapped, 'escape') as raw from keelson.webhook_secret s`,
  );
  for (const secret of [old, last.body.secret]) expect(JSON.stringify(kept.rows)).not.toContain(secret.slice(6, 30));
});

test('secrets are for admins, of producers that send webhooks, and of the right kind', async () => {
  const { admin } = service;
  await admin.send('PUT', '/v1/producers/plain', { issuer: ISSUER });
  await admin.send('PUT', '/v1/producers/kind', { issuer: ISSUER, hr: {} });
  const path = (id: string): string => `/v1/producers/${id}/webhook-secrets`;
  const reader = await admin.as('secret-reader', ['read', 'publish:lifecycle', 'provision']);
  expect((await reader.post(path('kind'), {})).status).toBe(403);
  expect((await reader.get(path('kind'))).status).toBe(403);
  expect((await admin.post(path('nobody'), {})).status).toBe(404);
  expect((await admin.post(path('plain'), {})).status).toBe(409);
  expect((await admin.send('DELETE', `${path('kind')}/0123`)).status).toBe(404);
  for (const secret of ['hunter2', 'whsk_AAAA', 'whsec_AAAA']) {
    const { status, body } = await admin.post(path('kind'), { secret });
    expect([status, body]).toMatchObject([400, { code: 'malformed_key' }]);
    expect(JSON.stringify(body)).not.toContain(secret);
  }
  const own = makeSecret();
  const { status, body } = await admin.post(path('kind'), { secret: own });
  expect([status, JSON.stringify(body).includes(own)]).toEqual([201, false]);
});

describe('what can not become an event', () => {
  let hr: HrSystem;
  beforeAll(async () => (hr = await HrSystem.open(service, 'bad')));

  test.each<[string, string | Buffer, number, string]>([
    ['no JSON', 'left: sam', 400, 'malformed_json'],
    ['cut off', '{"type":"left","data":{"person":"a"', 400, 'malformed_json'],
    ['nothing', '', 400, 'malformed_json'],
    ['a member twice', '{"type":"left","type":"back","data":{"person":"a"}}', 400, 'duplicate_member'],
    ['too deep', `{"type":"left","data":${'['.repeat(100)}${']'.repeat(100)}}`, 400, 'too_deep'],
    ['no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 400, 'malformed_json'],
    ['UTF-16', Buffer.from('{"type":"left","data":{"person":"a"}}', 'utf16le'), 400, 'malformed_json'],
    ['no data', '{"type":"left"}', 400, 'unmappable'],
    ['a number', '42', 400, 'unmappable'],
    ['an item that is no object', '{"type":"left","data":"a"}', 400, 'unmappable'],
    ['nobody', '{"type":"left","data":{}}', 400, 'unmappable'],
    ['a person that is none', '{"type":"left","data":{"person":{"issuer":"x"}}}', 400, 'invalid_event'],
    ['a person that is a list', '{"type":"left","data":{"person":["a"]}}', 400, 'unmappable'],
    ['another kind', '{"type":"promoted","data":{"person":"a"}}', 400, 'unmappable'],
    ['no kind', '{"data":{"person":"a"}}', 400, 'unmappable'],
    ['a leave without a date', '{"type":"leave_scheduled","data":{"person":"a"}}', 400, 'unmappable'],
    ['no date', '{"type":"left","data":{"person":"a","effective_at":"soon"}}', 400, 'invalid_timestamp'],
    ['no such day', '{"type":"left","data":{"person":"a","effective_at":"2026-02-30"}}', 400, 'invalid_timestamp'],
    ['a date as number', '{"type":"left","data":{"person":"a","effective_at":20261130}}', 400, 'invalid_timestamp'],
    ['an issuer of others', '{"type":"left","data":{"person":{"issuer":"https://other","id":"a"}}}', 403, 'forbidden'],
    ['another type', '{"type":"left","data":{"person":"a","urgent":"yes"}}', 400, 'invalid_event'],
  ])('%s', async (_name, body, status, code) => {
    const answer = await hr.send(body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    // Kept, once, however often it comes.
    const id = answer.body.quarantineId!;
    const kept = await service.admin.get<{ code: string; producer: string }>(`/v1/quarantine/${id}`);
    expect(kept.body).toMatchObject({ code, producer: 'bad' });
    expect(await eventsOf(service, 'bad')).toEqual([]);
  });

  test('keeps none of its neighbours', async () => {
    const other = await HrSystem.open(service, 'mixed');
    const { status, body } = await other.say('left', [
      { person: 'a' },
      {},
      { person: 'b', effective_at: '?' },
      { person: 'c' },
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ people: 4, accepted: 2, quarantined: 2 });
    expect(body.items).toMatchObject([
      { person: 0, status: 'accepted' },
      { person: 1, status: 'quarantined', code: 'unmappable', pointer: '/data/1' },
      { person: 2, status: 'quarantined', code: 'invalid_timestamp', pointer: '/data/2/effective_at' },
      { person: 3, status: 'accepted' },
    ]);
    expect(await eventsOf(service, 'mixed')).toMatchObject([{ principal: 'a' }, { principal: 'c' }]);
  });

  test('an alias of an issuer of others is refused; that they left counts', async () => {
    const other = await HrSystem.open(service, 'aliases');
    const { body } = await other.say('left', { person: 'a', aliases: [{ issuer: 'https://other', id: 'x' }] });
    expect(body.items).toMatchObject([{ status: 'quarantined', code: 'forbidden' }, { status: 'accepted' }]);
  });

  test('media types, charsets and codings that are not what is signed', async () => {
    const body = JSON.stringify({ type: 'left', data: { person: 'a' } });
    const status = async (headers: Record<string, string>): Promise<unknown> => {
      const answer = await hr.post(body, { ...hr.sign(body), ...headers });
      return [answer.status, answer.body.code];
    };
    expect(await status({ 'content-type': 'text/plain' })).toEqual([415, 'unsupported_media_type']);
    expect(await status({ 'content-type': 'application/json; charset=utf-16' })).toEqual([
      415,
      'unsupported_media_type',
    ]);
    expect(await status({ 'content-encoding': 'gzip' })).toEqual([415, 'bad_encoding']);
    expect(await status({ 'content-encoding': 'br' })).toEqual([415, 'bad_encoding']);
    expect(await status({ 'content-type': 'application/json; charset="UTF-8"' })).toEqual([200, undefined]);
  });

  test('more bytes, or people, than there may be', async () => {
    const big = JSON.stringify({ type: 'left', data: { person: 'a', name: 'x'.repeat(5 * 1024 * 1024) } });
    expect((await hr.post(big, hr.sign(big))).status).toBe(413);
    const people = { type: 'left', data: Array.from({ length: 10_001 }, (_, i) => ({ person: `p${i}` })) };
    expect(await hr.send(people)).toMatchObject({ status: 413, body: { code: 'too_many_items' } });
  });
});
