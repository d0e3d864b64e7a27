/** Holds the live tables against refolded ones: rows name everything by keys, so equal states have equal rows. */
import type { PoolClient } from 'pg';
import type { ProjectionDifference } from '../ledger/projection.js';
import { isStagedTable, isStaging, mergedRows } from './staging.js';
import { TABLES, type Table } from './tables.js';

/** Differences told one by one for a table; then only that there are more. */
const TOLD_MAX = 100;

export async function* compareIdentity(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  await tx.query('set local statement_timeout = 0');
  const staging = new Set<string>();
  for (const schema of [live, scratch]) if (await isStaging(tx, schema)) staging.add(schema);
  const rowsOf = (schema: string, table: Table): string =>
    staging.has(schema) && isStagedTable(table) ? `(${mergedRows(schema, table)})` : `${schema}.${table}`;
  for (const table of TABLES) {
    const less = (from: string, other: string): string =>
      `select to_jsonb(r) as row from (select * from ${rowsOf(from, table)} a except select * from ${rowsOf(other, table)} b) as r`;
    for (const [query, what] of [
      [less(live, scratch), 'has a row that the entries do not say'],
      [less(scratch, live), 'lacks a row that the entries say'],
    ] as const) {
      const { rows } = await tx.query<{ row: object }>(`${query} limit ${TOLD_MAX + 1}`);
      for (const { row } of rows.slice(0, TOLD_MAX)) {
        yield { reason: `identity's table ${table} ${what}: ${JSON.stringify(row)}` };
      }
      if (rows.length > TOLD_MAX) yield { reason: `identity's table ${table} ${what}, and more of them; rebuild it` };
    }
  }
}
