import { createSecretKey } from 'node:crypto';
import { Registry } from 'prom-client';
import { Access } from '../../src/access/access.js';
import { issueToken } from '../../src/access/issue.js';
import { registerAccess } from '../../src/access/routes.js';
import {
  builtInSchemas,
  decodeRecord,
  reassemble,
  type DecodedRecord,
  type JsonObject,
} from '../../src/events/index.js';
import { stringifyJson } from '../../src/events/json-text.js';
import { readPack } from '../../src/eventlog/pack.js';
import { formatPartition, type EventLog, type Partition } from '../../src/eventlog/port.js';
import type { Scope } from '../../src/http/caller.js';
import { createCursors } from '../../src/http/cursor.js';
import type { Http } from '../../src/http/http.js';
import { Encoder } from '../../src/intake/encoder.js';
import { Intake } from '../../src/intake/intake.js';
import type { LedgerPort } from '../../src/intake/ledger-port.js';
import { createIntakeMetrics } from '../../src/intake/metrics.js';
import { OPA_FIELDS } from '../../src/intake/opa-fields.js';
import { PartitionTable } from '../../src/intake/partition.js';
import { QuarantineDesk } from '../../src/intake/quarantine.js';
import { registerQuarantine } from '../../src/intake/quarantine-routes.js';
import { registerIntake } from '../../src/intake/routes.js';
import type { IntakeSettings } from '../../src/intake/settings.js';
import { systemClock } from '../../src/platform/clock.js';
import type { Database } from '../../src/platform/database.js';
import { openEvent, Vault } from '../../src/vault/index.js';
import { openHttp } from '../http/support.js';
import { MemoryEventLog } from '../support/memory-eventlog.js';

export const PARTITIONS: readonly Partition[] = [
  { topic: 'decisions', partition: 0 },
  { topic: 'lifecycle', partition: 0 },
  { topic: 'activity', partition: 0 },
];

export const intakeSettings: IntakeSettings = {
  KEELSON_INTAKE_BODY_BYTES: 1024 * 1024,
  KEELSON_INTAKE_DECODED_BYTES: 2 * 1024 * 1024,
  KEELSON_INTAKE_MAX_ITEMS: 2_000,
  KEELSON_INTAKE_EVENT_BYTES: 512 * 1024,
  KEELSON_INTAKE_MAX_DEPTH: 32,
  KEELSON_INTAKE_MAX_STRING: 100_000,
  KEELSON_INTAKE_MAX_VALUES: 10_000,
  KEELSON_INTAKE_PACK_BYTES: 512 * 1024,
  KEELSON_INTAKE_APPEND_TIMEOUT_MS: 300,
  KEELSON_INTAKE_MAX_WAIT_S: 5,
  KEELSON_INTAKE_SAMPLE_BYTES: 1024,
};

export const EXAMPLE = {
  timestamp: '2024-01-20T10:30:00Z',
  agent: 'spiffe://company.com/agent/deploy-bot',
  user: 'devops@company.com',
  tool: 'deploy_to_production',
  parameters: { service: 'api', version: '2.3.4' },
  decision: 'allow',
  policy_version: '1.2.3',
  justification: 'Scheduled deployment window, approved by release manager',
};

const key = (byte: number): ReturnType<typeof createSecretKey> => createSecretKey(Buffer.alloc(32, byte));

export interface TestIntake {
  readonly http: Http;
  readonly intake: Intake;
  readonly vault: Vault;
  readonly access: Access;
  readonly eventLog: EventLog;
  /** A token of `producer` with these scopes. */
  token(scopes: readonly Scope[], producer?: string): Promise<string>;
}

export interface TestIntakeOptions {
  readonly database: Database;
  readonly eventLog?: EventLog;
  readonly settings?: Partial<IntakeSettings>;
  readonly httpSettings?: Parameters<typeof openHttp>[0];
  readonly ledger?: LedgerPort;
}

/** Intake behind its routes, on a real database. */
export async function openIntake(options: TestIntakeOptions): Promise<TestIntake> {
  const { database, eventLog = new MemoryEventLog(PARTITIONS) } = options;
  const settings = { ...intakeSettings, ...options.settings };
  const clock = systemClock;
  const vault = new Vault({
    database,
    encryptionKey: key(1),
    lookupKey: key(2),
    cachedSubjects: 1_000,
    quarantineDays: 30,
  });
  const originOf = (at: Partition): string => `test.example/ledger/${formatPartition(at)}/g1`;
  const encoder = new Encoder({
    schemas: builtInSchemas(),
    vault,
    clock,
    partitions: new PartitionTable(eventLog.partitions),
    contentKey: key(3),
    secretsKey: key(4),
    ledger: { name: 'test.example/ledger', generation: 'g1', origins: eventLog.partitions.map(originOf), originOf },
  });
  const intake = new Intake({
    eventLog,
    encoder,
    quarantine: new QuarantineDesk({ vault, encoder, clock }),
    ledger: options.ledger ?? { expect: () => undefined, settle: async (_at, places) => places.map(() => undefined) },
    settings,
    metrics: createIntakeMetrics(new Registry()),
  });
  const access = new Access({
    database,
    clock,
    settings: { KEELSON_TOKEN_FRESH_MS: 5_000, KEELSON_TOKEN_GRACE_MS: 60_000, KEELSON_TOKEN_CACHE_ENTRIES: 100 },
  });
  const { http } = await openHttp(options.httpSettings, access.authenticate);
  const cursors = createCursors(Buffer.alloc(32));
  registerAccess(http, { access, clock, cursors, mappingFields: { opa: Object.keys(OPA_FIELDS) } });
  await registerIntake(http, { intake, access, settings });
  registerQuarantine(http, { vault, cursors });
  return {
    http,
    intake,
    vault,
    access,
    eventLog,
    token: async (scopes, producer = 'gateway') =>
      (await issueToken(access.store, clock, { producer, name: 'test', scopes, createdBy: 'test' })).token,
  };
}

/** A record as it stands in the event log, with what it was made from. */
export interface Found {
  readonly record: DecodedRecord;
  readonly digest: Buffer;
  /** The producer's event put together again, every block opened. */
  readonly event: JsonObject;
}

/** Every record of a partition, in order. */
export async function readRecords(eventLog: MemoryEventLog, topic: string, vault: Vault): Promise<Found[]> {
  const found: Found[] = [];
  const schemas = builtInSchemas();
  for (const { pack } of eventLog.messages.get(`${topic}/0`)!) {
    for (const { record: bytes, digest } of readPack(pack)) {
      const record = decodeRecord(bytes, schemas);
      const keys = await vault.keysOf(record.sealed.map(({ subject }) => subject));
      const blobs = await vault.blobs.get(record.sealed.flatMap(({ blob }) => (blob === null ? [] : [blob.sha256])));
      const { event } = reassemble(record, openEvent(record, keys, blobs));
      found.push({ record, digest: Buffer.from(digest), event });
    }
  }
  return found;
}

/** The same without what opens and describes the log. */
export const readEvents = async (eventLog: MemoryEventLog, topic: string, vault: Vault): Promise<Found[]> =>
  (await readRecords(eventLog, topic, vault)).filter(({ record }) => !record.type.startsWith('log.'));

export const toPlain = (event: JsonObject): unknown => JSON.parse(stringifyJson(event));
