/**
 * Holds the live projection against a refolded one: every row, by what it says (names by their keys: integers differ), every alias;
 * and the live summary against the live rows, because a search trusts it.
 */
import type { PoolClient } from 'pg';
import type { ProjectionDifference } from '../ledger/projection.js';
import { createTables, partTable } from './tables.js';

/** Differences told one by one; then only that there are more. */
const TOLD_MAX = 100;
/** Entries whose rows are first compared as one sum. */
const BUCKET = 65_536;

export async function* compareSearch(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  // One that no service has made yet is an empty one; fsck rolls this back with everything else.
  await createTables(tx, live);
  let told = 0;
  for await (const difference of differences(tx, live, scratch)) {
    if (told++ === TOLD_MAX) {
      yield { reason: `more than ${TOLD_MAX} differences in the search projection; rebuild it` };
      return;
    }
    yield difference;
  }
}

async function* differences(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  yield* compareRows(tx, live, scratch);
  const aliases = await tx.query<{ subject: string }>(
    `select subject::text from (select * from ${live}.alias except select * from ${scratch}.alias) as more
     union select subject::text from (select * from ${scratch}.alias except select * from ${live}.alias) as fewer`,
  );
  for (const { subject } of aliases.rows) yield { reason: `other aliases of ${subject}` };
  yield* checkSummary(tx, live);
}

/** One select over all parts: log, index and a digest of everything else. */
async function digests(tx: PoolClient, schema: string): Promise<string> {
  const { rows } = await tx.query<{ id: number }>(`select id from ${schema}.part where state <> 'dropped' order by id`);
  const parts = rows.map(
    ({ id }) =>
      `select log, index, hashtextextended(concat_ws(' ', appended_at_us, occurred_at_us, event, coalesce(risk::text, '-'),
                
                (select string_agg(coalesce(thing::text, '-'), ' ') from unnest(array[token, other_token, session, other_session, task]) as thing),
                (select string_agg(coalesce(n.key::text, '?'), ',' order by n.key)
                 from unnest(keys) as held left join ${schema}.name n on n.id = held)), 0) as digest
       from ${partTable(schema, id)}`,
  );
  return parts.join(' union all ');
}

async function* compareRows(
  tx: PoolClient,
  live: string,
  scratch: string,
): AsyncGenerator<ProjectionDifference, void, undefined> {
  const [ours, theirs] = [await digests(tx, live), await digests(tx, scratch)];
  const sums = (rows: string): string =>
    `select log, index / ${BUCKET} as bucket, count(*) as rows, sum(digest::numeric) as digest from (${rows}) as r group by 1, 2`;
  const buckets = await tx.query<{ log: number; bucket: bigint; path: string | null }>(
    `select log, bucket, l.path from (${sums(ours)}) as a full join (${sums(theirs)}) as b using (log, bucket)
     left join keelson.log l on l.id = log
     where (a.rows, a.digest) is distinct from (b.rows, b.digest) order by log, bucket limit ${TOLD_MAX + 1}`,
  );
  for (const { log, bucket, path } of buckets.rows) {
    const within = `where log = $1 and index / ${BUCKET} = $2`;
    const { rows } = await tx.query<{ index: bigint; ours: bigint; theirs: bigint }>(
      `select index, coalesce(a.rows, 0) as ours, coalesce(b.rows, 0) as theirs
       from (select index, count(*) as rows, sum(digest::numeric) as digest from (${ours}) as r ${within} group by 1) as a
       full join (select index, count(*) as rows, sum(digest::numeric) as digest from (${theirs}) as r ${within} group by 1) as b
       using (index) where (a.rows, a.digest) is distinct from (b.rows, b.digest) order by index limit ${TOLD_MAX + 1}`,
      [log, bucket],
    );
    for (const row of rows) {
      const reason =
        row.ours === row.theirs
          ? 'search says something else than the entry'
          : `search has ${row.ours} rows for ${row.theirs}`;
      yield { log: path ?? `log ${log}`, index: row.index, reason };
    }
  }
}

/** Bounds and holdings of each indexed part against its rows; a holding of no part. */
async function* checkSummary(tx: PoolClient, schema: string): AsyncGenerator<ProjectionDifference, void, undefined> {
  const { rows: parts } = await tx.query<{ id: number }>(
    `select id from ${schema}.part where state = 'indexed' order by id`,
  );
  for (const { id } of parts) {
    const { rows } = await tx.query<{ bounds: boolean; holdings: boolean }>(
      `select (select (p.rows, p.first_appended_us, p.last_appended_us, p.first_occurred_us, p.last_occurred_us) = (count(*),
                 min(appended_at_us), max(appended_at_us), min(occurred_at_us), max(occurred_at_us)) from ${partTable(schema, id)})
              and (select p.logs = array_agg(log order by log) and p.last_indexes = array_agg(last order by log)
                   from (select log, max(index) as last from ${partTable(schema, id)} group by log) as by_log) as bounds,
              not exists (
                select from (select name, count(*) as rows from ${partTable(schema, id)}, unnest(keys) as name group by name) as a
                full join (select name, rows from ${schema}.holding where part = p.id) as b using (name)
                where a.rows is distinct from b.rows) as holdings
       from ${schema}.part p where p.id = $1`,
      [id],
    );
    if (!rows[0]!.bounds) yield { reason: `the bounds of search part ${id} are not those of its rows` };
    if (!rows[0]!.holdings) yield { reason: `the summary of search part ${id} is not that of its rows` };
  }
}
