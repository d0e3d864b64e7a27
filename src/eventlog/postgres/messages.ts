/**
 * The statements of the event log in Postgres (migrations/0020_eventlog.sql). Packs go in as one binary array, and come out by COPY.
 * Other results are parsed here, so nothing depends on how the pool parses types.
 */
import type pg from 'pg';
import { KeelsonError } from '../../core/error.js';
import { copyOut } from '../../platform/copy-out.js';
import { TOPICS, type Batch, type Message, type Partition } from '../port.js';

/** A partition and the id of its row. */
export interface PartitionRow {
  readonly at: Partition;
  readonly id: number;
}

/** What runs a statement: the pool, or a connection of its own. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

const QUERY_TIMEOUT_MS = 10_000;

type Row = (string | null)[];

const asSent = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;

async function queryRows(db: Queryable, name: string, text: string, values: unknown[]): Promise<Row[]> {
  const query = {
    name: `keelson_eventlog_${name}`,
    text,
    values,
    rowMode: 'array' as const,
    types: asSent,
    // A connection that says nothing must not hang a lane for ever; the pool throws it away.
    query_timeout: QUERY_TIMEOUT_MS,
  };
  return (await db.query<Row>(query)).rows;
}

const readBigint = (value: string | null | undefined): bigint => BigInt(value!);

/** `\x` and hexadecimal digits (bytea_output = hex, the default). */
const readBytea = (value: string): Uint8Array => Buffer.from(value.slice(2), 'hex');

/**
 * Refuses a database that acknowledges before it is durable: nothing here could be acknowledged then.
 * @throws KeelsonError `event_log_misconfigured`
 */
export async function requireDurableCommits(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ setting: string }>(`select current_setting('synchronous_commit') as setting`);
  if (rows[0]?.setting === 'off')
    throw new KeelsonError('event_log_misconfigured', 'event log in Postgres: synchronous_commit is off, wanted on');
}

/**
 * The row of each partition, made where it is missing.
 * @param counts partitions of each topic
 * @throws KeelsonError `event_log_misconfigured` where the log has more partitions than are wanted: their entries would hang
 */
export async function openPartitions(
  db: Queryable,
  counts: Readonly<Record<Partition['topic'], number>>,
): Promise<PartitionRow[]> {
  const wanted = TOPICS.flatMap((topic) =>
    Array.from({ length: counts[topic] }, (_, partition) => ({ topic, partition })),
  );
  const topics = wanted.map(({ topic }) => topic);
  const partitions = wanted.map(({ partition }) => partition);
  await db.query(
    `insert into keelson.event_log_partition (topic, partition)
     select * from unnest($1::text[], $2::int[]) on conflict (topic, partition) do nothing`,
    [topics, partitions],
  );
  const { rows } = await db.query<{ id: number; topic: string; partition: number }>(
    'select id, topic, partition from keelson.event_log_partition',
  );
  for (const topic of TOPICS) {
    const found = rows.filter((row) => row.topic === topic).length;
    if (found !== counts[topic])
      throw new KeelsonError(
        'event_log_misconfigured',
        `event log topic ${topic}: partitions: found ${found}, wanted ${counts[topic]}`,
      );
  }
  return wanted.map((at) => ({
    at,
    id: rows.find((row) => row.topic === at.topic && row.partition === at.partition)!.id,
  }));
}

/**
 * Appends packs at adjoining offsets and commits; answers the first offset. One statement: the update locks the partition's
 * row until commit, so offsets become visible in their order, and the append time never goes back.
 */
export async function appendPacks(db: Queryable, id: number, packs: readonly Uint8Array[]): Promise<bigint> {
  const rows = await queryRows(
    db,
    'append',
    `with head as (
       update keelson.event_log_partition
          set next_offset = next_offset + $2::int,
              appended_at_us = greatest(appended_at_us, (extract(epoch from clock_timestamp()) * 1000000)::bigint)
        where id = $1::int
       returning next_offset - $2::int as first_offset, appended_at_us
     ), added as (
       insert into keelson.event_log_message (log, "offset", appended_at_us, pack)
       select $1::int, head.first_offset + u.ordinal - 1, head.appended_at_us, u.pack
         from head, unnest($3::bytea[]) with ordinality as u (pack, ordinal)
     )
     select first_offset from head`,
    [id, packs.length, encodeByteaArray(packs)],
  );
  return readBigint(rows[0]?.[0]);
}

