import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { hasKafka, kafkaBrokers, topicPrefix } from '../support/kafka.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { startServer, type ServerProcess } from '../support/server.js';
import { runMainJob } from './main-job.js';
import { findOpa } from './opa.js';

const opa = findOpa();

describe.skipIf(opa === undefined || !hasKafka())('the main job', () => {
  let database: TestDatabase;
  let server: ServerProcess;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keelson-e2e-'));
    database = await createDatabase({ migrated: false });
    server = await startServer({
      env: {
        KEELSON_DATABASE_URL: database.url,
        KEELSON_MIGRATION_URL: database.adminUrl,
        KEELSON_KAFKA_BROKERS: await kafkaBrokers(),
        KEELSON_KAFKA_TOPIC_PREFIX: topicPrefix(),
        KEELSON_KAFKA_REPLICATION_FACTOR: '1',
        KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
      },
    });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('is done on a real Kafka and a Postgres of one’s own', () => runMainJob(server, opa!, folder));
});
