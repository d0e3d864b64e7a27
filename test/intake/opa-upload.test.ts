import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { intakeSettings, openIntake, PARTITIONS, readEvents, toPlain, type TestIntake } from './support.js';

const CHUNK = readFileSync(new URL('./opa-chunk.json', import.meta.url));

let database: TestDatabase;
let eventLog: MemoryEventLog;
let opened: TestIntake;
let token: string;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  eventLog = new MemoryEventLog(PARTITIONS);
  opened = await openIntake({ database: database.database, eventLog });
  token = await opened.token(['publish:decisions'], 'opa');
});
afterEach(() => opened.http.close());

/** As OPA does: gzip, application/json, and no interest in the answer but its status. */
async function upload(
  body: Buffer | string,
  { url = '/v1/opa/logs', raw = false, bearer = token, type = 'application/json' } = {},
) {
  return opened.http.inject({
    method: 'POST',
    url,
    headers: {
      authorization: `Bearer ${bearer}`,
      ...(type === '' ? {} : { 'content-type': type }),
      'content-encoding': 'gzip',
      'user-agent': 'Open-Policy-Agent/1.22.2 (linux, amd64)',
    },
    payload: raw ? body : gzipSync(body),
  });
}

test.each(['', 'text/plain', 'application/octet-stream', 'no media type at all'])(
  'a media type like %j is no reason to refuse an upload',
  async (type) => {
    expect((await upload(CHUNK, { type })).json()).toEqual({ accepted: 4, quarantined: 2 });
    const answer = await upload('{', { type });
    expect([answer.statusCode, answer.json()]).toEqual([200, { accepted: 0, quarantined: 1 }]);
  },
);

const notices = async (): Promise<Record<string, unknown>[]> =>
  (await readEvents(eventLog, 'activity', opened.vault)).map(({ event }) => toPlain(event) as Record<string, unknown>);

describe('an upload', () => {
  test('as OPA 1.22.2 sent it: decisions under labels.id and decision_id, the rest in quarantine', async () => {
    const answer = await upload(CHUNK);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ accepted: 4, quarantined: 2 });
    const found = await readEvents(eventLog, 'decisions', opened.vault);
    expect(found[0]!.record).toMatchObject({
      id: 'b65128c7-fea8-4f21-8178-8616cc0625a5',
      source: 'ba41c833-8c7b-462d-885c-4a288ff86c80',
      protocol: 'opa',
      producer: 'opa',
      assigned: ['type'],
    });
    expect(toPlain(found[0]!.event)).toMatchObject({
      timestamp: '2026-11-23T09:01:43.907910157Z',
      agent: 'spiffe://x/agent/a',
      decision: 'allow',
      policy: { engine: 'opa', path: 'tools/authz/allow' },
    });
    expect(toPlain(found[2]!.event)).toMatchObject({ decision: 'deny', reason_codes: ['undefined'] });
    expect((await notices()).map(({ reason, event_id }) => [reason, event_id])).toEqual([
      ['unmappable', '261e1341-4d7e-4b45-9682-a6fa1d52d348'],
      ['unmappable', '2b86a296-2d91-4c7a-89bf-5c3e1a15ff21'],
    ]);
  });

  test('sent again it has the same keys and contents, whatever the mapping is by then', async () => {
    await upload(CHUNK);
    await opened.access.store.putProducer('opa', { mappings: { opa: { agent: ['/input/user'] } } }, 1n);
    opened.access.forget({ producer: 'opa' });
    await upload(CHUNK);
    const found = await readEvents(eventLog, 'decisions', opened.vault);
    const keys = found.map(({ record, digest }) => record.dedupe.toString('hex') + digest.toString('hex'));
    expect(keys.slice(4)).toEqual(keys.slice(0, 4));
    expect(new Set(keys).size).toBe(4);
    await opened.access.store.putProducer('opa', {}, 1n);
  });

  test('to a partition name is the same, and the name is kept', async () => {
    const answer = await upload(CHUNK, { url: '/v1/opa/logs/eu/blue' });
    expect(answer.json()).toEqual({ accepted: 4, quarantined: 2 });
    const [found] = await readEvents(eventLog, 'decisions', opened.vault);
    expect(toPlain(found!.event)).toMatchObject({ opa_partition: 'eu/blue' });
  });
});

describe('what can’t be read is quarantined whole and answered 200', () => {
  const list = async (): Promise<{ id: string; code: string; original: string; sha256: string }> => {
    const headers = { authorization: `Bearer ${await opened.token(['admin'])}` };
    const page = await opened.http.inject({ url: '/v1/quarantine?limit=1', headers });
    const { id } = page.json<{ items: { id: string }[] }>().items[0]!;
    return (await opened.http.inject({ url: `/v1/quarantine/${id}`, headers })).json();
  };

  test.each([
    ['no JSON', 'hello', 'malformed_json'],
    ['cut JSON', CHUNK.subarray(0, 500), 'malformed_json'],
    ['too many events', `[${'{},'.repeat(2_000)}{}]`, 'too_many_items'],
    ['a bomb', Buffer.alloc(8 * 1024 * 1024, 0x20), 'too_large'],
  ])('%s', async (_name, body, code) => {
    const wire = gzipSync(body);
    const answer = await upload(wire, { raw: true });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ accepted: 0, quarantined: 1 });
    const kept = await list();
    expect(kept.code).toBe(code);
    expect(gunzipSync(Buffer.from(kept.original, 'base64')).equals(Buffer.from(body))).toBe(true);
    expect(await notices()).toMatchObject([{ reason: code, digest: createHash('sha256').update(wire).digest('hex') }]);
  });

  test('damaged gzip', async () => {
    const wire = gzipSync(CHUNK).subarray(0, 100);
    expect((await upload(wire, { raw: true })).statusCode).toBe(200);
    expect(await list()).toMatchObject({ code: 'bad_encoding', original: wire.toString('base64') });
  });

  test('of one that is too large on the wire, its beginning; the notice has digest and length of all of it', async () => {
    const wire = randomBytes(intakeSettings.KEELSON_INTAKE_BODY_BYTES + 5_000);
    expect((await upload(wire, { raw: true })).statusCode).toBe(200);
    const kept = await list();
    expect(kept.code).toBe('too_large');
    expect(Buffer.from(kept.original, 'base64')).toEqual(wire.subarray(0, intakeSettings.KEELSON_INTAKE_SAMPLE_BYTES));
    expect(await notices()).toMatchObject([
      { digest: createHash('sha256').update(wire).digest('hex'), size: wire.length },
    ]);
  });
});

describe('other answers than 2xx', () => {
  test('are for authentication, scope and back-pressure', async () => {
    expect((await upload(CHUNK, { bearer: 'nothing' })).statusCode).toBe(401);
    expect((await upload(CHUNK, { bearer: await opened.token(['publish:lifecycle']) })).statusCode).toBe(403);
    await opened.http.close();
    opened = await openIntake({ database: database.database, httpSettings: { KEELSON_HTTP_MEMORY_BYTES: 1000 } });
    const answer = await upload(CHUNK);
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBeDefined();
  });
});