/** The first readable offset and the next one to be taken. */
export async function readBounds(db: Queryable, id: number): Promise<{ start: bigint; end: bigint }> {
  const rows = await queryRows(
    db,
    'bounds',
    'select first_offset, next_offset from keelson.event_log_partition where id = $1::int',
    [id],
  );
  return { start: readBigint(rows[0]?.[0]), end: readBigint(rows[0]?.[1]) };
}

/**
 * The messages from `from` on, at least one where there is one, until they weigh more than `maxBytes`; undefined at the end.
 * @throws KeelsonError `event_log_truncated` where the log has no such position
 */
export async function readBatch(
  db: Queryable,
  id: number,
  from: bigint,
  maxBytes: number,
  maxMessages: number,
): Promise<Batch | undefined> {
  const rows = await copyOut(
    db,
    `select p.first_offset, p.next_offset, m."offset", m.appended_at_us, m.pack
       from keelson.event_log_partition p left join lateral (
         select "offset", appended_at_us, pack, sum(octet_length(pack)) over (order by "offset") - octet_length(pack) as before
           from (select * from keelson.event_log_message where log = p.id and "offset" >= ${from}
                  order by "offset" limit ${maxMessages}) ahead
       ) m on m.before < ${maxBytes}
      where p.id = ${id} order by m."offset"`,
    QUERY_TIMEOUT_MS,
  );
  const [start, end] = [rows[0]![0]!.readBigInt64BE(), rows[0]![1]!.readBigInt64BE()];
  if (from < start || from > end)
    throw new KeelsonError('event_log_truncated', `offset ${from} is outside [${start}, ${end})`);
  const messages = rows
    .filter((row) => row[2] !== null)
    .map((row) => ({ offset: row[2]!.readBigInt64BE(), appendedAtUs: row[3]!.readBigInt64BE(), pack: row[4]! }));
  if (messages.length === 0) return undefined;
  messages.forEach(({ offset }, place) => {
    if (offset !== from + BigInt(place))
      throw new KeelsonError('event_log_truncated', `offset ${from + BigInt(place)} is missing`);
  });
  return { from, to: from + BigInt(messages.length), messages };
}

export async function readMessage(db: Queryable, id: number, offset: bigint): Promise<Message | undefined> {
  const rows = await queryRows(
    db,
    'message',
    `select "offset", appended_at_us, pack from keelson.event_log_message where log = $1::int and "offset" = $2::bigint`,
    [id, offset],
  );
  return (
    rows[0] && { offset: readBigint(rows[0][0]), appendedAtUs: readBigint(rows[0][1]), pack: readBytea(rows[0][2]!) }
  );
}

/**
 * Forgets what is below `before`, in pieces of `piece` offsets, each its own transaction. The position moves first: a crash
 * in between leaves unreadable rows, which the next trim takes away.
 */
export async function trimMessages(db: Queryable, id: number, before: bigint, piece = 500): Promise<void> {
  await db.query(
    `update keelson.event_log_partition set first_offset = least(next_offset, $2::bigint) where id = $1 and first_offset < $2::bigint`,
    [id, before],
  );
  for (;;) {
    const { rowCount } = await db.query(
      `delete from keelson.event_log_message where log = $1 and "offset" in (
         select "offset" from keelson.event_log_message where log = $1 and "offset" < $2::bigint order by "offset" limit $3)`,
      [id, before, piece],
    );
    if ((rowCount ?? 0) < piece) return;
  }
}

const BYTEA_OID = 17;

/** The binary form of a one-dimensional bytea[] (array_recv): a fifth of the cost of JS arrays turned into text. */
function encodeByteaArray(values: readonly Uint8Array[]): Buffer {
  const bytes = values.reduce((sum, value) => sum + 4 + value.length, 20);
  const array = Buffer.allocUnsafe(bytes);
  let at = array.writeInt32BE(1, 0);
  at = array.writeInt32BE(0, at);
  at = array.writeInt32BE(BYTEA_OID, at);
  at = array.writeInt32BE(values.length, at);
  at = array.writeInt32BE(1, at);
  for (const value of values) {
    at = array.writeInt32BE(value.length, at);
    array.set(value, at);
    at += value.length;
  }
  return array;
}
