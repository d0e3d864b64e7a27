import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { KeelsonError } from '../../src/core/error.js';
import type { Scope } from '../../src/http/caller.js';
import { Encoder } from '../../src/intake/encoder.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { EXAMPLE, openIntake, PARTITIONS, readEvents, readRecords, toPlain, type TestIntake } from './support.js';

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
  token = await opened.token(['publish:decisions', 'publish:lifecycle']);
});
afterEach(() => opened.http.close());

interface ItemBody {
  status: string;
  id?: string;
  code?: string;
  pointer?: string;
  quarantineId?: string;
}

interface AnswerBody {
  accepted: number;
  quarantined: number;
  items: ItemBody[];
}

interface PostOptions {
  url?: string;
  bearer?: string;
  headers?: Record<string, string>;
}

async function post(
  payload: object | string | Buffer,
  { url = '/v1/decisions', bearer = token, headers = {} }: PostOptions = {},
) {
  const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
  return opened.http.inject({
    method: 'POST',
    url,
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', ...headers },
    payload: body,
  });
}

const events = (topic: string) => readEvents(eventLog, topic, opened.vault);

describe('the example', () => {
  test('goes in verbatim, alone, and comes back complete', async () => {
    const answer = await post(EXAMPLE);
    expect(answer.statusCode).toBe(200);
    const { items, accepted } = answer.json<AnswerBody>();
    expect(accepted).toBe(1);
    expect(items).toEqual([{ status: 'accepted', id: expect.stringMatching(/^[0-9a-f-]{14}7/) as string }]);
    const [found] = await events('decisions');
    expect(found!.record).toMatchObject({
      id: items[0]!.id,
      type: 'decision.made',
      producer: 'gateway',
      producerVerified: true,
      protocol: 'native',
      assigned: ['id', 'type'],
    });
    expect(toPlain(found!.event)).toEqual(EXAMPLE);
  });

  test('no plain personal data is in the event log', async () => {
    await post(EXAMPLE);
    const bytes = Buffer.concat(eventLog.messages.get('decisions/0')!.map(({ pack }) => Buffer.from(pack)));
    for (const personal of ['devops@company.com', 'Scheduled deployment', '2.3.4']) {
      expect(bytes.includes(personal), personal).toBe(false);
    }
    expect(bytes.includes('spiffe://company.com/agent/deploy-bot')).toBe(true);
  });
});

describe('a log', () => {
  test('begins with its opening and the schemas, before the first record that uses them', async () => {
    await opened.intake.open();
    expect(opened.intake.isOpen).toBe(true);
    await post(EXAMPLE);
    await post(EXAMPLE);
    const types = (await readRecords(eventLog, 'decisions', opened.vault)).map(({ record }) => record.type);
    expect(types).toEqual(['log.opened', 'log.schema', 'log.schema', 'log.schema', 'decision.made', 'decision.made']);
    const [lifecycle] = await readRecords(eventLog, 'lifecycle', opened.vault);
    expect(toPlain(lifecycle!.event)).toMatchObject({
      origin: 'test.example/ledger/lifecycle/0/g1',
      origins: PARTITIONS.map(({ topic }) => `test.example/ledger/${topic}/0/g1`),
    });
  });

  test('is opened by its first event where nobody has', async () => {
    await post(EXAMPLE);
    const [first] = await readRecords(eventLog, 'decisions', opened.vault);
    expect(first!.record.type).toBe('log.opened');
  });
});

