/** What becomes of a part once it is full: indexes and summary, merging, dropping. One transaction each. */
import type { ClientBase } from 'pg';
import { makePart, PART_COLUMNS, partTable } from './tables.js';

/** Housekeeping may take as long as it takes, but waits for nobody: another try is cheap. Sorting and indexing want memory. */
const HOUSEKEEPING = `
  set local statement_timeout = 0;
  set local lock_timeout = '2s';
  set local maintenance_work_mem = '128MB';
  set local work_mem = '64MB'`;

/**
 * Gives the oldest full part its indexes and its bounds. Readers go on reading; nobody writes to it any more.
 * @returns false if there is none (or another process is at it).
 */
export async function indexFullPart(tx: ClientBase, schema: string): Promise<boolean> {
  await tx.query(HOUSEKEEPING);
  const { rows } = await tx.query<{ id: number }>(
    `select id from ${schema}.part where state = 'full' order by id limit 1 for update skip locked`,
  );
  const full = rows[0];
  if (full === undefined) return false;
  await indexPart(tx, schema, full.id);
  return true;
}

/** `index_`s carry no names of their own: Postgres makes unique ones. */
async function indexPart(tx: ClientBase, schema: string, id: number): Promise<void> {
  const part = partTable(schema, id);
  await tx.query(`
    create index on ${part} (appended_at_us) with (fillfactor = 100);
    create index on ${part} using gin (keys);
    create index on ${part} (event) with (fillfactor = 100);
    create index on ${part} (token) with (fillfactor = 100) where token is not null;
    create index on ${part} (other_token) with (fillfactor = 100) where other_token is not null;
    create index on ${part} (session) with (fillfactor = 100) where session is not null;
    create index on ${part} (other_session) with (fillfactor = 100) where other_session is not null;
    create index on ${part} using brin (occurred_at_us) with (pages_per_range = 16);
    update ${schema}.part p set state = 'indexed', rows = s.rows, first_appended_us = s.first_appended_us,
           last_appended_us = s.last_appended_us, first_occurred_us = s.first_occurred_us, last_occurred_us = s.last_occurred_us,
           logs = s.logs, last_indexes = s.last_indexes
    from (select sum(rows) as rows, min(first_appended_us) as first_appended_us, max(last_appended_us) as last_appended_us,
                 min(first_occurred_us) as first_occurred_us, max(last_occurred_us) as last_occurred_us,
                 array_agg(log order by log) as logs, array_agg(last_index order by log) as last_indexes
          from (select log, count(*) as rows, min(appended_at_us) as first_appended_us, max(appended_at_us) as last_appended_us,
                       min(occurred_at_us) as first_occurred_us, max(occurred_at_us) as last_occurred_us, max(index) as last_index
                from ${part} group by log) as by_log) as s
    where p.id = ${id}`);
}

/** What the choice of a merge looks at. */
export interface PartSize {
  readonly id: number;
  readonly rows: number;
}

/** How parts merge: `fan` neighbours of a size become one of the next, up to `maxRows`; sizes are `smallRows` × powers of `fan`. */
export interface MergeRule {
  readonly smallRows: number;
  readonly fan: number;
  readonly maxRows: number;
}

/**
 * Which neighbours to merge next, if any; smallest first. No part in the choice is bigger than the rest of it together, so each
 * merge at least doubles what a row lies in, and a row is rewritten a logarithmic number of times.
 *
 * @param parts in order of time.
 */
export function chooseMerge(parts: readonly PartSize[], { smallRows, fan, maxRows }: MergeRule): number[] | undefined {
  for (let bound = smallRows * fan; bound / fan < maxRows; bound *= fan) {
    let run: PartSize[] = [];
    for (const part of [...parts, undefined]) {
      const total = run.reduce((sum, { rows }) => sum + rows, 0);
      if (part !== undefined && part.rows < bound && total + part.rows <= maxRows) {
        run.push(part);
        continue;
      }
      const biggest = Math.max(0, ...run.map(({ rows }) => rows));
      if (run.length >= fan && biggest * 2 <= total) return run.map(({ id }) => id);
      run = part !== undefined && part.rows < bound ? [part] : [];
    }
  }
  return undefined;
}

/**
 * Merges the parts that `chooseMerge` says into one, in order of (append time, log, index), with its indexes and its summary. The old
 * ones are no longer found, and dropped later: searches under way may still be reading them.
 * @returns false if there was nothing to merge.
 */
export async function mergeParts(tx: ClientBase, schema: string, rule: MergeRule): Promise<boolean> {
  await tx.query(HOUSEKEEPING);
  const { rows } = await tx.query<{ id: number; rows: bigint }>(
    `select id, rows from ${schema}.part where state = 'indexed' order by first_appended_us, id`,
  );
  const chosen = chooseMerge(
    rows.map(({ id, rows: count }) => ({ id, rows: Number(count) })),
    rule,
  );
  if (chosen === undefined) return false;
  // Another process's housekeeping may be at the same ones.
  const locked = await tx.query(
    `select from ${schema}.part where id = any($1) and state = 'indexed' for update skip locked`,
    [chosen],
  );
  if (locked.rowCount !== chosen.length) return false;
  const id = await makePart(tx, schema, 'full');
  const sources = chosen.map((old) => `select ${PART_COLUMNS} from ${partTable(schema, old)}`);
  await tx.query(
    `insert into ${partTable(schema, id)} (${PART_COLUMNS}) ${sources.join(' union all ')} order by appended_at_us, log, index`,
  );
  await indexPart(tx, schema, id);
  await tx.query(
    `with old as (delete from ${schema}.holding where part = any($1) returning name, rows)
     insert into ${schema}.holding (name, part, rows) select name, ${id}, sum(rows) from old group by name`,
    [chosen],
  );
  await tx.query(`update ${schema}.part set state = 'dropped' where id = any($1)`, [chosen]);
  return true;
}

/** Held, shared, by a transaction that reads all parts for longer than a search does; while it is, no part is dropped. */
const KEEP_LOCK = `hashtextextended('keelson.search.keep', 0)`;

/** Until this transaction ends, the parts that its snapshot knows stay. */
export async function keepParts(tx: ClientBase): Promise<void> {
  await tx.query(`select pg_advisory_xact_lock_shared(${KEEP_LOCK})`);
}

/**
 * Drops the table of one merged part, or gives up for now (it waits two seconds for readers).
 * @returns false if there is none, or somebody keeps parts.
 */
export async function dropMergedPart(tx: ClientBase, schema: string): Promise<boolean> {
  await tx.query(HOUSEKEEPING);
  const lock = await tx.query<{ free: boolean }>(`select pg_try_advisory_xact_lock(${KEEP_LOCK}) as free`);
  if (!lock.rows[0]!.free) return false;
  const { rows } = await tx.query<{ id: number }>(
    `delete from ${schema}.part where id =
       (select id from ${schema}.part where state = 'dropped' order by id limit 1 for update skip locked) returning id`,
  );
  const dropped = rows[0];
  if (dropped === undefined) return false;
  await tx.query(`drop table ${partTable(schema, dropped.id)}`);
  return true;
}
