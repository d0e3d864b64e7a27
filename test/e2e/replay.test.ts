import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { copyEventLog } from '../support/event-log-copy.js';
import { readHeads } from '../support/exported-ledger.js';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { makeDataFolder, runKeelson, startServer, type ServerProcess } from '../support/server.js';

const EVENTS = 600;
let folder: string;
let closing: (() => Promise<unknown>)[];

beforeEach(async () => {
  closing = [];
  folder = await mkdtemp(join(tmpdir(), 'keelson-replay-'));
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

const kafka = async (): Promise<Record<string, string>> => ({
  KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
  KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
  KEELSON_KAFKA_REPLICATION_FACTOR: '1',
  KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
});

describe('the whole event log, replayed into an empty database, makes the same roots', () => {
  it('from Postgres', async () => {
    const env = { KEELSON_EVENTLOG_KEEP: 'true' };
    await replay(env, (from, to) => copyEventLog(from.adminUrl, to.adminUrl));
  });

  it.skipIf(!hasKafka())('from Kafka', async () => replay(await kafka(), async () => undefined));
});

async function replay(
  eventLog: Record<string, string>,
  carryOver: (from: TestDatabase, to: TestDatabase) => Promise<void>,
): Promise<void> {
  const [from, to] = [await makeDatabase(), await makeDatabase()];
  const env = { ...eventLog, KEELSON_LEDGER_NAME: 'replay.example', KEELSON_EVENTLOG_DECISIONS_PARTITIONS: '2' };
  const first = await start({ ...env, ...urls(from) });
  await publish(first, 'before');
  await first.end();

  const again = await start({ ...env, ...urls(from) }, first.dataFolder);
  await publish(again, 'after');
  await publish(again, 'after');
  const heads = await exportHeads(again, join(folder, 'first'));
  await again.end();
  expect(heads.map((head) => Number(head.split(' ')[1])).reduce((sum, size) => sum + size)).toBeGreaterThan(2 * EVENTS);

  await carryOver(from, to);
  const dataFolder = await makeDataFolder();
  closing.push(() => rm(dataFolder, { recursive: true, force: true }));
  await cp(join(first.dataFolder, 'keys'), join(dataFolder, 'keys'), { recursive: true });
  const replayed = await start({ ...env, ...urls(to) }, dataFolder);
  await expect
    .poll(() => sizes(replayed), { timeout: 60_000 })
    .toEqual(heads.map((head) => Number(head.split(' ')[1])));
  expect(await exportHeads(replayed, join(folder, 'second'))).toEqual(heads);
}

async function makeDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  closing.push(() => database.drop());
  return database;
}

const urls = (database: TestDatabase): Record<string, string> => ({
  KEELSON_DATABASE_URL: database.url,
  KEELSON_MIGRATION_URL: database.adminUrl,
});

async function start(env: Record<string, string>, dataFolder?: string): Promise<ServerProcess> {
  const folderOfOwn = dataFolder ?? (await makeDataFolder());
  const server = await startServer({ env, dataFolder: folderOfOwn });
  if (dataFolder === undefined) closing.push(() => rm(folderOfOwn, { recursive: true, force: true }));
  closing.push(() => server.end());
  return server;
}

async function publish(server: ServerProcess, prefix: string): Promise<void> {
  const admin = await Api.admin(server);
  const events = Array.from({ length: EVENTS }, (_, n) => ({
    id: `${prefix}-${n}`,
    type: n % 5 === 0 ? 'agent.registered' : 'decision.made',
    timestamp: '2026-11-23T10:00:00Z',
    agent: `agent-${n % 7}`,
    ...(n % 5 === 0 ? { owner: 'dana@company.com' } : { decision: 'allow', user: 'dana@company.com' }),
  }));
  const { status, body } = await admin.post<{ accepted: number }>('/v1/events', events, { prefer: 'wait=30' });
  expect({ status, accepted: body.accepted }).toEqual({ status: 200, accepted: EVENTS });
}

async function sizes(server: ServerProcess): Promise<number[]> {
  const { body } = await (
    await Api.admin(server)
  ).get<{ logs: { log: string; published?: { size: number } }[] }>('/v1/logs');
  return body.logs.sort((a, b) => (a.log < b.log ? -1 : 1)).map(({ published }) => published?.size ?? 0);
}

async function exportHeads(server: ServerProcess, to: string): Promise<string[]> {
  const env = { KEELSON_URL: server.url, KEELSON_TOKEN: await server.adminToken() };
  const exported = await runKeelson(['export-tiles', to], { env });
  expect(exported.code, exported.stderr).toBe(0);
  return readHeads(to);
}
