/** What the feed reads of revocation's tables. Only what is committed counts, and all of it comes from the database that takes writes. */
import { equalBytes, formatHex } from '../core/bytes.js';
import { KeelsonError } from '../core/error.js';
import type { Database } from '../platform/database.js';
import type { Hasher } from '../core/hasher.js';
import { FACT_BYTES, parseFact, type Fact } from '../protocol/fact.js';
import { FactTable } from '../protocol/fact-table.js';
import { noteLeases } from './leases.js';

const LIFECYCLE = 'lifecycle/0/g1';
const PROJECTION = 'revocation';

export interface Loaded {
  readonly table: FactTable;
  /** The changes that led to it, the last ones, 25 bytes each. */
  readonly recent: Uint8Array;
}

interface FactColumns {
  readonly key: Buffer;
  readonly blocked: boolean;
  readonly cutoff_us: bigint | null;
  readonly staleness_us: bigint | null;
  readonly [column: string]: unknown;
}

export class FeedStore {
  constructor(
    private readonly database: Database,
    private readonly hasher: Hasher,
  ) {}

  /**
   * The table as it is folded.
   * @param keep how many changes to bring with it
   * @throws KeelsonError `tampered`: the facts are not those of the head
   */
  async load(keep: number): Promise<Loaded> {
    return this.database.transaction(async (tx) => {
      await tx.query('set transaction isolation level repeatable read, read only');
      const { rows: heads } = await tx.query<{ seq: bigint; chain_hash: Buffer; state_hash: Buffer }>(
        'select seq, chain_hash, state_hash from keelson.revocation_head',
      );
      const head = heads[0];
      if (head === undefined) return { table: new FactTable(this.hasher), recent: new Uint8Array(0) };
      const { rows } = await tx.query<FactColumns>(
        'select key, blocked, cutoff_us, staleness_us from keelson.revocation_fact',
      );
      const facts = rows.map(({ key, blocked, cutoff_us, staleness_us }): Fact => ({
        key,
        blocked,
        cutoffUs: cutoff_us === null ? undefined : Number(cutoff_us),
        ...(staleness_us === null ? {} : { stalenessUs: Number(staleness_us) }),
      }));
      const { rows: changes } = await tx.query<{ fact: Buffer }>(
        'select fact from (select seq, fact from keelson.revocation_change order by seq desc limit $1) last order by seq',
        [keep],
      );
      const from = { seq: Number(head.seq), chainHash: head.chain_hash };
      const table = FactTable.restore(this.hasher, from, facts, facts.length);
      if (!equalBytes(table.head().stateHash, head.state_hash)) {
        throw new KeelsonError('tampered', `the facts at ${head.seq} are not those that were folded`);
      }
      return {
        table,
        recent: Buffer.concat(changes.map(({ fact }) => fact)),
      };
    });
  }

  /** What follows on a seq, in order, at most `limit` changes: 25 bytes each. */
  async changesSince(seq: number, limit: number): Promise<Uint8Array> {
    const { rows } = await this.database.query<{ fact: Buffer }>(
      'select fact from keelson.revocation_change where seq > $1 order by seq limit $2',
      [seq, limit],
    );
    return Buffer.concat(rows.map(({ fact }) => fact));
  }

  /**
   * How many entries of lifecycle are committed, by a transaction that also writes: a replica, or a primary that was cut off and must wait
   * for its replicas, does not answer. Before it answers it is noted that these instances (32 hex digits) may get a lease by it.
   * @throws KeelsonError `database_unavailable`
   */
  async readSize(process: string, asked: readonly string[] = []): Promise<bigint> {
    return this.database.transaction(async (tx) => {
      await noteLeases(tx, asked);
      await tx.query(
        `insert into keelson.feed_read (process, read_at) values ($1, clock_timestamp())
         on conflict (process) do update set read_at = excluded.read_at`,
        [process],
      );
      const { rows } = await tx.query<{ size: bigint }>(
        'select h.size from keelson.head h join keelson.log l on l.id = h.log where l.path = $1',
        [LIFECYCLE],
      );
      return rows[0]?.size ?? 0n;
    });
  }

  /** How many entries the tables are folded to, and the head then: of one moment. */
  async folded(): Promise<{ readonly size: bigint; readonly seq: number; readonly chainHash: Uint8Array }> {
    const { rows } = await this.database.query<{ size: bigint | null; seq: bigint | null; chain_hash: Buffer | null }>(
      `select (select p.next_index from keelson.projection_position p join keelson.log l on l.id = p.log
         where p.projection = $1 and l.path = $2) as size, h.seq, h.chain_hash
       from (select 1) one left join keelson.revocation_head h on true`,
      [PROJECTION, LIFECYCLE],
    );
    const { size, seq, chain_hash } = rows[0]!;
    return { size: size ?? 0n, seq: Number(seq ?? 0n), chainHash: chain_hash ?? new Uint8Array(32) };
  }

  /** The orders that hold each of these keys (32 hex digits) as it is folded, the oldest cause first. */
  async ordersOf(keys: readonly string[]): Promise<Map<string, string[]>> {
    const { rows } = await this.database.query<{ key: Buffer; orders: string[] }>(
      `select k.key, array_agg(k.order_name order by c.index) as orders
       from keelson.revocation_key k join keelson.revocation_cause c using (order_name)
       where k.key = any($1) group by k.key`,
      [keys.map((key) => Buffer.from(key, 'hex'))],
    );
    return new Map(rows.map(({ key, orders }) => [formatHex(key), orders]));
  }

  /** Forgets a process that reads no more. */
  async forget(process: string): Promise<void> {
    await this.database.query('delete from keelson.feed_read where process = $1', [process]);
  }
}

/** Applies changes to a table; false where one of them is none: the tables are not what they were. */
export function applyChanges(table: FactTable, changes: Uint8Array): boolean {
  for (let at = 0; at < changes.length; at += FACT_BYTES) {
    const fact = parseFact(changes, at);
    if (fact === undefined || table.putFact(fact) === undefined) return false;
  }
  return true;
}
