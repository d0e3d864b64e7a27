import { KeelsonError } from '../core/error.js';
import { decodeRecord, type SchemaRegistry } from '../events/index.js';
import type { EventLog } from '../eventlog/port.js';
import type { Readiness } from '../http/readiness.js';
import { EntryViews } from '../ledger/entry-view.js';
import type { LogRecords } from '../ledger/log-records.js';
import { PostgresStore } from '../ledger/postgres-store.js';
import { ProjectionRunner } from '../ledger/projection-runner.js';
import { LedgerReader } from '../ledger/reader.js';
import { Sequencer } from '../ledger/sequencer.js';
import { Settlement } from '../ledger/settlement.js';
import { LedgerWatch } from '../ledger/watch.js';
import { nodeHasher } from '../platform/hasher.js';
import { nodeVerifier } from '../platform/signer.js';
import { searchProjection } from '../search/projection.js';
import type { Foundation } from './foundation.js';

/** The ledger as everything but the sequencer sees it. */
export interface LedgerParts {
  readonly store: PostgresStore;
  readonly watch: LedgerWatch;
  readonly reader: LedgerReader;
  readonly views: EntryViews;
}

/** Nothing of it runs or connects by itself. */
export function makeLedgerParts({ config, storage, database, schemas, vault }: Foundation): LedgerParts {
  const hasher = nodeHasher;
  const watch = new LedgerWatch();
  const store = new PostgresStore({
    database,
    hasher,
    lanes: {
      url: storage.databaseUrl,
      connectTimeoutMs: config.KEELSON_DATABASE_CONNECT_TIMEOUT_MS,
      lockTimeoutMs: config.KEELSON_DATABASE_LOCK_TIMEOUT_MS,
      idleInTransactionTimeoutMs: config.KEELSON_DATABASE_IDLE_TIMEOUT_MS,
    },
  });
  const reader = new LedgerReader({ database, store, hasher, watch });
  return { store, watch, reader, views: new EntryViews({ database, reader, hasher, schemas, vault }) };
}

/** The search projection, its housekeeping on connections of the common pool. */
export const makeSearchProjection = ({ config, database, logger }: Foundation): ReturnType<typeof searchProjection> =>
  searchProjection({
    database,
    settings: config,
    onError: (error) => logger.warn({ err: error }, 'search: housekeeping is tried again'),
  });

export interface RunningLedger extends LedgerParts {
  readonly settlement: Settlement;
  readonly close: () => Promise<void>;
}

/** Starts what makes the ledger and what follows it: the sequencer on the event log's partitions, and the projections. */
export async function openLedger(
  foundation: Foundation,
  eventLog: EventLog,
  readiness: Readiness,
): Promise<RunningLedger> {
  const { config, logger, database, installation, keyring, schemas } = foundation;
  const parts = makeLedgerParts(foundation);
  const { store, watch, reader } = parts;
  const sequencer = new Sequencer({
    eventLog,
    store,
    ledgerName: installation.ledgerName,
    hasher: nodeHasher,
    signer: keyring.signer,
    verifier: nodeVerifier,
    kinds: describeLogRecords(schemas),
    watch,
    settings: config,
    logger,
  });
  const runner = new ProjectionRunner({
    database,
    reader,
    watch,
    logger,
    projection: makeSearchProjection(foundation),
    givesWay: true,
  });
  readiness.add('event log', () => {
    const { ready, reason } = eventLog.health();
    if (!ready) throw new KeelsonError('event_log_unavailable', reason ?? 'the event log is not available');
  });
  readiness.add('ledger', () => sequencer.requireReady());
  readiness.add('search', () => {
    if (runner.failure instanceof KeelsonError) throw runner.failure;
    if (runner.failure !== undefined) throw new KeelsonError('not_ready', 'the search projection does not go on');
  });
  const subscription = await eventLog.subscribe(sequencer);
  runner.start();
  return {
    ...parts,
    settlement: new Settlement(reader, eventLog, watch.precedence),
    close: () => subscription.close().finally(() => runner.close()),
  };
}

/** What the sequencer must know of the two kinds of records that speak about a log itself. */
export function describeLogRecords(schemas: SchemaRegistry): LogRecords {
  return {
    openedFingerprint: schemas.forType('log.opened').fingerprint,
    schemaFingerprint: schemas.forType('log.schema').fingerprint,
    describedFingerprint(record) {
      const { text } = decodeRecord(record, schemas).body;
      if (typeof text !== 'string') throw new KeelsonError('malformed_record', 'a log.schema without a text');
      try {
        return schemas.learn(text).fingerprint;
      } catch (error) {
        throw new KeelsonError('malformed_record', 'a log.schema whose text is no schema', { cause: error });
      }
    },
  };
}
