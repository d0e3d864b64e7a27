import type { ServerResponse } from 'node:http';
import pino from 'pino';
import { Registry } from 'prom-client';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/platform/clock.js';
import { judge } from '../../src/webhooks/attempt.js';
import { parseEndpoints } from '../../src/webhooks/endpoints.js';
import { makeSecret } from '../../src/webhooks/keys.js';
import { Webhooks, type Message } from '../../src/webhooks/webhooks.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { Receiver } from './receiver.js';

const SETTINGS = {
  KEELSON_WEBHOOKS_TIMEOUT_MS: 2_000,
  KEELSON_WEBHOOKS_RETRY_MS: 10,
  KEELSON_WEBHOOKS_ATTEMPTS: 5,
  KEELSON_WEBHOOKS_AGE_S: 3600,
  KEELSON_WEBHOOKS_QUEUE: 100,
};
const SECRET = makeSecret();
const logLines: string[] = [];

let database: TestDatabase;
let receiver: Receiver;
const opened: Webhooks[] = [];

beforeEach(async () => {
  database = await createDatabase();
  receiver = await Receiver.open();
  logLines.length = 0;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await receiver.close();
  await database.drop();
});

function open(
  endpoints: object[] = [{ id: 'ops', url: receiver.url, keys: [SECRET] }],
  settings: Partial<typeof SETTINGS> = {},
  metrics = new Registry(),
): Webhooks {
  const webhooks = new Webhooks({
    endpoints: parseEndpoints(JSON.stringify(endpoints)),
    database: database.open(),
    clock: systemClock,
    logger: pino({ level: 'info' }, { write: (line: string) => void logLines.push(line) }),
    metrics,
    settings: { ...SETTINGS, ...settings },
  });
  opened.push(webhooks);
  webhooks.start();
  return webhooks;
}

const message = (key: string, more: Partial<Message> = {}): Message => ({
  type: 'revocation.overdue',
  timestampUs: 1_790_000_000_000_000n,
  data: { order: key },
  key,
  ...more,
});
const stateOf = async (webhooks: Webhooks): Promise<unknown> => (await webhooks.list())[0]!.row;
/** Waits until the queue says so: nothing is told when an attempt is written down. */
const untilState = (webhooks: Webhooks, expected: object): Promise<void> =>
  vi.waitFor(async () => expect(await stateOf(webhooks)).toMatchObject(expected), { timeout: 10_000, interval: 20 });

test('a message is told once, signed, as type, timestamp and data', async () => {
  const webhooks = open();
  await webhooks.publish(message('a'));
  await webhooks.publish(message('a'));
  const [received] = await receiver.until(1);
  expect(JSON.parse(received!.body)).toEqual({
    type: 'revocation.overdue',
    timestamp: '2026-09-21T14:13:20Z',
    data: { order: 'a' },
  });
  expect(received!.headers['content-type']).toBe('application/json');
  expect(() => new Webhook(SECRET).verify(received!.body, received!.headers)).not.toThrow();
  await untilState(webhooks, { waiting: 0n, failures: 0n, lastOutcome: '200' });
  await webhooks.publish(message('a'));
  await webhooks.publish(message('b'));
  expect((await receiver.until(2)).map(({ body }) => JSON.parse(body) as object)).toMatchObject([
    { data: { order: 'a' } },
    { data: { order: 'b' } },
  ]);
});

test('what is not taken is sent again under the same id, with a new signature', async () => {
  const other = makeSecret();
  receiver.answers = [500, 302, (response) => void response.destroy(), 200];
  const webhooks = open([{ id: 'ops', url: receiver.url, keys: [SECRET, other] }]);
  await webhooks.publish(message('a'));
  const received = await receiver.until(4);
  expect(new Set(received.map(({ id }) => id)).size).toBe(1);
  for (const { body, headers } of received) {
    for (const secret of [SECRET, other]) expect(() => new Webhook(secret).verify(body, headers)).not.toThrow();
  }
  await untilState(webhooks, { waiting: 0n, failures: 0n, failed: 0n });
});

test('a redirect is not followed', async () => {
  const elsewhere = await Receiver.open();
  try {
    receiver.answers = [(response) => void response.writeHead(307, { location: elsewhere.url }).end(), 200];
    const webhooks = open();
    await webhooks.publish(message('a'));
    await receiver.until(2);
    await untilState(webhooks, { waiting: 0n });
    expect(elsewhere.received).toEqual([]);
  } finally {
    await elsewhere.close();
  }
});

