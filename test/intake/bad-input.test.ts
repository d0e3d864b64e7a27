import { createGzip, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';
import { EXAMPLE, openIntake, PARTITIONS, readEvents, type TestIntake } from './support.js';

let database: TestDatabase;
let eventLog: MemoryEventLog;
let opened: TestIntake;
let token: string;

beforeAll(async () => {
  database = await createDatabase();
  eventLog = new MemoryEventLog(PARTITIONS);
  opened = await openIntake({ database: database.database, eventLog });
  token = await opened.token(['publish:decisions', 'publish:lifecycle']);
});
afterAll(async () => {
  await opened.http.close();
  await database.drop();
});

interface Problem {
  code: string;
  status: number;
  pointer?: string;
  quarantineId?: string;
}

async function post(payload: string | Buffer, headers: Record<string, string> = {}, url = '/v1/decisions') {
  return opened.http.inject({
    method: 'POST',
    url,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    payload,
  });
}

const event = (change: string): string =>
  `{"timestamp":"2024-01-20T10:30:00Z","decision":"allow","agent":"a","parameters":{${change}}}`;
const plain = (members: object): string => JSON.stringify({ ...EXAMPLE, ...members });
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

/** What is wrong inside one event: its own problem alone, its own item in a batch, and its neighbours go on. */
const EVENTS: [name: string, text: string | Buffer, code: string, status: number, pointer?: string][] = [
  ['cut JSON', '{"timestamp":}', 'malformed_json', 400],
  ['brackets that cross', '{"a":[1}]', 'malformed_json', 400],
  ['a trailing comma', '{"a":1,}', 'malformed_json', 400],
  ['single quotes', "{'a':1}", 'malformed_json', 400],
  ['NaN', event('"n":NaN'), 'malformed_json', 400],
  ['a number with leading zeros', event('"n":007'), 'malformed_json', 400],
  [
    'bytes that are not UTF-8',
    Buffer.from([...Buffer.from('{"a":"'), 0xff, 0xfe, ...Buffer.from('"}')]),
    'malformed_json',
    400,
  ],
  ['a control character', event('"s":"a\u0001b"'), 'malformed_json', 400],
  ['a lone surrogate', event('"s":"\\ud800"'), 'lone_surrogate', 400],
  ['a NUL', event('"s":"a\\u0000b"'), 'nul_character', 400],
  ['duplicate members', event('"a":1,"a":2'), 'duplicate_member', 400],
  ['duplicate members, one escaped', event('"a":1,"\\u0061":2'), 'duplicate_member', 400],
  ['deep nesting', event(`"d":${deep(40)}`), 'too_deep', 400],
  ['nesting without an end', event(`"d":${deep(100_000)}`), 'too_deep', 400],
  ['a long string', event(`"s":"${'x'.repeat(100_001)}"`), 'string_too_long', 400],
  ['a long plain string', plain({ tool: 'x'.repeat(5_000) }), 'string_too_long', 400, '/tool'],
  ['many values', event(`"v":[${'1,'.repeat(10_000)}1]`), 'too_many_items', 413],
  ['a large event', event(`"s":"${'x'.repeat(90_000)}","t":"${'y'.repeat(600_000)}"`), 'too_large', 413],
  ['a wrong decision', plain({ decision: 'maybe' }), 'invalid_event', 400, '/decision'],
  ['a number for a text', plain({ tool: 7 }), 'invalid_event', 400, '/tool'],
  ['a text for an object', plain({ context: 'x' }), 'invalid_event', 400, '/context'],
  ['a text for a number', plain({ context: { risk_score: 'high' } }), 'invalid_event', 400, '/context/risk_score'],
  ['a person that is none', plain({ user: 7 }), 'invalid_event', 400, '/user'],
  ['no timestamp', '{"decision":"allow"}', 'invalid_event', 400, '/timestamp'],
  ['no decision', '{"timestamp":"2024-01-20T10:30:00Z"}', 'invalid_event', 400, '/decision'],
  ['a day that is none', plain({ timestamp: '2024-02-30T00:00:00Z' }), 'invalid_timestamp', 400, '/timestamp'],
  ['a time without an offset', plain({ timestamp: '2024-01-20T10:30:00' }), 'invalid_timestamp', 400, '/timestamp'],
  ['an id that is no text', plain({ id: 7 }), 'invalid_event', 400, '/id'],
  ['an empty id', plain({ id: '' }), 'invalid_event', 400, '/id'],
  ['a long id', plain({ id: 'x'.repeat(513) }), 'invalid_event', 400, '/id'],
  ['a type that is no text', plain({ type: 7 }), 'invalid_event', 400, '/type'],
  ['an unknown type', plain({ type: 'decision.dreamt' }), 'unknown_event_type', 400, '/type'],
  ['a type like a prototype member', plain({ type: 'constructor' }), 'unknown_event_type', 400, '/type'],
  ['an epoch that is none', plain({ epoch: -1 }), 'invalid_event', 400, '/epoch'],
];

describe('an event', () => {
  test.each(EVENTS)('%s, alone', async (_name, text, code, status, pointer) => {
    const answer = await post(text);
    expect(answer.json<Problem>()).toMatchObject({ code, status, ...(pointer === undefined ? {} : { pointer }) });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json<Problem>().quarantineId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each(EVENTS)('%s, among others', async (name, text, code) => {
    const good = Buffer.from(plain({ id: `beside ${name}` }));
    const body = Buffer.concat([
      Buffer.from('['),
      good,
      Buffer.from(','),
      Buffer.from(text),
      Buffer.from(','),
      good,
      Buffer.from(']'),
    ]);
    const answer = await post(body);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({
      accepted: 2,
      quarantined: 1,
      items: [{ status: 'accepted' }, { status: 'quarantined', code }, { status: 'accepted' }],
    });
  });

  test.each([
    ['__proto__', event('"__proto__":{"admin":true}')],
    ['constructor', event('"constructor":{"prototype":{"x":1}}')],
    [
      '__proto__ at the top',
      '{"timestamp":"2024-01-20T10:30:00Z","decision":"deny","__proto__":{"decision":"allow"},"hasOwnProperty":1}',
    ],
    ['huge numbers', event('"a":12345678901234567890123,"b":1e400,"c":-0,"d":0.1000000000000000000001')],
    ['the empty name', event('"":{"":""}')],
    ['every plane of Unicode', event('"s":"é€😀\\ud83d\\ude00\\u007f"')],
  ])('%s is data like any other, and comes back as it was', async (_name, text) => {
    const before = (await readEvents(eventLog, 'decisions', opened.vault)).length;
    expect((await post(text)).statusCode).toBe(200);
    const found = (await readEvents(eventLog, 'decisions', opened.vault))[before]!;
    const { stringifyJson, parseJson, canonicalJson } = await import('../../src/events/index.js');
    expect(canonicalJson(found.event)).toBe(canonicalJson(parseJson(Buffer.from(text))));
    expect(stringifyJson(found.event).includes('admin')).toBe(text.includes('admin'));
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('a body', () => {
  const bomb = async (): Promise<Buffer> => {
    const gzip = createGzip({ level: 9 });
    const chunks: Buffer[] = [];
    gzip.on('data', (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => gzip.on('end', resolve));
    for (let i = 0; i < 64; i++) gzip.write(Buffer.alloc(1024 * 1024, 0x20));
    gzip.end();
    await ended;
    return Buffer.concat(chunks);
  };

  test.each([
    ['nothing', '', {}, 'malformed_json', 400],
    ['white space', ' \n ', {}, 'malformed_json', 400],
    ['a scalar', '7', {}, 'malformed_json', 400],
    ['a byte order mark', `\ufeff${plain({})}`, {}, 'malformed_json', 400],
    ['an open array', `[${plain({})}`, {}, 'malformed_json', 400],
    ['two documents', `[${plain({})}][]`, {}, 'malformed_json', 400],
    ['an empty place', `[${plain({})},,${plain({})}]`, {}, 'malformed_json', 400],
    ['too many events', `[${'{},'.repeat(2_000)}{}]`, {}, 'too_many_items', 413],
    ['oversized', 'x'.repeat(1024 * 1024 + 1), {}, 'too_large', 413],
    ['no gzip', plain({}), { 'content-encoding': 'gzip' }, 'bad_encoding', 415],
    ['cut gzip', gzipSync(plain({})).subarray(0, 30), { 'content-encoding': 'gzip' }, 'bad_encoding', 415],
    ['an unknown coding', plain({}), { 'content-encoding': 'br' }, 'bad_encoding', 415],
    ['no JSON by its type', plain({}), { 'content-type': 'text/plain' }, 'unsupported_media_type', 415],
    ['a form', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }, 'unsupported_media_type', 415],
    ['a long Idempotency-Key', plain({}), { 'idempotency-key': 'x'.repeat(600) }, 'invalid_event', 400],
  ])('%s', async (_name, payload, headers, code, status) => {
    const answer = await post(payload, headers);
    expect(answer.json<Problem>()).toMatchObject({ code, status });
    expect(answer.statusCode).toBe(status);
  });

  test('a bomb is stopped at the cap', async () => {
    const answer = await post(await bomb(), { 'content-encoding': 'gzip' });
    expect(answer.json<Problem>().code).toBe('too_large');
    expect(opened.http.memory.heldBytes).toBe(0);
  });

  test('after all of this the server takes events, and holds no memory for any of it', async () => {
    expect((await post(plain({}))).statusCode).toBe(200);
    expect((await opened.http.inject('/livez')).statusCode).toBe(200);
    expect(opened.http.memory.heldBytes).toBe(0);
  });
});
