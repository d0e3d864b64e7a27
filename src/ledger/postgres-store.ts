import pg from 'pg';
import { KeelsonError } from '../core/error.js';
import type { Hasher } from '../core/hasher.js';
import { emptyRoot } from '../core/merkle.js';
import { readRoot } from '../core/proof.js';
import { partialTiles } from '../core/tile.js';
import { databaseError, databaseTypes, type Database } from '../platform/database.js';
import { formatPartition, type Partition } from '../eventlog/port.js';
import { WINDOW_US } from './duplicates.js';
import { PostgresLane } from './lane.js';
import { formatLogPath, GENERATION, type Log } from './log.js';
import { SLOT_BYTES, type SlotRow } from './slots.js';
import { StoredTiles } from './tile-reader.js';
import type { Lane, LedgerStore, LogState, Publication } from './store.js';

/** A page partition is made when the log comes this near to its end, well before a batch needs it. */
const AHEAD = 1 << 23;
const SLOT_ROWS_READ = 2000;

export interface PostgresStoreOptions {
  readonly database: Database;
  /** The lanes' own connections. */
  readonly lanes: {
    readonly url: string;
    readonly connectTimeoutMs: number;
    readonly lockTimeoutMs: number;
    readonly idleInTransactionTimeoutMs: number;
  };
  readonly hasher: Hasher;
}

interface HeadRow {
  size: bigint;
  root: Buffer;
  next_offset: bigint;
  last_offset: bigint | null;
  last_hash: Buffer | null;
  greatest_us: bigint;
  opened: boolean;
}

export class PostgresStore implements LedgerStore {
  constructor(private readonly options: PostgresStoreOptions) {}

  async openLog(at: Partition, origin: string): Promise<Log> {
    const path = formatLogPath(at);
    const root = Buffer.from(emptyRoot(this.options.hasher));
    return this.options.database.transaction(async (tx) => {
      await tx.query(
        `insert into keelson.log (path, origin, topic, partition, generation) values ($1, $2, $3, $4, $5)
         on conflict do nothing`,
        [path, origin, at.topic, at.partition, GENERATION],
      );
      const { rows } = await tx.query<{ id: number; origin: string }>(
        'select id, origin from keelson.log where path = $1',
        [path],
      );
      const row = rows[0];
      if (row?.origin !== origin) {
        const known = row ? `is known as ${row.origin}` : 'is another log’s';
        throw new KeelsonError('invalid_config', `the log ${path} can't be ${origin}: it ${known}`, { log: path });
      }
      await tx.query(
        `with empty as (
           insert into keelson.checkpoint (log, size, root, prev_size, prev_root, next_offset)
           values ($1, 0, $2, 0, $2, 0) on conflict do nothing returning log)
         insert into keelson.head (log, size, next_offset) select log, 0, 0 from empty`,
        [row.id, root],
      );
      return { id: row.id, path, origin, at };
    });
  }

  async loadState(log: Log): Promise<LogState> {
    return this.options.database.transaction(async (tx) => {
      const { rows } = await tx.query<HeadRow>(
        `select h.size, c.root, h.next_offset, h.last_offset, h.last_hash, h.greatest_us, h.opened
         from keelson.head h join keelson.checkpoint c on c.log = h.log and c.size = h.size
         where h.log = $1 for update of h`,
        [log.id],
      );
      const head = rows[0];
      if (!head) throw new KeelsonError('tampered', `${log.path} has no head`, { log: log.path });
      const schemas = await tx.query<{ fingerprint: Buffer }>(
        'select fingerprint from keelson.log_schema where log = $1',
        [log.id],
      );
      const partials: Uint8Array[] = [];
      const tiles = new StoredTiles(tx, this.options.hasher, log);
      for (const tile of partialTiles(head.size)) partials[tile.level] = (await tiles.readTiles([tile]))[0]!;
      return {
        size: head.size,
        root: head.root,
        nextOffset: head.next_offset,
        last: head.last_offset === null ? undefined : { offset: head.last_offset, hash: head.last_hash! },
        greatestUs: head.greatest_us,
        opened: head.opened,
        schemas: schemas.rows.map(({ fingerprint }) => fingerprint),
        partials: Array.from(partials, (bytes) => bytes ?? new Uint8Array(0)),
      };
    });
  }

