/**
 * Who may have a lease: kept in the row of each instance, on the database's clock, so that a case need not wait for who has none. It is
 * written in the transaction of the read that a grant follows from, where what is there is older than `NOTED_EVERY_S`: so a grant is never
 * younger than its row by more than that.
 */
import type { PoolClient } from 'pg';
import { formatHex } from '../core/bytes.js';
import type { Database } from '../platform/database.js';

const NOTED_EVERY_S = 20;
/** For the database's clock, which is set now and then, and may differ from the event log's, which orders are dated by. */
const CLOCK_S = 10;

/** How long an instance has not asked for a lease, microseconds; where it never did, since it joined. */
export const SILENT_US = `(extract(epoch from clock_timestamp() - coalesce(leased_at, to_timestamp(joined_at_us / 1e6))) * 1e6)::bigint`;

/** Notes that these (32 hex digits) may get a lease by the read that this transaction goes on with. */
export async function noteLeases(tx: PoolClient, instances: readonly string[]): Promise<void> {
  // Rows are locked in one order: an instance may ask several feed processes at once.
  await tx.query(
    `with due as (
       select id from keelson.feed_instance
       where id = any($1) and (leased_at is null or leased_at < clock_timestamp() - make_interval(secs => ${NOTED_EVERY_S}))
       order by id for update)
     update keelson.feed_instance i set leased_at = clock_timestamp() from due where i.id = due.id`,
    [instances.map((one) => Buffer.from(one, 'hex'))],
  );
}

/** @see PointsPort.silentUs */
export async function readSilence(database: Database, instances: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await database.query<{ id: Buffer; silent_us: bigint }>(
    `select id, ${SILENT_US} as silent_us from keelson.feed_instance where id = any($1)`,
    [instances.map((one) => Buffer.from(one, 'hex'))],
  );
  return new Map(rows.map(({ id, silent_us }) => [formatHex(id), Number(silent_us)]));
}

/**
 * By when every lease of these is over that was granted before: `PointsPort.leasesEndUs`. One that is noted at this moment is left out: a
 * grant may follow from a read that has begun.
 * @param longestUs the longest lease, and what clocks may differ by in that time.
 */
export async function readLeasesEnd(
  database: Database,
  instances: readonly string[],
  longestUs: number,
): Promise<Map<string, number>> {
  const { rows } = await database.query<{ id: Buffer; leased_us: bigint | null }>(
    `select id, (extract(epoch from leased_at) * 1e6)::bigint as leased_us from keelson.feed_instance
     where id = any($1) for share skip locked`,
    [instances.map((one) => Buffer.from(one, 'hex'))],
  );
  const laterUs = (NOTED_EVERY_S + CLOCK_S) * 1e6 + longestUs;
  return new Map(
    rows.map(({ id, leased_us }) => [formatHex(id), leased_us === null ? -Infinity : Number(leased_us) + laterUs]),
  );
}
