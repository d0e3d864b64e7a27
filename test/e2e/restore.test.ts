/** What was put back, or taken away, behind the server's back: it refuses rather than guess. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Api, type Json } from '../support/api.js';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { makeDataFolder, runKeelson, startServer, type ServerProcess } from '../support/server.js';

const LOG = 'decisions/0/g1';
let closing: (() => Promise<unknown>)[];
let dataFolder: string;
let kept: string;

beforeEach(async () => {
  dataFolder = await makeDataFolder();
  const folder = await mkdtemp(join(tmpdir(), 'keelson-restore-'));
  kept = join(folder, 'kept.txt');
  closing = [dataFolder, folder].map((each) => () => rm(each, { recursive: true, force: true }));
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
});

async function makeDatabase(copyOf?: TestDatabase): Promise<TestDatabase> {
  const database = await createDatabase(copyOf ? { copyOf } : {});
  closing.push(() => database.drop());
  return database;
}

const settings = (database: TestDatabase): Record<string, string> => ({
  KEELSON_DATABASE_URL: database.url,
  KEELSON_MIGRATION_URL: database.adminUrl,
  KEELSON_LEDGER_CHECK_S: '1',
});

async function start(env: Record<string, string>, readyTimeoutMs = 60_000): Promise<ServerProcess> {
  const server = await startServer({ env, dataFolder, readyTimeoutMs });
  closing.push(() => server.end());
  return server;
}

async function publish(server: ServerProcess, prefix: string): Promise<Json[]> {
  const events = Array.from({ length: 50 }, (_, n) => ({
    id: `${prefix}-${n}`,
    timestamp: '2026-11-23T10:00:00Z',
    decision: 'allow',
  }));
  const api = await Api.admin(server);
  const { status, body } = await api.post<{ items: Json[] }>('/v1/decisions', events, { prefer: 'wait=30' });
  expect(status).toBe(200);
  return body.items;
}

async function verify(server: ServerProcess, ...args: string[]): Promise<{ ok: boolean; codes: string[] }> {
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: await server.adminToken() };
  const key = (await runKeelson(['keys', '--ledger'], { env })).stdout.trim();
  const { stdout } = await runKeelson(['verify', '--key', key, '--json', ...args], { env });
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: { code: string }[] };
  return { ok, codes: findings.map(({ code }) => code) };
}

const checkpointOf = async (server: ServerProcess): Promise<string> =>
  (await fetch(`${server.url}/ledger/${LOG}/checkpoint`)).text();

/** The checkpoint over all that was published, which is shown a little after it is committed. */
async function finalCheckpointOf(server: ServerProcess): Promise<string> {
  const api = await Api.admin(server);
  await expect
    .poll(async () => {
      const { body } = await api.get<{ logs: { log: string; size: number; published?: { size: number } }[] }>(
        '/v1/logs',
      );
      return body.logs.every(({ size, published }) => published?.size === size);
    })
    .toBe(true);
  return checkpointOf(server);
}

/** Why /readyz says the server is not ready. */
const reasonOf = async (server: ServerProcess): Promise<string> => (await fetch(`${server.url}/readyz`)).text();

describe('a database put back from a copy that is older than what was signed', () => {
  it('with the event log in it, is never signed for again', async () => {
    const database = await makeDatabase();
    const first = await start(settings(database));
    await publish(first, 'before');
    const old = await finalCheckpointOf(first);
    await first.end();
    const copy = await makeDatabase(database);
    const second = await start(settings(database));
    await publish(second, 'after');
    expect(await verify(second, '--keep', kept)).toEqual({ ok: true, codes: [] });
    await second.end();

    const restored = await start(settings(copy), 0);
    await expect.poll(() => reasonOf(restored), { timeout: 60_000 }).toContain('database_too_old');
    // Whoever goes on publishing is told no position, and no size is ever signed twice.
    const api = await Api.admin(restored);
    const event = { id: 'later', timestamp: '2026-11-23T10:00:00Z', decision: 'allow' };
    const { body } = await api.post<{ items?: Json[] }>('/v1/decisions', event, { prefer: 'wait=2' });
    expect(JSON.stringify(body)).not.toContain('index');
    expect(await checkpointOf(restored)).toBe(old);
    expect(await verify(restored, '--since', kept)).toEqual({ ok: false, codes: ['log_shrunk'] });
    await restored.end();

    const again = await start(settings(copy), 0);
    await expect.poll(() => reasonOf(again), { timeout: 60_000 }).toContain('database_too_old');
    expect(await checkpointOf(again)).toBe(old);
  });

  it.skipIf(!hasKafka())('beside Kafka, is replayed to the same roots, and goes on', async () => {
    const database = await makeDatabase();
    const kafka = {
      KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
      KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
    };
    const first = await start({ ...settings(database), ...kafka });
    await publish(first, 'before');
    await first.end();
    const copy = await makeDatabase(database);
    const second = await start({ ...settings(database), ...kafka });
    await publish(second, 'after');
    const signed = await finalCheckpointOf(second);
    expect(await verify(second, '--keep', kept)).toEqual({ ok: true, codes: [] });
    await second.end();

    const restored = await start({ ...settings(copy), ...kafka });
    const head = (note: string): string[] => note.split('\n').slice(0, 3);
    await expect.poll(async () => head(await checkpointOf(restored)), { timeout: 60_000 }).toEqual(head(signed));
    const items = await publish(restored, 'later');
    expect(items.every(({ log, index }) => log === LOG && index !== undefined)).toBe(true);
    expect(await verify(restored, '--since', kept)).toEqual({ ok: true, codes: [] });
  });
});

describe.skipIf(!hasKafka())('a topic that is deleted', () => {
  it('stops its log, and is not mistaken for an empty beginning when it is made anew', async () => {
    const database = await makeDatabase();
    const prefix = topicPrefix();
    const brokers = await kafkaBrokers();
    const env = {
      ...settings(database),
      KEELSON_KAFKA_BROKERS: brokers,
      KEELSON_KAFKA_TOPIC_PREFIX: prefix,
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
    };
    const server = await start(env);
    await publish(server, 'before');
    const signed = await finalCheckpointOf(server);
    const admin = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    closing.push(() => admin.disconnect());
    await admin.connect();
    await admin.deleteTopics({ topics: [`${prefix}decisions`] });
    await expect.poll(() => reasonOf(server), { timeout: 60_000 }).toMatch(/event_log_(truncated|unavailable)/);
    const api = await Api.admin(server);
    const event = { timestamp: '2026-11-23T10:00:00Z', decision: 'allow' };
    expect((await api.post('/v1/decisions', event)).status).toBe(503);
    await server.end();

    const again = await start(env, 0);
    await expect.poll(() => reasonOf(again), { timeout: 60_000 }).toContain('event_log_truncated');
    expect(await checkpointOf(again)).toBe(signed);
    expect(await verify(again)).toEqual({ ok: true, codes: [] });
  });
});
