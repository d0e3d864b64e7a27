/** Intake by itself, in this process: from bodies to packs in an event log in memory, every person known. */
import { createSecretKey } from 'node:crypto';
import { Registry } from 'prom-client';
import { Value } from 'typebox/value';
import { builtInSchemas } from '../../src/events/index.js';
import { formatPartition, type Partition } from '../../src/eventlog/port.js';
import { Encoder } from '../../src/intake/encoder.js';
import { Intake, type AcceptOptions } from '../../src/intake/intake.js';
import { createIntakeMetrics } from '../../src/intake/metrics.js';
import { native } from '../../src/intake/native.js';
import { openOpa } from '../../src/intake/opa.js';
import { PartitionTable } from '../../src/intake/partition.js';
import { QuarantineDesk } from '../../src/intake/quarantine.js';
import { intakeSettings } from '../../src/intake/settings.js';
import { systemClock } from '../../src/platform/clock.js';
import type { Database } from '../../src/platform/database.js';
import { Vault } from '../../src/vault/index.js';
import { MemoryEventLog } from '../../test/support/memory-eventlog.js';

const key = (byte: number): ReturnType<typeof createSecretKey> => createSecretKey(Buffer.alloc(32, byte));

const PARTITIONS: readonly Partition[] = [
  { topic: 'decisions', partition: 0 },
  { topic: 'lifecycle', partition: 0 },
  { topic: 'activity', partition: 0 },
];

/** A database that makes every subject it is asked for. */
const database = {
  query: async (_sql: string, [macs, pseudonyms, keys]: Buffer[][]) => ({
    rows: macs!.map((mac, i) => ({ mac, pseudonym: pseudonyms![i], wrapped_key: keys![i] })),
  }),
} as unknown as Database;

export type Kind = 'decisions' | 'opa';

/** Accepts bodies of one kind, one at a time. */
export async function openIntakeAlone(kind: Kind): Promise<(body: Buffer) => Promise<void>> {
  const vault = new Vault({
    database,
    encryptionKey: key(1),
    lookupKey: key(2),
    cachedSubjects: 100_000,
    quarantineDays: 30,
  });
  const eventLog = new MemoryEventLog(PARTITIONS);
  const originOf = (at: Partition): string => `bench.example/ledger/${formatPartition(at)}/g1`;
  const encoder = new Encoder({
    schemas: builtInSchemas(),
    vault,
    clock: systemClock,
    partitions: new PartitionTable(PARTITIONS),
    contentKey: key(3),
    secretsKey: key(4),
    ledger: { name: 'bench.example/ledger', generation: 'g1', origins: PARTITIONS.map(originOf), originOf },
  });
  const intake = new Intake({
    eventLog,
    encoder,
    quarantine: new QuarantineDesk({ vault, encoder, clock: systemClock }),
    ledger: { expect: () => undefined, settle: async (_at, places) => places.map(() => undefined) },
    settings: Value.Create(intakeSettings),
    metrics: createIntakeMetrics(new Registry()),
  });
  await intake.open();
  const options: AcceptOptions = {
    sender: {
      producer: { id: 'bench', config: {} },
      verified: true,
      scopes: new Set(['publish:decisions'] as const),
    },
    protocol: kind === 'opa' ? openOpa() : native,
    topics: ['decisions'],
    defaultType: 'decision.made',
  };
  return async (body) => {
    const { items } = await intake.accept(body, options);
    if (items.some(({ status }) => status !== 'accepted')) throw new Error('not accepted');
    for (const messages of eventLog.messages.values()) messages.length = 0;
  };
}
