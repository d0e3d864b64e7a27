/** A projection fed with facts, without a ledger behind it: what the runner would do, done by hand. */
import type { PoolClient } from 'pg';
import { formatLogPath } from '../../src/ledger/log.js';
import type { Database } from '../../src/platform/database.js';
import { readOpenPart, SearchFold } from '../../src/search/fold.js';
import { builtInSchemas } from '../../src/events/registry.js';
import { EntryReader } from '../../src/search/entry-reader.js';
import { RecordFacts, VALUE } from '../../src/search/record-facts.js';
import type { Facts, Row } from './facts.js';
import { Dictionary } from '../../src/search/names.js';
import { indexFullPart, mergeParts, dropMergedPart, type MergeRule } from '../../src/search/parts.js';
import { clearTables, createTables } from '../../src/search/tables.js';

export const SCHEMA = 'keelson_search';

/** Log ids, by partition of `decisions`. */
export async function makeLogs(database: Database, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let partition = 0; partition < count; partition++) {
    const path = formatLogPath({ topic: 'decisions', partition });
    const { rows } = await database.query<{ id: number }>(
      `insert into keelson.log (path, origin, topic, partition, generation) values ($1, $2, 'decisions', $3, 1) returning id`,
      [path, `test/${path}`, partition],
    );
    ids.push(rows[0]!.id);
  }
  return ids;
}

/** Empties the projection, positions with it. */
export function clear(database: Database, schema = SCHEMA): Promise<void> {
  return database.transaction(async (tx) => {
    await createTables(tx, schema);
    await clearTables(tx, schema);
    await tx.query(`delete from keelson.projection_position where projection = 'search'`);
  });
}

const reader = new EntryReader(builtInSchemas());

/** A fold as the projection opens it, over what the database holds; small limits. */
export async function openFold(
  tx: PoolClient,
  partRows: number,
  smallRows: number,
  names = 1000,
  schema = SCHEMA,
): Promise<SearchFold> {
  const open = await readOpenPart(tx, schema);
  return new SearchFold(schema, open, new Dictionary(schema, names), reader, { partRows, smallRows });
}

/** What a skimmer would have kept of a record with these facts. */
export function placeFacts(facts: Facts): RecordFacts {
  const placed = new RecordFacts();
  const set = (value: number, text: string | undefined): void => {
    const bytes = Buffer.from(text ?? '');
    if (text !== undefined) placed.values.set(value, bytes, 0, bytes.length);
  };
  set(VALUE.event, facts.eventId);
  set(VALUE.type, facts.type);
  set(VALUE.producer, facts.producer);
  set(VALUE.tool, facts.tool);
  set(VALUE.decision, facts.decision);
  set(VALUE.environment, facts.environment);
  [VALUE.jti, VALUE.digest].forEach((value, i) => set(value, facts.tokens[i]));
  [VALUE.contextSession, VALUE.ssoSession].forEach((value, i) => set(value, facts.sessions[i]));
  set(VALUE.task, facts.task);
  for (const agent of facts.agents) placed.hops.push(Buffer.from(agent), 0, Buffer.byteLength(agent));
  for (const policy of facts.policies) placed.bundles.push(Buffer.from(policy), 0, Buffer.byteLength(policy));
  for (const subject of facts.principals) placed.persons.push(subject, 0, subject.length);
  placed.occurredHigh = Number(facts.occurredAtUs >> 32n);
  placed.occurredLow = Number(BigInt.asIntN(32, facts.occurredAtUs));
  placed.hasRisk = facts.risk !== undefined;
  placed.risk = facts.risk ?? 0;
  return placed;
}

/** Appends rows as a fold does that read them from entries. */
export async function appendRows(fold: SearchFold, tx: PoolClient, rows: readonly Row[]): Promise<void> {
  const batch = fold.begin();
  for (const { log, index, appendedAtUs, facts } of rows) {
    const time = Buffer.alloc(8);
    time.writeBigInt64BE(appendedAtUs);
    if (facts.linked !== undefined) batch.link(facts.linked);
    batch.add(log, Number(index), time, 0, placeFacts(facts));
  }
  await fold.append(tx, batch);
}

/** Stores a position as the runner does, in the transaction of the batch. */
export async function storePosition(tx: PoolClient, log: number, size: bigint): Promise<void> {
  await tx.query(
    `insert into keelson.projection_position (projection, log, next_index) values ('search', $1, $2)
     on conflict (projection, log) do update set next_index = excluded.next_index`,
    [log, size],
  );
}

/** Folds batches of one log's rows each. */
export async function foldBatches(
  database: Database,
  batches: readonly (readonly Row[])[],
  partRows: number,
  smallRows: number,
  names?: number,
): Promise<void> {
  const fold = await database.transaction((tx) => openFold(tx, partRows, smallRows, names));
  for (const rows of batches) {
    if (rows.length === 0) continue;
    await database.transaction(async (tx) => {
      await appendRows(fold, tx, rows);
      await storePosition(tx, rows[0]!.log, rows.at(-1)!.index + 1n);
    });
    fold.committed();
  }
}

/** Does all there is to do. */
export async function keepHouse(database: Database, rule: MergeRule | undefined): Promise<void> {
  while (await database.transaction((tx) => indexFullPart(tx, SCHEMA)));
  if (rule === undefined) return;
  while (await database.transaction((tx) => mergeParts(tx, SCHEMA, rule)));
  while (await database.transaction((tx) => dropMergedPart(tx, SCHEMA)));
}
