/** A cause that waits for nobody makes noise: readiness, log, and a signed webhook, once, whoever looks and however often. */
import pino from 'pino';
import { Registry } from 'prom-client';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/platform/clock.js';
import { OverdueWatch, type OverdueNotice } from '../../src/revocation/overdue.js';
import { makeSecret } from '../../src/webhooks/keys.js';
import { openService, type Service } from '../provisioning/harness.js';
import { createDatabase } from '../support/postgres.js';
import { Receiver } from '../webhooks/receiver.js';

const SECRET = makeSecret();
let receiver: Receiver;
let service: Service;
let log = '';

beforeAll(async () => {
  receiver = await Receiver.open();
  service = await openService(
    {
      KEELSON_WEBHOOKS: JSON.stringify([{ id: 'ops', url: receiver.url, keys: [SECRET] }]),
      KEELSON_REVOCATION_OVERDUE_S: '1',
    },
    pino({ level: 'warn' }, { write: (line: string) => (log += line) }),
  );
});
afterAll(async () => {
  await service.close();
  await receiver.close();
});

test('each cause that nobody decides is told once', async () => {
  const { admin, database } = service;
  const hr = await admin.as('hr', ['publish:lifecycle']);
  // Somebody else is said to decide, and does not.
  await database.tamper(
    `update keelson.revocation_term set holder = gen_random_uuid(), term = term + 1, seen_at = 'infinity'`,
  );
  await vi.waitFor(() => expect(log).toContain('another process took the next term'), { timeout: 20_000 });
  const leave = (id: string): Promise<unknown> =>
    hr.post(
      '/v1/events',
      { id, type: 'principal.offboarded', timestamp: '2026-11-20T16:00:00Z', principal: `${id}@company.com` },
      { prefer: 'wait=20' },
    );
  await Promise.all([leave('sam'), leave('dana')]);
  const ready = (): Promise<number> => fetch(`${admin.url}/readyz`).then(({ status }) => status);
  await vi.waitFor(async () => expect(await ready()).toBe(503), { timeout: 20_000, interval: 100 });
  const gauge = async (): Promise<number> => {
    const { body } = await admin.get<string>('/metrics');
    return Number(/^keelson_revocation_overdue_causes (\d+)$/m.exec(body)?.[1]);
  };
  const received = await receiver.until(2);
  const told = received.map(({ body, headers }) => {
    expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
    return JSON.parse(body) as { type: string; data: { order: string } };
  });
  const { body } = await admin.get<{ revocations: { order: string; state: string }[] }>('/v1/revocations');
  expect(body.revocations.map(({ state }) => state)).toEqual(['pending', 'pending']);
  expect(told.map(({ data }) => data.order).sort()).toEqual(body.revocations.map(({ order }) => order).sort());
  for (const one of told) {
    expect(one).toMatchObject({
      type: 'revocation.overdue',
      data: { source: 'hr', kind: 'leaver', state: 'pending', waited_s: expect.any(Number) as number },
    });
  }
  await vi.waitFor(async () => expect(await gauge()).toBe(2), { timeout: 20_000, interval: 200 });
  // More looks, and the looks of another process, tell nothing new.
  const notices: OverdueNotice[] = [];
  const watch = new OverdueWatch({
    database: database.database,
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
    overdueS: 1,
    onOverdue: async (notice) => void notices.push(notice),
  });
  await watch.look();
  await watch.look();
  expect(notices.map(({ cause }) => cause!.order).sort()).toEqual(told.map(({ data }) => data.order).sort());
  await watch.close();
  await ready();
  const { body: state } = await admin.get<{ endpoints: object[] }>('/v1/webhooks');
  expect(state.endpoints).toMatchObject([{ id: 'ops', state: 'enabled', waiting: 0, lastOutcome: '200' }]);
  expect(receiver.received).toHaveLength(2);
});

test('how endpoints are doing is for admins', async () => {
  const reader = await service.admin.as('reader', ['read']);
  expect((await reader.get('/v1/webhooks')).status).toBe(403);
  expect((await reader.post('/v1/webhooks/ops/enable', undefined)).status).toBe(403);
  expect((await service.admin.post('/v1/webhooks/nobody/enable', undefined)).status).toBe(404);
  expect((await service.admin.post('/v1/webhooks/ops/enable', undefined)).status).toBe(204);
});

test('folding that goes on is not behind, however steady the load; folding that stands still is', async () => {
  const database = await createDatabase();
  await database.tamper(
    `set session_replication_role = replica;
     insert into keelson.log (path, origin, topic, partition, generation)
     values ('lifecycle/0/g1', 'example/lifecycle/0/g1', 'lifecycle', 0, 1);
     insert into keelson.head (log, size, next_offset) select id, 10, 10 from keelson.log;
     insert into keelson.projection_position (projection, log, next_index) select 'revocation', id, 5 from keelson.log`,
  );
  const grow = (sql: string): Promise<unknown> => database.tamper(`set session_replication_role = replica; ${sql}`);
  let nowMs = 0;
  const notices: OverdueNotice[] = [];
  const watch = new OverdueWatch({
    database: database.database,
    clock: { nowUs: () => systemClock.nowUs(), monotonicMs: () => nowMs },
    logger: pino({ level: 'silent' }),
    metrics: new Registry(),
    overdueS: 30,
    onOverdue: async (notice) => void notices.push(notice),
  });
  try {
    for (let i = 0; i < 20; i++) {
      await watch.requireNone();
      await grow(`update keelson.head set size = size + 5, next_offset = next_offset + 5;
                  update keelson.projection_position set next_index = next_index + 5`);
      nowMs += 10_000;
    }
    expect(notices).toEqual([]);
    // It crawls on, and never gets to what was there.
    for (let i = 0; i < 4; i++) {
      await watch.look();
      await grow(
        'update keelson.head set size = size + 100, next_offset = next_offset + 100; update keelson.projection_position set next_index = next_index + 1',
      );
      nowMs += 10_000;
    }
    await expect(watch.requireNone()).rejects.toMatchObject({ code: 'not_ready' });
    expect(notices).toEqual([{ position: 109n, waitedS: expect.any(Number) as number }]);
    await grow('update keelson.projection_position set next_index = (select size from keelson.head)');
    await watch.requireNone();
  } finally {
    await watch.close();
    await database.drop();
  }
});
