import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { KeelsonError } from '../core/error.js';
import type { KafkaConnection } from '../eventlog/kafka/client.js';
import { openKafkaEventLog } from '../eventlog/kafka/event-log.js';
import type { EventLog } from '../eventlog/port.js';
import { openCheckpointFile, readCheckpointFile, type CheckpointFile } from '../eventlog/postgres/checkpoint-file.js';
import { openPostgresEventLog } from '../eventlog/postgres/event-log.js';
import { lockDataFolder } from '../platform/data-lock.js';
import type { Logger } from '../platform/logger.js';
import type { Storage } from '../platform/storage.js';

/** Connections of the event log in Postgres: its appends must not wait behind queries. */
const POOL_SIZE = 6;

export interface OpenedEventLog {
  readonly eventLog: EventLog;
  /** Closes it, and what it keeps outside the database. */
  readonly close: () => Promise<void>;
}

/**
 * Kafka where KEELSON_KAFKA_BROKERS is set, else the event log inside Postgres, with its memory of checkpoints as a file in the data
 * folder, outside the database's.
 *
 * @param readOnly for a command beside a running server: nothing may be appended or remembered.
 * @throws KeelsonError `event_log_misconfigured`, `event_log_unavailable`, `invalid_config`, `tampered`, `already_running`.
 */
export async function openEventLog(
  config: Config,
  storage: Storage,
  logger: Logger,
  { readOnly = false }: { readonly readOnly?: boolean } = {},
): Promise<OpenedEventLog> {
  const shared = {
    logger,
    decisionsPartitions: config.KEELSON_EVENTLOG_DECISIONS_PARTITIONS,
    activityPartitions: config.KEELSON_EVENTLOG_ACTIVITY_PARTITIONS,
    maxWaitingBytes: config.KEELSON_EVENTLOG_MAX_WAITING_BYTES,
    timeoutMs: config.KEELSON_EVENTLOG_TIMEOUT_MS,
  };
  if (config.KEELSON_KAFKA_BROKERS !== undefined) {
    const eventLog = await openKafkaEventLog({
      ...shared,
      prefix: config.KEELSON_KAFKA_TOPIC_PREFIX,
      replicationFactor: config.KEELSON_KAFKA_REPLICATION_FACTOR,
      minInsyncReplicas: config.KEELSON_KAFKA_MIN_INSYNC_REPLICAS,
      readOnly,
      connection: {
        brokers: config.KEELSON_KAFKA_BROKERS.split(',').map((broker) => broker.trim()),
        ssl: readTls(config),
        ...readSasl(config),
      },
    });
    return { eventLog, close: () => eventLog.close() };
  }
  const { pool } = storage.openPool(POOL_SIZE);
  const memory = await openMemory(storage, readOnly);
  try {
    const { checkpoints, close } = memory;
    const eventLog = await openPostgresEventLog({ ...shared, pool, checkpoints, keep: config.KEELSON_EVENTLOG_KEEP });
    return { eventLog, close: () => eventLog.close().finally(close) };
  } catch (error) {
    await memory.close();
    throw error;
  }
}

/**
 * The memory of checkpoints in the data folder. Its file is one process's: where the folder is not locked for an embedded database
 * already, it is locked for the file.
 */
async function openMemory(
  storage: Storage,
  readOnly: boolean,
): Promise<{ checkpoints: CheckpointFile; close: () => Promise<void> }> {
  const path = join(storage.dataFolder, 'checkpoints');
  if (readOnly) {
    const checkpoints = await readCheckpointFile(path);
    return { checkpoints, close: () => checkpoints.close() };
  }
  const lock = storage.embedded ? undefined : await lockDataFolder(storage.dataFolder);
  try {
    const checkpoints = await openCheckpointFile(path);
    return { checkpoints, close: () => checkpoints.close().finally(() => lock?.release()) };
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

function readTls(config: Config): boolean | { ca: string } {
  if (config.KEELSON_KAFKA_SSL_CA_FILE === undefined) return config.KEELSON_KAFKA_SSL;
  try {
    return { ca: readFileSync(config.KEELSON_KAFKA_SSL_CA_FILE, 'utf8') };
  } catch (error) {
    throw new KeelsonError('invalid_config', `KEELSON_KAFKA_SSL_CA_FILE: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function readSasl(config: Config): Pick<KafkaConnection, 'sasl'> {
  const {
    KEELSON_KAFKA_SASL_MECHANISM: mechanism,
    KEELSON_KAFKA_USERNAME: username,
    KEELSON_KAFKA_PASSWORD: password,
  } = config;
  return mechanism && username !== undefined && password !== undefined
    ? { sasl: { mechanism, username, password } }
    : {};
}
