/** Events as entries, and a projection fed with them: what intake, ledger and runner would do, done by hand. */
import { createHash } from 'node:crypto';
import { encodeRecordEntry } from '../../src/core/entry.js';
import type { JsonObject } from '../../src/events/json.js';
import { encodeRecord } from '../../src/events/record.js';
import { builtInSchemas } from '../../src/events/registry.js';
import { separate } from '../../src/events/separate.js';
import { EntryReader } from '../../src/identity/entry-part.js';
import { foldEntry } from '../../src/identity/fold.js';
import { Graph } from '../../src/identity/graph.js';
import { Identity } from '../../src/identity/identity.js';
import { identityProjection, type GraphHolder, type IdentityProjectionOptions } from '../../src/identity/projection.js';
import { formatLogPath, type Log } from '../../src/ledger/log.js';
import type { Page } from '../../src/ledger/page.js';
import type { FoldBatch } from '../../src/ledger/projection.js';
import type { Database } from '../../src/platform/database.js';
import type { Topic } from '../../src/eventlog/port.js';

export const schemas = builtInSchemas();
/** A time after everything that tests make up, and before it ends. */
export const NOW_US = 1_800_000_000_000_000;

/** The pseudonym of a person: of the same issuer and id always the same. */
export const pseudonymOf = (id: string, issuer = ''): Buffer =>
  createHash('sha256').update(`${issuer}\0${id}`).digest().subarray(0, 16);
export const hexOf = (id: string, issuer = ''): string => pseudonymOf(id, issuer).toString('hex');

const STAMP = Buffer.alloc(16);

/** The bytes of an entry for an event; `type` and what the type needs, the rest is made up. */
export function makeEntry(event: JsonObject, atUs: number, producer = 'hr'): Uint8Array {
  const schema = schemas.forType(event.type as string);
  const parts = separate({ timestamp: '2026-01-01T00:00:00Z', ...event }, schema);
  const record = encodeRecord(schema, {
    dedupe: STAMP,
    blind: STAMP,
    id: 'event',
    type: parts.type,
    occurredAtUs: parts.occurredAtUs,
    acceptedAtUs: 0n,
    producer,
    producerVerified: true,
    source: '',
    protocol: 'native',
    epoch: null,
    sequence: null,
    assigned: [],
    persons: parts.persons.map(({ pointer, issuer, id }) => ({ pointer, subject: pseudonymOf(id, issuer) })),
    sealed: [],
    masked: [],
    originals: parts.originals,
    body: parts.body,
  });
  return encodeRecordEntry({ appendedAtUs: BigInt(atUs), partition: 0, offset: 0n, place: 0 }, record);
}

export interface TestEvent {
  readonly event: JsonObject;
  readonly producer?: string;
}

/** Entries of one log, `spacingUs` apart. */
export const makeLog = (events: readonly TestEvent[], firstUs: number, spacingUs = 1000): Uint8Array[] =>
  events.map(({ event, producer }, i) => makeEntry(event, firstUs + i * spacingUs, producer));

/** A graph of lifecycle events alone, with no database behind it. */
export function graphOf(events: readonly (JsonObject | TestEvent)[]): Graph {
  const graph = new Graph();
  const reader = new EntryReader(schemas);
  events.forEach((one, i) => {
    const { event, producer } = isTestEvent(one) ? one : { event: one, producer: undefined };
    const { atUs, part } = reader.read(makeEntry(event, 1_700_000_000_000_000 + i, producer));
    foldEntry(graph, part!, { log: 1, index: BigInt(i), atUs });
  });
  return graph;
}

const isTestEvent = (one: JsonObject | TestEvent): one is TestEvent =>
  typeof one.event === 'object' && one.event !== null;

/** The port over a graph that is all there is. */
export const identityOf = (graph: Graph | undefined): Identity =>
  new Identity({
    graph,
    positions: new Map(),
    waitUntil: () => Promise.resolve(),
    lastUse: () => Promise.resolve(null),
  });

/** Registers logs in a database. */
export async function makeLogs(database: Database, places: readonly [Topic, number][]): Promise<Log[]> {
  const logs: Log[] = [];
  for (const [topic, partition] of places) {
    const path = formatLogPath({ topic, partition });
    const { rows } = await database.query<{ id: number }>(
      `insert into keelson.log (path, origin, topic, partition, generation) values ($1, $2, $3, $4, 1) returning id`,
      [path, `test/${path}`, topic, partition],
    );
    logs.push({ id: rows[0]!.id, path, origin: `test/${path}`, topic, partition } as unknown as Log);
  }
  return logs;
}

/** Entries as a fold is handed them. */
export function batchOf(log: Log, from: bigint, entries: readonly Uint8Array[]): FoldBatch {
  const bytes = Buffer.concat(
    entries.map((entry) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(entry.length);
      return Buffer.concat([length, entry]);
    }),
  );
  const page: Page = { firstIndex: from, count: entries.length, entries: bytes };
  return { log, from, to: from + BigInt(entries.length), pages: [page] };
}

/** A cut of the logs into batches, and their order. */
export type Deal = readonly { readonly log: number; readonly count: number }[];

/** A projection that finds itself so many entries behind when it is opened, and again after each merge: it stages rows (staging.ts). */
export function stagingOf(behind: readonly number[]): Pick<IdentityProjectionOptions, 'backlog' | 'stageFrom'> {
  const left = [...behind];
  return { stageFrom: 1, backlog: () => Promise.resolve({ folded: 0, behind: left.shift() ?? 0 }) };
}

/** Folds the logs into the schema's tables in the order of the deal, each log from a place; answers the graph that was made on the way. */
export async function foldLogs(
  database: Database,
  schema: string,
  logs: readonly Log[],
  entries: readonly (readonly Uint8Array[])[],
  deal: Deal,
  from: readonly number[] = [],
  staging: Pick<IdentityProjectionOptions, 'backlog' | 'stageFrom'> = {},
): Promise<Graph> {
  const holder: GraphHolder = { graph: undefined };
  const projection = identityProjection({ clock: { nowUs: () => BigInt(NOW_US) }, holder, ...staging });
  const fold = await database.transaction((tx) => projection.open(tx, schema));
  const at = logs.map((_, i) => from[i] ?? 0);
  for (const { log, count } of deal) {
    const begin = at[log]!;
    const some = entries[log]!.slice(begin, begin + count);
    if (some.length === 0) continue;
    at[log] = begin + some.length;
    await database.transaction((tx) => fold.fold(tx, batchOf(logs[log]!, BigInt(begin), some)));
  }
  const { graph } = holder;
  await fold.close?.();
  if (graph === undefined && schema === 'keelson') throw new Error('no graph was made');
  return graph ?? new Graph();
}