  async *loadSlots(log: Log, sinceUs: bigint, after = -1): AsyncGenerator<SlotRow, void, undefined> {
    let next = BigInt(after);
    for (;;) {
      const { rows } = await this.options.database.query<{
        first_index: bigint;
        greatest_us: bigint;
        count: number;
        slots: Buffer;
      }>(
        `select first_index, greatest_us, count, slots from keelson.dedupe
         where log = $1 and first_index > $2 and greatest_us >= $3 order by first_index limit ${SLOT_ROWS_READ}`,
        [log.id, next, sinceUs],
      );
      for (const row of rows) {
        yield { firstIndex: Number(row.first_index), greatestUs: row.greatest_us, count: row.count, slots: row.slots };
      }
      if (rows.length < SLOT_ROWS_READ) return;
      next = rows.at(-1)!.first_index;
    }
  }

  async readSlots(log: Log, indexes: readonly number[]): Promise<Map<number, Uint8Array>> {
    const { rows } = await this.options.database.query<{ index: bigint; slot: Buffer }>(
      `select wanted.index, substr(d.slots, (wanted.index - d.first_index)::int * ${SLOT_BYTES} + 1, ${SLOT_BYTES}) as slot
       from unnest($2::bigint[]) as wanted(index) cross join lateral (
         select first_index, count, slots from keelson.dedupe where log = $1 and first_index <= wanted.index
         order by first_index desc limit 1) d
       where wanted.index < d.first_index + d.count`,
      [log.id, indexes],
    );
    return new Map(rows.map(({ index, slot }) => [Number(index), slot]));
  }

  async ensurePartitions(index: number, greatestUs: bigint): Promise<void> {
    await this.options.database.query(
      `select keelson.ensure_page_partition($1), keelson.ensure_page_partition($1 + ${AHEAD}),
              keelson.ensure_dedupe_partition($2)`,
      [index, greatestUs],
    );
  }

  /** Drops the weeks of slots by which no log can recognise a duplicate any more; answers how many. */
  async dropOldSlots(): Promise<number> {
    const { rows } = await this.options.database.query<{ dropped: number }>(
      'select keelson.drop_dedupe_partitions($1) as dropped',
      [WINDOW_US],
    );
    return rows[0]!.dropped;
  }

  async openLane(log: Log): Promise<Lane> {
    const { url, connectTimeoutMs, lockTimeoutMs, idleInTransactionTimeoutMs } = this.options.lanes;
    const client = new pg.Client({
      connectionString: url,
      application_name: laneName(log),
      connectionTimeoutMillis: connectTimeoutMs,
      lock_timeout: lockTimeoutMs,
      idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
      keepAlive: true,
      types: databaseTypes,
    });
    const lane = new PostgresLane(client);
    await client.connect().catch((error: unknown) => {
      lane.close();
      throw databaseError(error);
    });
    return lane;
  }

  async endOtherLanes(log: Log): Promise<void> {
    await this.options.database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = $1 and datname = current_database() and usename = current_user`,
      [laneName(log)],
    );
  }

  async newestPublication(log: Log): Promise<Publication | undefined> {
    const { rows } = await this.options.database.query<{ size: bigint; root: Buffer; prev_size: bigint; note: string }>(
      'select size, root, prev_size, note from keelson.publication where log = $1 order by size desc limit 1',
      [log.id],
    );
    return rows[0] && { size: rows[0].size, root: rows[0].root, prevSize: rows[0].prev_size, note: rows[0].note };
  }

  async publish(log: Log, { size, root, prevSize, note }: Publication): Promise<boolean> {
    try {
      await this.options.database.pool.query(
        'insert into keelson.publication (log, size, root, prev_size, note) values ($1, $2, $3, $4, $5)',
        [log.id, size, Buffer.from(root), prevSize, note],
      );
      return true;
    } catch (error) {
      // Another publisher's note is there, or the checkpoint is not: neither may be shown.
      const { code } = error as { code?: string };
      if (code === '23505' || code === '23503') return false;
      throw databaseError(error);
    }
  }

  async rootAt(log: Log, size: bigint): Promise<Uint8Array> {
    const { hasher, database } = this.options;
    return readRoot(hasher, size, new StoredTiles(database.pool, hasher, log));
  }
}

const laneName = (log: Log): string => `keelson-sequencer ${formatPartition(log.at)}`;