test('an answer without end, and one that never comes, cost no more than the time-out', async () => {
  const endless = (response: ServerResponse): void => {
    response.writeHead(200);
    const write = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) continue;
    };
    response.on('drain', write).on('error', () => undefined);
    write();
  };
  receiver.answers = [() => undefined, endless, 200];
  const webhooks = open(undefined, { KEELSON_WEBHOOKS_TIMEOUT_MS: 200 });
  await webhooks.publish(message('a'));
  await receiver.until(2);
  // The head said 200: what follows is not waited for.
  await untilState(webhooks, { waiting: 0n, lastOutcome: '200' });
  expect(receiver.received).toHaveLength(2);
});

test('410 disables the endpoint until an admin enables it; nothing is lost', async () => {
  receiver.answers = [410, 200];
  const webhooks = open();
  await webhooks.publish(message('a'));
  await untilState(webhooks, { disabledAtUs: expect.any(BigInt) as bigint, lastOutcome: '410', waiting: 1n });
  await webhooks.publish(message('b'));
  await expect(webhooks.enable('nobody')).rejects.toMatchObject({ code: 'not_found' });
  expect(receiver.received).toHaveLength(1);
  await webhooks.enable('ops');
  await untilState(webhooks, { disabledAtUs: null, waiting: 0n });
  expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(2);
});

test('another address enables a disabled endpoint; the same one does not', async () => {
  receiver.answers = [410, 200];
  const first = open();
  await first.publish(message('a'));
  await untilState(first, { disabledAtUs: expect.any(BigInt) as bigint });
  const second = open();
  await second.publish(message('b'));
  await untilState(second, { disabledAtUs: expect.any(BigInt) as bigint, waiting: 2n });
  await Promise.all(opened.splice(0).map((one) => one.close()));
  const moved = open([{ id: 'ops', url: `${receiver.url}/moved`, keys: [SECRET] }]);
  await untilState(moved, { disabledAtUs: null, waiting: 0n });
});

test('attempts and age are bounded, and what is given up is counted and logged', async () => {
  receiver.answers = [500];
  const metrics = new Registry();
  const webhooks = open(undefined, { KEELSON_WEBHOOKS_ATTEMPTS: 3 }, metrics);
  await webhooks.publish(message('a'));
  await untilState(webhooks, { waiting: 0n, failed: 1n });
  expect(receiver.received).toHaveLength(3);
  expect(await metrics.getSingleMetricAsString('keelson_webhooks_undelivered_total')).toContain('why="attempts"} 1');
  expect(logLines.join('')).toContain('given up');
  // Given up is not forgotten: the same message is not begun anew.
  await webhooks.publish(message('a'));
  await untilState(webhooks, { waiting: 0n, failed: 1n });
  const late = await Receiver.open();
  try {
    late.answers = [410];
    const other = open([{ id: 'late', url: late.url, keys: [SECRET] }], { KEELSON_WEBHOOKS_AGE_S: 0 });
    await other.publish(message('b'));
    await late.until(1);
    expect(await other.tidy()).toBeLessThanOrEqual(1);
    const row = (await other.list())[0]!.row;
    expect(row).toMatchObject({ waiting: 0n, failed: 1n });
  } finally {
    await late.close();
  }
});

test('a full queue keeps what it has, and says what it does not keep', async () => {
  const metrics = new Registry();
  receiver.answers = [410];
  const webhooks = open(undefined, { KEELSON_WEBHOOKS_QUEUE: 2 }, metrics);
  await webhooks.publish(message('a'));
  await untilState(webhooks, { disabledAtUs: expect.any(BigInt) as bigint });
  for (const key of ['b', 'c', 'd', 'b']) await webhooks.publish(message(key));
  await untilState(webhooks, { waiting: 2n });
  expect(await metrics.getSingleMetricAsString('keelson_webhooks_undelivered_total')).toContain('why="full"} 2');
});

test('each endpoint gets its types, and a broken one keeps no other waiting', async () => {
  const cases = await Receiver.open();
  try {
    receiver.answers = [() => undefined];
    const webhooks = open([
      { id: 'dead', url: receiver.url, keys: [SECRET] },
      { id: 'cases', url: cases.url, keys: [SECRET], types: ['case.escalated'] },
    ]);
    await webhooks.publish(message('a'));
    await webhooks.publish(message('b', { type: 'case.escalated' }));
    const [received] = await cases.until(1);
    expect(JSON.parse(received!.body)).toMatchObject({ type: 'case.escalated' });
    expect(cases.received).toHaveLength(1);
  } finally {
    await cases.close();
  }
});

test('of several processes one sends: each message once, in one order', async () => {
  const processes = [open(), open(), open()];
  await processes[0]!.publish(message('0'));
  await Promise.all(processes.flatMap((one) => [...Array(40).keys()].map((key) => one.publish(message(String(key))))));
  await untilState(processes[0]!, { waiting: 0n });
  expect(receiver.received).toHaveLength(40);
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(40);
});

