/**
 * Folding much at once. To look up a row of an indexed table and to write it again costs many times what it costs to append one, so while
 * the projection is far behind the rows of the large tables are appended to tables beside them, without indexes (`node_staged` …), and
 * in the end merged into new tables, which are indexed and take the place of the old.
 *
 * What is staged commits with its position, so counts as folded. The tables are as far as `staged_from` says meanwhile.
 */
import type { ClientBase } from 'pg';
import { ROLES } from './kinds.js';
import { createIndexes, createTable, type Table } from './tables.js';

export const STAGED = ['node', 'token', 'edge'] as const satisfies readonly Table[];
export type StagedTable = (typeof STAGED)[number];

export const isStagedTable = (table: Table): table is StagedTable => (STAGED as readonly Table[]).includes(table);
export const stagedName = (schema: string, table: StagedTable): string => `${schema}.${table}_staged`;

const fromName = (schema: string): string => `${schema}.staged_from`;

/** Whether rows are staged. */
export async function isStaging(tx: Pick<ClientBase, 'query'>, schema: string): Promise<boolean> {
  const { rows } = await tx.query<{ made: boolean }>('select to_regclass($1) is not null as made', [fromName(schema)]);
  return rows[0]!.made;
}

/** From now on rows are staged. */
export async function beginStaging(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(
    STAGED.map((table) => `create table ${stagedName(schema, table)} (like ${schema}.${table});`).join('') +
      `create table ${fromName(schema)} as
         select log, next_index from keelson.projection_position where projection = 'identity'`,
  );
}

export async function dropStaging(tx: ClientBase, schema: string): Promise<void> {
  await tx.query(
    `drop table if exists ${[...STAGED.map((table) => stagedName(schema, table)), fromName(schema)].join(', ')}`,
  );
}

/** How far the tables are while rows are staged; undefined: as far as the projection is. */
export async function readStagedFrom(
  tx: Pick<ClientBase, 'query'>,
  schema: string,
): Promise<Map<string, bigint> | undefined> {
  if (!(await isStaging(tx, schema))) return undefined;
  const { rows } = await tx.query<{ path: string; next_index: bigint }>(
    `select l.path, s.next_index from ${fromName(schema)} s join keelson.log l on l.id = s.log`,
  );
  return new Map(rows.map(({ path, next_index }) => [path, next_index]));
}

/** Merges what is staged into the tables. What is folded next goes there again. */
export async function mergeStaged(tx: ClientBase, schema: string): Promise<void> {
  // Sorting in memory: an index of some million rows.
  await tx.query(
    `set local statement_timeout = 0; set local work_mem = '64MB'; set local maintenance_work_mem = '128MB'`,
  );
  for (const table of STAGED) {
    const name = `${schema}.${table}_merged`;
    await tx.query(createTable(table, name));
    await tx.query(`insert into ${name} ${mergedRows(schema, table)}`);
    await tx.query(createIndexes(table, name));
    await tx.query(`analyze ${name}`);
  }
  // Whoever reads locks them in this order, too (reader.ts).
  for (const table of STAGED) {
    await tx.query(`drop table ${schema}.${table}; alter table ${schema}.${table}_merged rename to ${table}`);
  }
  await dropStaging(tx, schema);
}

/** The rows of a table and what of it is staged, each once: as they would be had each been written over the one before (save.ts). */
export function mergedRows(schema: string, table: StagedTable): string {
  const all = `(select * from ${schema}.${table} union all select * from ${stagedName(schema, table)})`;
  switch (table) {
    case 'node':
      return mergedNodes(all);
    case 'token':
      return `select t.key, t.issuer, t.id, coalesce(d.digests, '{}') as digests, t.first_us, t.issued_us, t.expires_us, t.accepted_us,
                     t.ended_us, t.used_day
              from (select key, min(issuer) as issuer, min(id) as id, min(first_us) as first_us, ${earliest('issued_us')},
                           max(expires_us) as expires_us, ${earliest('accepted_us')}, ${earliest('ended_us')}, max(used_day) as used_day
                    from ${all} a group by key) t
              left join (select key, array_agg(distinct digest order by digest) as digests
                         from (select key, unnest(digests) as digest from ${all} a where digests <> '{}') a group by key) d using (key)`;
    case 'edge':
      return `select parent, child, ${ROLES.map((role) => `min(${role}_us) as ${role}_us`).join(', ')}
              from ${all} a group by parent, child`;
  }
}

/** What lifecycle told last counts; of sessions the greatest of what was said. */
function mergedNodes(all: string): string {
  return `select n.key, n.kind, n.issuer, n.id, n.first_us, n.told, n.registered_us,
                 case when n.kind = 'session' then n.phase else l.phase end as phase,
                 case when n.kind = 'session' then n.expires_us else l.expires_us end as expires_us,
                 l.owner, l.successor, l.on_owner_leave, l.risk_level, n.used_day
          from (select key, min(kind) as kind, min(issuer) as issuer, min(id) as id, min(first_us) as first_us, max(told) as told,
                       ${earliest('registered_us')}, max(phase) as phase, max(expires_us) as expires_us, max(used_day) as used_day
                from ${all} a group by key) n
          join (select distinct on (key) key, phase, expires_us, owner, successor, on_owner_leave, risk_level
                from ${all} a order by key, told desc) l using (key)`;
}

/** The earliest of times of which any may be 0: none. */
const earliest = (column: string): string => `coalesce(min(nullif(${column}, 0)), 0) as ${column}`;
