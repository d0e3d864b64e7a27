/** What a search reads before it reads rows: how far the projection is, what names stand for, which parts there are. */
import type { ClientBase } from 'pg';
import type { Database } from '../platform/database.js';
import type { PartSummary } from './plan.js';

/** How far a log is folded. */
export interface LogPosition {
  readonly id: number;
  readonly path: string;
  /** Entries folded: the projection is complete to this size. */
  readonly size: bigint;
}

/** In order of path. */
export async function readPositions(client: ClientBase | Database): Promise<LogPosition[]> {
  const { rows } = await (client as Pick<Database, 'query'>).query<LogPosition>(
    `select l.id, l.path, coalesce(p.next_index, 0) as size from keelson.log l
     left join keelson.projection_position p on p.log = l.id and p.projection = 'search' order by l.path`,
  );
  return rows;
}

/** Key (32 hex digits) → integer, for the names that any row ever had. */
export async function readNames(
  client: ClientBase,
  schema: string,
  keys: readonly string[],
): Promise<Map<string, number>> {
  if (keys.length === 0) return new Map();
  const { rows } = await client.query<{ key: string; id: number }>(
    `select key::text, id from ${schema}.name where key = any($1::uuid[])`,
    [keys],
  );
  return new Map(rows.map(({ key, id }) => [key.replaceAll('-', ''), id]));
}

interface PartRow {
  id: number;
  rows: bigint;
  first_appended_us: bigint;
  last_appended_us: bigint;
  first_occurred_us: bigint;
  last_occurred_us: bigint;
  logs: number[] | null;
  last_indexes: bigint[];
}

/** Every part there is, with what it holds of `names`. */
export async function readParts(client: ClientBase, schema: string, names: readonly number[]): Promise<PartSummary[]> {
  const parts = await client.query<PartRow>(`select * from ${schema}.part where state <> 'dropped'`);
  const holdings = new Map<number, Map<number, number>>();
  if (names.length > 0) {
    const { rows } = await client.query<{ part: number; name: number; rows: number }>(
      `select part, name, rows from ${schema}.holding where name = any($1)`,
      [names],
    );
    for (const { part, name, rows: count } of rows) {
      const held = holdings.get(part);
      if (held === undefined) holdings.set(part, new Map([[name, count]]));
      else held.set(name, count);
    }
  }
  return parts.rows.map((row) => summarise(row, holdings.get(row.id) ?? new Map<number, number>()));
}

function summarise(row: PartRow, holdings: ReadonlyMap<number, number>): PartSummary {
  const rows = Number(row.rows);
  if (row.logs === null) return { id: row.id, rows };
  const bounds = {
    firstAppendedUs: row.first_appended_us,
    lastAppendedUs: row.last_appended_us,
    firstOccurredUs: row.first_occurred_us,
    lastOccurredUs: row.last_occurred_us,
    lastIndexes: new Map(row.logs.map((log, i) => [log, row.last_indexes[i]!])),
    holdings,
  };
  return { id: row.id, rows, bounds };
}
