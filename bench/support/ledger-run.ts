import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Value } from 'typebox/value';
import { builtInSchemas } from '../../src/events/index.js';
import { openKafkaEventLog } from '../../src/eventlog/kafka/event-log.js';
import type { EventLog } from '../../src/eventlog/port.js';
import { openCheckpointFile } from '../../src/eventlog/postgres/checkpoint-file.js';
import { openPostgresEventLog } from '../../src/eventlog/postgres/event-log.js';
import { PostgresStore } from '../../src/ledger/postgres-store.js';
import { ProjectionRunner } from '../../src/ledger/projection-runner.js';
import { LedgerReader } from '../../src/ledger/reader.js';
import { Sequencer } from '../../src/ledger/sequencer.js';
import { formatLogPath, type Log } from '../../src/ledger/log.js';
import { LedgerWatch } from '../../src/ledger/watch.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import { describeLogRecords } from '../../src/server/ledger.js';
import { searchProjection } from '../../src/search/projection.js';
import { searchSettings } from '../../src/search/settings.js';
import { startKafka } from '../../test/support/kafka.js';
import type { BenchCluster, BenchDatabase } from './cluster.js';
import { decisions, LEDGER_NAME } from './records.js';

export const logger = pino({ level: 'warn' }, pino.destination(2));

export interface BenchEventLog {
  readonly eventLog: EventLog;
  close(): Promise<void>;
}

/** The event log in a database of its own, on the same cluster as the ledger. */
export async function openPostgresLog(cluster: BenchCluster): Promise<BenchEventLog> {
  const database = await cluster.createDatabase('bench_event_log');
  const folder = await mkdtemp(join(tmpdir(), 'keelson-bench-checkpoints-'));
  const checkpoints = await openCheckpointFile(join(folder, 'checkpoints'));
  const eventLog = await openPostgresEventLog({ pool: database.database.pool, checkpoints, logger, keep: true });
  return {
    eventLog,
    async close() {
      await eventLog.close();
      await checkpoints.close();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A real Kafka: KAFKA_BROKERS, or one started here. */
export async function openKafkaLog(): Promise<BenchEventLog> {
  const given = process.env['KAFKA_BROKERS'];
  const broker = given === undefined ? await startKafka() : undefined;
  const eventLog = await openKafkaEventLog({
    prefix: `bench-${Date.now()}.`,
    replicationFactor: 1,
    minInsyncReplicas: 1,
    connection: { brokers: [given ?? broker!.brokers], ssl: false },
    logger,
  });
  return {
    eventLog,
    async close() {
      await eventLog.close();
      await broker?.remove();
    },
  };
}

/** A sequencer that is connected and waits at the line. */
export interface Runner {
  /**
   * Lets it read. Resolves when a checkpoint of at least `size` entries is published; where it also makes them searchable, when
   * search has folded them and every part that is full has its indexes.
   */
  run(size: bigint): Promise<void>;
  stop(): Promise<void>;
}

/** Remembers how far the one log it hears of is published. */
class PublishedWatch extends LedgerWatch {
  size = 0n;

  override published(log: Log, size: bigint): void {
    this.size = size;
    super.published(log, size);
  }
}

export async function openRunner(eventLog: EventLog, database: BenchDatabase, search: boolean): Promise<Runner> {
  const watch = new PublishedWatch();
  const lanes = {
    url: database.url,
    connectTimeoutMs: 10_000,
    lockTimeoutMs: 60_000,
    idleInTransactionTimeoutMs: 600_000,
  };
  const store = new PostgresStore({ database: database.database, lanes, hasher: nodeHasher });
  const projection = search ? openSearch(database, store, watch) : undefined;
  const sequencer = new Sequencer({
    // The memory of the checkpoints of the last round is of no use to this one's empty ledger.
    eventLog: withoutMemory(eventLog),
    store,
    ledgerName: LEDGER_NAME,
    hasher: nodeHasher,
    signer: nodeSigner(new Uint8Array(32).fill(1)),
    verifier: nodeVerifier,
    kinds: describeLogRecords(builtInSchemas()),
    watch,
    settings: { KEELSON_LEDGER_BATCH_BYTES: 1_048_576, KEELSON_LEDGER_CHECK_S: 3600, KEELSON_PUBLISH_INTERVAL_MS: 50 },
    logger,
  });
  let open!: () => void;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let ready!: () => void;
  const assigned = new Promise<void>((resolve) => (ready = resolve));
  const subscription = await eventLog.subscribe({
    async assigned(at) {
      if (at.topic !== 'decisions') return undefined;
      ready();
      await gate;
      return sequencer.assigned(at);
    },
    batch: (at, batch) => sequencer.batch(at, batch),
    revoked: (at) => sequencer.revoked(at),
  });
  await assigned;
  projection?.start();
  return {
    async run(size) {
      open();
      while (watch.size < size) await watch.changed(1000);
      await projection?.waitUntil(formatLogPath(decisions), size, 600_000);
      while (projection && (await countFullParts(database)) > 0) await sleep(10);
    },
    stop: () => subscription.close().finally(() => projection?.close()),
  };
}

function openSearch(database: BenchDatabase, store: PostgresStore, watch: LedgerWatch): ProjectionRunner {
  const reader = new LedgerReader({ database: database.database, store, hasher: nodeHasher, watch });
  const settings = Value.Parse(searchSettings, Value.Default(searchSettings, {}));
  const projection = searchProjection({
    database: database.database,
    settings,
    onError: (error) => logger.warn({ err: error }, 'search: housekeeping'),
  });
  return new ProjectionRunner({ database: database.database, reader, watch, logger, projection });
}

async function countFullParts({ database }: BenchDatabase): Promise<bigint> {
  const { rows } = await database.query<{ count: bigint }>(
    `select count(*) from keelson_search.part where state = 'full'`,
  );
  return rows[0]!.count;
}

const withoutMemory = (eventLog: EventLog): EventLog => ({
  partitions: eventLog.partitions,
  checkpoints: { remember: () => Promise.resolve(), recall: () => Promise.resolve(undefined) },
  append: (at, pack) => eventLog.append(at, pack),
  bounds: (at) => eventLog.bounds(at),
  read: (at, offset) => eventLog.read(at, offset),
  subscribe: (consumer) => eventLog.subscribe(consumer),
  trim: () => Promise.resolve(),
  close: () => Promise.resolve(),
  health: () => eventLog.health(),
});
