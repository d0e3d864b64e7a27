/** What HR says twice, late, out of order, of the future, of thousands at once: on both event logs. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hasKafka, kafkaBrokers, topicPrefix } from '../../support/kafka.js';
import { startServer, makeDataFolder } from '../../support/server.js';
import { Api } from '../../support/api.js';
import { rm } from 'node:fs/promises';
import { eventsOf, openService, type Service } from '../harness.js';
import { causesOf, HrSystem, ISSUER, nowS } from './sender.js';

const kafka = async (): Promise<Record<string, string>> => ({
  KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
  KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
  KEELSON_KAFKA_REPLICATION_FACTOR: '1',
  KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
});

const FUTURE = '2999-06-30T12:00:00Z';
const LATER = '2999-12-31T12:00:00Z';

describe.each([
  ['the event log in Postgres', async () => ({})],
  ['Kafka', kafka],
] as const)('%s', (name, environment) => {
  describe.skipIf(name === 'Kafka' && !hasKafka())('', () => {
    let service: Service;
    beforeAll(async () => {
      service = await openService({ KEELSON_REVOCATION_HOLD_COUNT: '100000', ...(await environment()) });
      const ready = async (): Promise<boolean> => (await fetch(`${service.admin.url}/readyz`)).ok;
      await vi.waitFor(async () => expect(await ready()).toBe(true), { timeout: 60_000, interval: 100 });
    }, 120_000);
    afterAll(() => service.close());

    const until = (source: string, states: string[]): Promise<void> =>
      vi.waitFor(
        async () => expect((await causesOf(service, source)).map(({ state }) => state).reverse()).toEqual(states),
        { timeout: 20_000, interval: 50 },
      );
    const revoked = async (person: string): Promise<boolean> => {
      const facts = { issuer: ISSUER, subject: person, issued_at: nowS() };
      return (await service.admin.post<{ revoked: boolean }>('/v1/check', facts)).body.revoked;
    };

    test('the same webhook from many at once is recorded once', async () => {
      const hr = await HrSystem.open(service, 'crowd');
      const body = JSON.stringify({
        type: 'left',
        timestamp: '2026-11-20T09:00:00Z',
        data: [{ person: 'a' }, { person: 'b' }],
      });
      const answers = await Promise.all(Array.from({ length: 16 }, () => hr.send(body, { id: 'msg_1' })));
      for (const { status, body: answer } of answers) expect([status, answer]).toEqual([200, answers[0]!.body]);
      expect(await eventsOf(service, 'crowd')).toHaveLength(2);
    });

    test('a leave of the future is changed and cancelled by what its source says later', async () => {
      const hr = await HrSystem.open(service, 'future');
      await hr.say('leave_scheduled', { person: 'fa', effective_at: FUTURE });
      await until('future', ['scheduled']);
      await hr.say('leave_scheduled', { person: 'fa', effective_at: LATER });
      await until('future', ['cancelled', 'scheduled']);
      await hr.say('leave_cancelled', { person: 'fa' });
      await until('future', ['cancelled', 'cancelled', 'settled']);
      expect(await revoked('fa')).toBe(false);
      // Sooner than was said: now.
      await hr.say('leave_scheduled', { person: 'fb', effective_at: FUTURE });
      await hr.say('left', { person: 'fb' });
      await until('future', ['cancelled', 'cancelled', 'settled', 'cancelled', 'ordered']);
      expect(await revoked('fb')).toBe(true);
    });

    test('another source changes nothing of it', async () => {
      const [one, other] = [await HrSystem.open(service, 'mine'), await HrSystem.open(service, 'theirs')];
      await one.say('leave_scheduled', { person: 'c', effective_at: FUTURE });
      await other.say('leave_scheduled', { person: 'c', effective_at: LATER });
      await other.say('leave_cancelled', { person: 'c' });
      await until('theirs', ['cancelled', 'settled']);
      await until('mine', ['scheduled']);
    });

    test('who left and came back, and who came back and left', async () => {
      const hr = await HrSystem.open(service, 'turns');
      const at = (second: number): string => `2026-11-20T09:00:0${second}Z`;
      const say = (type: string, person: string, second: number): Promise<unknown> =>
        hr.say(type, { person }, { timestamp: at(second) });
      // In order, in the same second: the later one counts.
      await say('left', 'd', 1);
      await until('turns', ['ordered']);
      await say('back', 'd', 1);
      await until('turns', ['lifted', 'settled']);
      // A return that comes late, and was before the leave: they have left.
      await say('left', 'e', 5);
      await say('back', 'e', 3);
      await until('turns', ['lifted', 'settled', 'ordered', 'refused']);
      expect(await revoked('e')).toBe(true);
      // HR's clock is an hour ahead: what it says is by one clock all the same.
      const ahead = new Date(Date.now() + 3_600_000).toISOString();
      await hr.say('left', { person: 'f' }, { timestamp: ahead });
      await hr.say('back', { person: 'f' }, { timestamp: ahead });
      const before = ['lifted', 'settled', 'ordered', 'refused', 'lifted', 'settled'];
      await until('turns', before);
      // Put right in between: what is of the future counts as of when it came, so that a return after it is after it,
      await hr.say('left', { person: 'i' }, { timestamp: ahead });
      await hr.say('back', { person: 'i' });
      await until('turns', [...before, 'lifted', 'settled']);
      // and one that was before it came is not.
      await hr.say('left', { person: 'j' }, { timestamp: ahead });
      await hr.say('back', { person: 'j' }, { timestamp: at(5) });
      await until('turns', [...before, 'lifted', 'settled', 'ordered', 'refused']);
      expect(await revoked('j')).toBe(true);
    });

    test('contradictions in one webhook count in their order', async () => {
      const hr = await HrSystem.open(service, 'both');
      const timestamp = '2026-11-20T09:00:00Z';
      const data = ['left', 'back', 'left'].map((event) => ({ event, person: 'g' }));
      await hr.send({ timestamp, data });
      await vi.waitFor(async () => expect(await revoked('g')).toBe(true), { timeout: 20_000 });
      const states = (await causesOf(service, 'both')).map(({ state }) => state);
      expect(states[0]).toBe('ordered');
    });

    test('202 where the ledger is not waited for: durable, and it comes', async () => {
      const hr = await HrSystem.open(service, 'hasty');
      const blocker = new pg.Client({ connectionString: service.database.adminUrl });
      await blocker.connect();
      try {
        await blocker.query('begin');
        await blocker.query('lock table keelson.page in access exclusive mode');
        const { status, body } = await hr.say('left', { person: 'h' }, { headers: { prefer: 'wait=0' } });
        expect({ status, body }).toMatchObject({ status: 202, body: { accepted: 1, items: [{ status: 'accepted' }] } });
      } finally {
        await blocker.query('rollback');
        await blocker.end();
      }
      await until('hasty', ['ordered']);
    });

    test('10,000 people in one webhook, and again', async () => {
      const hr = await HrSystem.open(service, 'many');
      const data = Array.from({ length: 10_000 }, (_, i) => ({ person: `p${i}@company.com` }));
      const body = JSON.stringify({ type: 'hired', timestamp: '2026-11-20T09:00:00Z', data });
      const first = await hr.send(body, { id: 'msg_1', headers: { prefer: 'wait=30' } });
      expect([first.status, first.body.people, first.body.accepted]).toEqual([200, 10_000, 10_000]);
      const again = await hr.send(body, { id: 'msg_1', headers: { prefer: 'wait=30' } });
      expect(again.body).toEqual(first.body);
    }, 120_000);
  });
});

test('a process that is killed and starts again answers a repeat as the first one, and doubles nothing', async () => {
  const dataFolder = await makeDataFolder();
  let server = await startServer({ dataFolder });
  try {
    const hr = await HrSystem.open({ admin: await Api.admin(server) } as Service, 'killed');
    const body = JSON.stringify({
      type: 'left',
      timestamp: '2026-11-20T09:00:00Z',
      data: [{ person: 'a' }, { person: 'b' }],
    });
    const first = await hr.send(body, { id: 'msg_1' });
    // Some of these are cut off by the end of the process: whatever became of them, they are sent again.
    const cut = Array.from({ length: 20 }, (_, i) => hr.send(body, { id: `msg_cut${i}` }).catch(() => undefined));
    await server.end('SIGKILL');
    await Promise.all(cut);
    server = await startServer({ dataFolder });
    const admin = await Api.admin(server);
    const later = new HrSystem(server.url, 'killed', hr.secret);
    expect((await later.send(body, { id: 'msg_1' })).body).toEqual(first.body);
    for (let i = 0; i < 20; i++) expect((await later.send(body, { id: `msg_cut${i}` })).status).toBe(200);
    expect(await eventsOf({ admin } as Service, 'killed')).toHaveLength(42);
  } finally {
    await server.stop();
    await rm(dataFolder, { recursive: true, force: true });
  }
}, 180_000);