describe('a batch', () => {
  test('a bad event is quarantined with code and pointer; its neighbours go on, in order', async () => {
    const batch = `[${[
      JSON.stringify({ ...EXAMPLE, id: 'a' }),
      '{"timestamp":',
      JSON.stringify({ ...EXAMPLE, id: 'b', decision: 'perhaps' }),
      JSON.stringify({ ...EXAMPLE, id: 'c' }),
    ].join(',')}]`.replace('{"timestamp":,', '{"timestamp":},');
    const answer = await post(batch);
    expect(answer.statusCode).toBe(200);
    expect(answer.json<AnswerBody>()).toMatchObject({
      accepted: 2,
      quarantined: 2,
      items: [
        { status: 'accepted', id: 'a' },
        { status: 'quarantined', code: 'malformed_json' },
        { status: 'quarantined', code: 'invalid_event', pointer: '/decision', id: 'b' },
        { status: 'accepted', id: 'c' },
      ],
    });
    expect((await events('decisions')).map(({ record }) => record.id)).toEqual(['a', 'c']);
    const notices = await events('activity');
    expect(notices.map(({ record }) => record.type)).toEqual(['record.quarantined', 'record.quarantined']);
    expect(toPlain(notices[1]!.event)).toMatchObject({ reason: 'invalid_event', sender: 'gateway', event_id: 'b' });
  });

  test('what is quarantined can be listed and read by an admin, and by nobody else', async () => {
    const bad = '{"decision":"allow"}';
    const { items } = (await post(`[${bad}]`)).json<AnswerBody>();
    const id = items[0]!.quarantineId!;
    const admin = { authorization: `Bearer ${await opened.token(['admin'])}` };
    const list = await opened.http.inject({ url: '/v1/quarantine?limit=1&code=invalid_event', headers: admin });
    expect(list.json<{ items: object[] }>().items).toMatchObject([{ id, code: 'invalid_event', producer: 'gateway' }]);
    const one = await opened.http.inject({ url: `/v1/quarantine/${id}`, headers: admin });
    expect(one.json()).toMatchObject({ id, text: bad, original: Buffer.from(bad).toString('base64') });
    const refused = await opened.http.inject({
      url: `/v1/quarantine/${id}`,
      headers: { authorization: `Bearer ${token}` },
    });
    expect(refused.statusCode).toBe(403);
    const missing = await opened.http.inject({ url: '/v1/quarantine/nothing', headers: admin });
    expect(missing.statusCode).toBe(404);
  });

  test('the same refusal again is kept and noticed once', async () => {
    const ids = async (): Promise<unknown[]> =>
      (await post('[{"once":1},{"once":1}]')).json<AnswerBody>().items.map(({ quarantineId }) => quarantineId);
    expect(new Set([...(await ids()), ...(await ids())]).size).toBe(1);
    const keys = (await events('activity')).map(({ record, digest }) => [record.dedupe, digest].join());
    expect(new Set(keys).size).toBe(1);
    const [id] = await ids();
    const { rows } = await database.tamper('select 1 from keelson.quarantine where id = $1', [id]);
    expect(rows).toHaveLength(1);
  });

  test('pages through quarantine, newest first', async () => {
    await post(`[${Array.from({ length: 5 }, (_, i) => `{"x":${i}}`).join(',')}]`);
    const admin = { authorization: `Bearer ${await opened.token(['admin'])}` };
    const seen: string[] = [];
    let cursor = '';
    do {
      const answer = await opened.http.inject({
        url: `/v1/quarantine?limit=2&producer=gateway${cursor === '' ? '' : `&cursor=${cursor}`}`,
        headers: admin,
      });
      const page = answer.json<{ items: { id: string }[]; next?: string }>();
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.next ?? '';
    } while (cursor !== '');
    expect(seen.length).toBeGreaterThanOrEqual(5);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('large events are taken a few at once', async () => {
    const encode = vi.spyOn(Encoder.prototype, 'encode');
    onTestFinished(() => encode.mockRestore());
    const large = { ...EXAMPLE, parameters: { parts: Array.from({ length: 300 }, () => 'x'.repeat(1000)) } };
    await post([large, large, large, EXAMPLE, EXAMPLE]);
    expect(encode.mock.calls.map(([items]) => items.length)).toEqual([2, 3]);
  });

  test('more than one chunk, gzip: one answer for each, in order', async () => {
    const batch = Array.from({ length: 700 }, (_, i) => ({ ...EXAMPLE, id: `e-${i}`, user: `u${i % 7}@x` }));
    const answer = await post(gzipSync(JSON.stringify(batch)), { headers: { 'content-encoding': 'gzip' } });
    const { items } = answer.json<AnswerBody>();
    expect(items.map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    expect((await events('decisions')).map(({ record }) => record.id)).toEqual(batch.map(({ id }) => id));
  });

  test('an empty one is empty', async () => {
    expect((await post('[]')).json<AnswerBody>()).toEqual({ accepted: 0, quarantined: 0, items: [] });
  });
});

describe('identity', () => {
  const digestOf = async (index: number): Promise<string> => (await events('decisions'))[index]!.digest.toString('hex');
  const dedupeOf = async (index: number): Promise<string> =>
    (await events('decisions'))[index]!.record.dedupe.toString('hex');

  test('the same again has the same key and content; other content has another', async () => {
    await post({ ...EXAMPLE, id: 'same' });
    const reordered = Object.fromEntries(Object.entries({ ...EXAMPLE, id: 'same' }).reverse());
    await post(JSON.stringify(reordered, null, 2));
    await post({ ...EXAMPLE, id: 'same', tool: 'other' });
    expect(await dedupeOf(1)).toBe(await dedupeOf(0));
    expect(await dedupeOf(2)).toBe(await dedupeOf(0));
    expect(await digestOf(1)).toBe(await digestOf(0));
    expect(await digestOf(2)).not.toBe(await digestOf(0));
    const canonical = JSON.stringify(Object.fromEntries(Object.entries(EXAMPLE).sort()));
    const content = createHmac('sha256', Buffer.alloc(32, 3)).update(canonical).digest();
    expect(await digestOf(0)).toBe(content.toString('hex', 0, 16));
  });

  test('another producer’s event of that id is another event', async () => {
    await post({ ...EXAMPLE, id: 'same' });
    await post({ ...EXAMPLE, id: 'same' }, { bearer: await opened.token(['publish:decisions'], 'other') });
    expect(await dedupeOf(1)).not.toBe(await dedupeOf(0));
  });

  test('an Idempotency-Key is the id of a single event, and with its place of each in an array; an own id counts more', async () => {
    const headers = { 'idempotency-key': 'k-1' };
    expect((await post(EXAMPLE, { headers })).json<AnswerBody>().items[0]!.id).toBe('k-1');
    const { items } = (await post([EXAMPLE, { ...EXAMPLE, id: 'own' }, EXAMPLE], { headers })).json<AnswerBody>();
    expect(items.map(({ id }) => id)).toEqual(['k-1/0', 'own', 'k-1/2']);
  });
});

describe('scopes', () => {
  const OFFBOARDED = { timestamp: '2024-01-20T10:30:00Z', type: 'principal.offboarded', principal: 'x@company.com' };
  const publish = async (scopes: Scope[], event: object, url = '/v1/events') =>
    post(event, { url, bearer: await opened.token(scopes) });

  test.each([
    [['publish:decisions'], { ...EXAMPLE, type: 'decision.made' }, 200],
    [['publish:lifecycle'], { ...EXAMPLE, type: 'decision.made' }, 403],
    [['publish:lifecycle'], OFFBOARDED, 200],
    [['publish:decisions'], OFFBOARDED, 403],
    [['read', 'admin'], OFFBOARDED, 403],
  ] as [Scope[], object, number][])('%j', async (scopes, event, status) => {
    expect((await publish(scopes, event)).statusCode).toBe(status);
  });

  test('in a batch the forbidden one is quarantined, the other goes on', async () => {
    const answer = await publish(['publish:decisions'], [OFFBOARDED, { ...EXAMPLE, type: 'decision.made' }]);
    expect(answer.json<AnswerBody>().items).toMatchObject([
      { status: 'quarantined', code: 'forbidden' },
      { status: 'accepted' },
    ]);
    expect(await events('lifecycle')).toEqual([]);
  });

  test.each(['log.opened', 'log.schema', 'record.quarantined', 'subject.erased', 'tick'])(
    '%s is said by nobody but Keelson',
    async (type) => {
      const event = { timestamp: '2024-01-20T10:30:00Z', type, digest: 'x', reason: 'x', ledger: 'x', origin: 'x' };
      const answer = await publish(['publish:decisions', 'publish:lifecycle', 'admin'], event);
      expect(answer.json<ItemBody>().code).toBe('unknown_event_type');
    },
  );

  test('/v1/decisions takes decisions only; /v1/events wants a type', async () => {
    expect((await post(OFFBOARDED)).json<ItemBody>()).toMatchObject({ code: 'invalid_event', pointer: '/type' });
    expect((await post(EXAMPLE, { url: '/v1/events' })).json<ItemBody>()).toMatchObject({
      code: 'invalid_event',
      pointer: '/type',
    });
  });
});

describe('secrets', () => {
  test('never reach the event log, whether recognised or configured', async () => {
    const admin = await opened.token(['admin']);
    await opened.http.inject({
      method: 'PUT',
      url: '/v1/producers/gateway',
      headers: { authorization: `Bearer ${admin}` },
      payload: { mask: ['/parameters/pin'] },
    });
    opened.access.forget({ producer: 'gateway' });
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ';
    await post({ ...EXAMPLE, tool: `call ${jwt}`, parameters: { pin: '1234-5678', note: `Bearer ${jwt}` } });
    const [found] = await events('decisions');
    const text = JSON.stringify(toPlain(found!.event));
    expect(text).not.toContain(jwt);
    expect(text).not.toContain('1234-5678');
    expect(found!.record.masked.map(({ pointer }) => pointer)).toEqual(
      expect.arrayContaining(['/parameters/pin', '/tool', '/parameters/note']),
    );
    const answer = await post({ ...EXAMPLE, id: jwt });
    expect(answer.json<ItemBody>()).toMatchObject({ code: 'invalid_event', pointer: '/id' });
    const bytes = [...eventLog.messages.values()].flat().map(({ pack }) => Buffer.from(pack));
    expect(Buffer.concat(bytes).includes(jwt)).toBe(false);
  });

  test('of what is refused stand in its encrypted original alone', async () => {
    const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.cmVmdXNlZC1zaWduYXR1cmU';
    const pem = '-----BEGIN PRIVATE KEY-----\nTUlJ/QmVnaW5uaW5n/\n-----END PRIVATE KEY-----';
    const answer = await post([
      { ...EXAMPLE, id: jwt },
      { ...EXAMPLE, type: jwt },
      { ...EXAMPLE, id: `once ${jwt}`, agent: 5 },
      { ...EXAMPLE, parameters: { [jwt]: '\0' } },
      { ...EXAMPLE, parameters: { [pem]: '\0' } },
    ]);
    const ids = answer.json<AnswerBody>().items.map(({ quarantineId }) => quarantineId!);
    const { rows } = await database.tamper(
      'select event_id, event_type, pointer from keelson.quarantine where id = any($1::uuid[])',
      [ids],
    );
    expect(rows).toHaveLength(5);
    expect(JSON.stringify(rows)).not.toMatch(/cmVmdXNlZC|TUlJ/);
    expect(JSON.stringify(rows).match(/\[masked:(jwt|pem):/g)).toHaveLength(4);
    const headers = { authorization: `Bearer ${await opened.token(['admin'])}` };
    const kept = await opened.http.inject({ url: `/v1/quarantine/${ids[0]}`, headers });
    expect(kept.json<{ text: string }>().text).toContain(jwt);
  });
});

describe('persons', () => {
  test('without an issuer they are the producer’s configured one’s', async () => {
    const admin = await opened.token(['admin'], 'ops');
    const bearer = await opened.token(['publish:decisions'], 'with-issuer');
    const config = { issuer: 'https://idp' };
    await opened.http.inject({
      method: 'PUT',
      url: '/v1/producers/with-issuer',
      headers: { authorization: `Bearer ${admin}` },
      payload: config,
    });
    await post({ ...EXAMPLE, user: 'p@x' }, { bearer });
    await post({ ...EXAMPLE, user: { issuer: 'https://idp', id: 'p@x' } });
    await post({ ...EXAMPLE, user: 'p@x' });
    const subjects = (await events('decisions')).map(({ record }) => record.persons[0]!.subject.toString('hex'));
    expect(subjects[0]).toBe(subjects[1]);
    expect(subjects[2]).not.toBe(subjects[0]);
  });

  test('what belongs to no person is sealed under a subject of the record’s own', async () => {
    const { user, ...nobody } = EXAMPLE;
    expect(user).toBeDefined();
    await post([nobody, nobody]);
    const found = await events('decisions');
    expect(found.map(({ event }) => toPlain(event))).toEqual([nobody, nobody]);
    expect(found[0]!.record.sealed[0]!.subject).not.toEqual(found[1]!.record.sealed[0]!.subject);
  });

  test('what is too big for an entry lies in a blob', async () => {
    const big = { ...EXAMPLE, parameters: { text: 'x'.repeat(90_000) } };
    await post(big);
    const [found] = await events('decisions');
    expect(found!.record.sealed.some(({ blob }) => blob !== null)).toBe(true);
    expect(toPlain(found!.event)).toEqual(big);
  });
});

describe('Prefer: wait', () => {
  test('tells where each event is in the ledger, what was a repeat, what a conflict, and what took too long', async () => {
    await opened.http.close();
    const waited: number[] = [];
    opened = await openIntake({
      database: database.database,
      ledger: {
        expect: () => undefined,
        settle: async (_at, places, timeoutMs) => {
          waited.push(timeoutMs);
          const at = { log: 'decisions/0/g1' };
          return places.map((_place, i) =>
            i === 0
              ? { ...at, outcome: 'recorded' as const, index: 7n, receipt: '/r/7' }
              : i === 1
                ? { ...at, outcome: 'repeat' as const, index: 3n }
                : i === 2
                  ? { ...at, outcome: 'refused' as const, index: 8n, reason: 'conflict' }
                  : undefined,
          );
        },
      },
    });
    const batch = ['a', 'b', 'c', 'd'].map((id) => ({ ...EXAMPLE, id }));
    const answer = await post(batch, { headers: { prefer: 'wait=60' } });
    expect(answer.headers['preference-applied']).toBe('wait=5');
    expect(waited).toEqual([5_000]);
    expect(answer.json<AnswerBody>().items).toEqual([
      { status: 'accepted', id: 'a', log: 'decisions/0/g1', index: '7', receipt: '/r/7' },
      { status: 'accepted', id: 'b', log: 'decisions/0/g1', index: '3', repeat: true },
      { status: 'conflict', code: 'conflict', id: 'c', log: 'decisions/0/g1', index: '8' },
      { status: 'accepted', id: 'd' },
    ]);
  });

  test('a ledger that can’t be asked takes nothing back of what was accepted', async () => {
    await opened.http.close();
    opened = await openIntake({
      database: database.database,
      ledger: {
        expect: () => undefined,
        settle: () => Promise.reject(new KeelsonError('database_unavailable', 'down')),
      },
    });
    const answer = await post(EXAMPLE, { headers: { prefer: 'wait=1' } });
    expect(answer.statusCode).toBe(200);
    expect(answer.json<AnswerBody>().items).toMatchObject([{ status: 'accepted' }]);
  });
});
