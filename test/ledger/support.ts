import { createHash, createHmac } from 'node:crypto';
import { pino } from 'pino';
import { KeelsonError } from '../../src/core/error.js';
import { PackBuilder } from '../../src/eventlog/pack.js';
import type { EventLog, Partition, Subscription } from '../../src/eventlog/port.js';
import type { LogRecords } from '../../src/ledger/log-records.js';
import { PostgresStore } from '../../src/ledger/postgres-store.js';
import { Sequencer, type SequencerOptions } from '../../src/ledger/sequencer.js';
import type { LedgerStore } from '../../src/ledger/store.js';
import { LedgerWatch } from '../../src/ledger/watch.js';
import { nodeHasher } from '../../src/platform/hasher.js';
import { nodeSigner, nodeVerifier } from '../../src/platform/signer.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';

export { createDatabase, type TestDatabase };
export const decisions: Partition = { topic: 'decisions', partition: 0 };
export const ledgerName = 'test.example/ledger';
export const signer = nodeSigner(new Uint8Array(32).fill(7));
export const verifier = nodeVerifier;
export const logger = pino({ level: process.env['TEST_LOG'] ?? 'silent' });

export const OPENED = Buffer.from('0101010101010101', 'hex');
export const SCHEMA = Buffer.from('0202020202020202', 'hex');
export const EVENT = Buffer.from('0303030303030303', 'hex');

/** Records as the sequencer sees them, bodies made up: a `log.schema` record's body is the fingerprint it describes. */
export const kinds: LogRecords = {
  openedFingerprint: OPENED,
  schemaFingerprint: SCHEMA,
  describedFingerprint(record) {
    if (record.length !== 50) throw new KeelsonError('malformed_record', 'no schema');
    return record.slice(42);
  },
};

export interface TestRecord {
  readonly record: Uint8Array;
  readonly digest: Uint8Array;
}

export function makeRecord(id: string, content = id, fingerprint: Uint8Array = EVENT, body?: Uint8Array): TestRecord {
  const sha = (text: string): Buffer => createHash('sha256').update(text).digest();
  const record = Buffer.concat([
    Buffer.from('c301', 'hex'),
    fingerprint,
    sha(id).subarray(0, 16),
    sha(`blind ${id} ${content}`).subarray(0, 16),
    body ?? Buffer.from(content.padEnd(40, '.')),
  ]);
  return { record, digest: createHmac('sha256', 'content').update(content).digest().subarray(0, 16) };
}

export const openedRecord = (): TestRecord => makeRecord('opened', 'opened', OPENED);
export const schemaRecord = (described: Uint8Array): TestRecord =>
  makeRecord(`schema ${Buffer.from(described).toString('hex')}`, 'schema', SCHEMA, described);

export function makePack(...records: TestRecord[]): Uint8Array {
  const builder = new PackBuilder();
  for (const { record, digest } of records) builder.add(record, digest);
  return builder.finish();
}

/** What stands first in every log: the opening, and the one schema events use. */
export const preamble = (): Uint8Array => makePack(openedRecord(), schemaRecord(EVENT));

/** `count` packs of `perPack` distinct events. */
export function makePacks(count: number, perPack = 1, prefix = 'e'): Uint8Array[] {
  return Array.from({ length: count }, (_, pack) =>
    makePack(...Array.from({ length: perPack }, (_, i) => makeRecord(`${prefix}${pack}/${i}`))),
  );
}

export function openStore(test: TestDatabase, lockTimeoutMs = 2000): PostgresStore {
  const lanes = { url: test.url, connectTimeoutMs: 5000, lockTimeoutMs, idleInTransactionTimeoutMs: 5000 };
  return new PostgresStore({ database: test.database, lanes, hasher: nodeHasher });
}

export interface Running {
  readonly sequencer: Sequencer;
  readonly watch: LedgerWatch;
  readonly subscription: Subscription;
  readonly stop: () => Promise<void>;
}

export async function runSequencer(
  eventLog: EventLog,
  store: LedgerStore,
  options: Partial<SequencerOptions> = {},
): Promise<Running> {
  const watch = new LedgerWatch();
  const sequencer = new Sequencer({
    eventLog,
    store,
    ledgerName,
    hasher: nodeHasher,
    signer,
    verifier,
    kinds,
    watch,
    settings: { KEELSON_LEDGER_BATCH_BYTES: 65_536, KEELSON_LEDGER_CHECK_S: 3600, KEELSON_PUBLISH_INTERVAL_MS: 5 },
    logger,
    ...options,
  });
  const subscription = await eventLog.subscribe(sequencer);
  return { sequencer, watch, subscription, stop: () => subscription.close() };
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('the condition did not come true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function headOf(test: TestDatabase): Promise<{ size: bigint; nextOffset: bigint; root: Buffer }> {
  const { rows } = await test.database.query<{ size: bigint; next_offset: bigint; root: Buffer }>(
    'select h.size, h.next_offset, c.root from keelson.head h join keelson.checkpoint c using (log, size)',
  );
  const row = rows[0];
  return { size: row?.size ?? 0n, nextOffset: row?.next_offset ?? 0n, root: row?.root ?? Buffer.alloc(0) };
}

/** Waits until the ledger has taken everything the event log holds. */
export const caughtUp = (test: TestDatabase, eventLog: EventLog): Promise<void> =>
  until(async () => (await headOf(test)).nextOffset === (await eventLog.bounds(decisions)).end);
