import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKafkaEventLog } from '../../src/eventlog/kafka/event-log.js';
import type { EventLog } from '../../src/eventlog/port.js';
import { openCheckpointFile } from '../../src/eventlog/postgres/checkpoint-file.js';
import { openPostgresEventLog } from '../../src/eventlog/postgres/event-log.js';
import { startKafka } from '../../test/support/kafka.js';
import type { BenchDatabase } from './cluster.js';
import { logger } from './ledger-run.js';

/** The event log of a server that runs as a process of its own. */
export interface ServerLog {
  /** What the server has to be told. */
  readonly env: Record<string, string>;
  /** Opens it here, while the server is down. */
  readonly open: (
    database: BenchDatabase,
  ) => Promise<{ readonly eventLog: EventLog; readonly close: () => Promise<void> }>;
  close(): Promise<void>;
}

export async function openServerLog(kind: string): Promise<ServerLog> {
  return kind === 'kafka' ? openKafka() : { env: {}, open: openPostgres, close: () => Promise.resolve() };
}

/** Its checkpoints are the server's business: nothing is sequenced here. */
async function openPostgres({ database }: BenchDatabase): ReturnType<ServerLog['open']> {
  const folder = await mkdtemp(join(tmpdir(), 'keelson-bench-checkpoints-'));
  const checkpoints = await openCheckpointFile(join(folder, 'checkpoints'));
  const eventLog = await openPostgresEventLog({ pool: database.pool, checkpoints, logger, keep: false });
  return {
    eventLog,
    async close() {
      await eventLog.close();
      await checkpoints.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A real Kafka: KAFKA_BROKERS, or one started here. */
async function openKafka(): Promise<ServerLog> {
  const given = process.env['KAFKA_BROKERS'];
  const broker = given === undefined ? await startKafka() : undefined;
  const brokers = given ?? broker!.brokers;
  const prefix = `bench-${Date.now()}.`;
  return {
    env: {
      KEELSON_KAFKA_BROKERS: brokers,
      KEELSON_KAFKA_TOPIC_PREFIX: prefix,
      KEELSON_KAFKA_REPLICATION_FACTOR: '1',
      KEELSON_KAFKA_MIN_INSYNC_REPLICAS: '1',
    },
    async open() {
      const shared = { prefix, replicationFactor: 1, minInsyncReplicas: 1, logger };
      const eventLog = await openKafkaEventLog({ ...shared, connection: { brokers: [brokers], ssl: false } });
      return { eventLog, close: () => eventLog.close() };
    },
    close: async () => void (await broker?.remove()),
  };
}