test('a process that dies in the middle of an attempt leaves the message to another', async () => {
  receiver.answers = [() => undefined, 200];
  const dead = open();
  await dead.publish(message('a'));
  await receiver.until(1);
  // As if it had been killed: it answers nobody, and gives nothing back. Its claim and its attempt run out.
  await database.tamper(`update keelson.webhook_endpoint set claimed_by = gen_random_uuid(), claimed_until = now()`);
  await database.tamper(`update keelson.webhook_message set next_at_us = 0`);
  const other = open();
  await untilState(other, { waiting: 0n, failed: 0n });
  expect(receiver.received.map(({ id }) => id)).toEqual([receiver.received[0]!.id, receiver.received[0]!.id]);
});

test('neither keys nor addresses are logged or kept', async () => {
  receiver.answers = [500, 200];
  const webhooks = open([{ id: 'ops', url: `${receiver.url}/secret-path?token=abc`, keys: [SECRET] }]);
  await webhooks.publish(message('a'));
  await untilState(webhooks, { waiting: 0n });
  const { rows } = await database.tamper(
    `select e::text || m::text as text from keelson.webhook_endpoint e, keelson.webhook_message m`,
  );
  const everything = logLines.join('') + JSON.stringify(rows);
  for (const secret of [SECRET, SECRET.slice(6), 'secret-path', 'token=abc']) expect(everything).not.toContain(secret);
});

describe('what follows from an answer', () => {
  const at = Date.parse('2026-11-25T10:00:00Z');
  const answered = (status: number, retryAfter?: string): ReturnType<typeof judge> =>
    judge({ kind: 'answered', status, retryAfter }, 1, 5_000, at, 0);

  test('2xx is delivered; 3xx, 4xx and 5xx are tried again', () => {
    for (const status of [200, 202, 204, 299]) expect(answered(status).delivered).toBe(true);
    for (const status of [301, 400, 401, 404, 410, 500]) {
      expect(answered(status)).toMatchObject({ delivered: false, pauseMs: 0, disable: status === 410 });
    }
  });

  test('429, 502, 503 and 504 leave the endpoint alone, as long as it asks', () => {
    for (const status of [429, 502, 503, 504]) expect(answered(status).pauseMs).toBe(5_000);
    expect(answered(429, '120').pauseMs).toBe(120_000);
    expect(answered(503, 'Wed, 25 Nov 2026 10:10:00 GMT').pauseMs).toBe(600_000);
    expect(answered(429, '999999999').pauseMs).toBe(86_400_000);
    for (const text of ['', '-5', '1e9', 'soon', '0', 'Wed, 25 Nov 2020 10:10:00 GMT']) {
      expect(answered(429, text).pauseMs).toBe(5_000);
    }
  });

  test('pauses double to an hour, less up to half by chance', () => {
    const pauses = [1, 2, 3, 10, 11, 1000].map((attempts) => [
      judge({ kind: 'unreachable', why: 'network' }, attempts, 5_000, at, 0).againMs,
      judge({ kind: 'unreachable', why: 'network' }, attempts, 5_000, at, 1 - Number.EPSILON).againMs,
    ]);
    expect(pauses.map(([most]) => most)).toEqual([5_000, 10_000, 20_000, 2_560_000, 3_600_000, 3_600_000]);
    for (const [most, least] of pauses) expect(least! / most!).toBeCloseTo(0.5);
  });
});

describe('endpoints that are none', () => {
  const good = { id: 'ops', url: 'https://example.com/x', keys: [SECRET] };
  test.each([
    ['no JSON', '{'],
    ['a member twice', `[{"id":"a","id":"b","url":"https://example.com","keys":["${SECRET}"]}]`],
    ['no list', JSON.stringify(good)],
    ['http beyond this machine', JSON.stringify([{ ...good, url: 'http://example.com/' }])],
    ['another scheme', JSON.stringify([{ ...good, url: 'file:///etc/passwd' }])],
    ['no address', JSON.stringify([{ ...good, url: 'example.com' }])],
    ['a user in the address', JSON.stringify([{ ...good, url: 'https://a:b@example.com/' }])],
    ['no key', JSON.stringify([{ ...good, keys: [] }])],
    ['a public key', JSON.stringify([{ ...good, keys: ['whpk_AAAA'] }])],
    ['the same id twice', JSON.stringify([good, good])],
    ['an unknown member', JSON.stringify([{ ...good, secret: SECRET }])],
  ])('%s', (_name, text) => {
    const failure = expect.objectContaining({ code: 'invalid_config' }) as Error;
    expect(() => parseEndpoints(text)).toThrow(failure);
    expect(() => parseEndpoints(text)).not.toThrow(SECRET);
  });
});
