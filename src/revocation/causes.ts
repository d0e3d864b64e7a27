/** Reading causes and their orders, as the projection has them. */
import type { PoolClient } from 'pg';
import type { Database } from '../platform/database.js';
import { readPositions } from '../ledger/projection-runner.js';
import type { Cause } from './cause.js';
import { LIFECYCLE } from './lifecycle.js';

/** A cause as it is kept: without the members that have columns of their own. */
type Doc = Omit<Cause, 'order' | 'index' | 'state' | 'kind' | 'producer' | 'dueUs' | 'subjects'>;

interface Row {
  readonly order_name: string;
  readonly index: bigint;
  readonly state: Cause['state'];
  readonly kind: Cause['kind'];
  readonly producer: string;
  readonly due_us: bigint;
  readonly subjects: string[];
  readonly doc: Doc;
}

const COLUMNS = 'order_name, index, state, kind, producer, due_us, subjects, doc';

export interface KeyCount {
  readonly type: string;
  readonly change: 'block' | 'cutoff';
  readonly count: number;
}

export interface CauseFilter {
  readonly state?: string;
  readonly producer?: string;
  /** A pseudonym in hex. */
  readonly subject?: string;
}

export interface OverdueCause {
  readonly order: string;
  readonly producer: string;
  readonly kind: Cause['kind'];
  readonly state: Cause['state'];
  /** Since when something should have happened to it. */
  readonly dueUs: bigint;
}

export interface CausePage {
  readonly causes: readonly Cause[];
  readonly asOf: ReadonlyMap<string, bigint>;
}

export class Causes {
  constructor(private readonly database: Database) {}

  /** Newest first, those below `beforeIndex`. */
  async list(
    { state, producer, subject }: CauseFilter,
    beforeIndex: bigint | undefined,
    limit: number,
  ): Promise<CausePage> {
    return this.#read(async (tx) => {
      const { rows } = await tx.query<Row>(
        `select ${COLUMNS} from keelson.revocation_cause
         where ($1::text is null or state = $1) and ($2::text is null or producer = $2)
           and ($3::text is null or subjects @> array[$3]) and ($4::bigint is null or index < $4)
         order by index desc limit $5`,
        [state ?? null, producer ?? null, subject ?? null, beforeIndex ?? null, limit],
      );
      return { causes: rows.map(readRow), asOf: await readPositions(tx, 'revocation') };
    });
  }

  /** What is held of a source, in the order in which it came. */
  async held(
    { producer, sinceUs, untilUs, after }: { producer?: string; sinceUs?: bigint; untilUs?: bigint; after?: bigint },
    limit: number,
  ): Promise<Cause[]> {
    const { rows } = await this.database.query<Row>(
      `select ${COLUMNS} from keelson.revocation_cause
       where state = 'held' and ($1::text is null or producer = $1) and index >= $2
         and ($3::bigint is null or (doc->>'committedUs')::bigint >= $3)
         and ($4::bigint is null or (doc->>'committedUs')::bigint < $4)
       order by index limit $5`,
      [producer ?? null, after ?? 0n, sinceUs ?? null, untilUs ?? null, limit],
    );
    return rows.map(readRow);
  }

  /** Those that these names mean: of orders, or of events where that is one alone. In the order in which they came. */
  async findMany(names: readonly string[]): Promise<Cause[]> {
    const { rows } = await this.database.query<Row & { meant: bigint }>(
      `select ${COLUMNS}, count(*) over (partition by doc->>'id') as meant from keelson.revocation_cause
       where order_name = any($1) or doc->>'id' = any($1) order by index`,
      [names],
    );
    const asked = new Set(names);
    return rows.filter(({ order_name, meant }) => asked.has(order_name) || meant === 1n).map(readRow);
  }

  /** One by the name of its order, or by the id of its event where that is one alone; with the keys that it holds. */
  async find(name: string): Promise<{ cause: Cause; keys: readonly KeyCount[] } | undefined> {
    return this.#read(async (tx) => {
      const { rows } = await tx.query<Row>(
        `select ${COLUMNS} from keelson.revocation_cause where order_name = $1
         union all select ${COLUMNS} from keelson.revocation_cause where doc->>'id' = $1 and order_name <> $1 limit 2`,
        [name],
      );
      const row = rows.find(({ order_name }) => order_name === name) ?? (rows.length === 1 ? rows[0] : undefined);
      if (row === undefined) return undefined;
      const keys = await tx.query<{ type: string; change: 'block' | 'cutoff'; count: bigint }>(
        `select type, change, count(*) from keelson.revocation_key where order_name = $1 group by type, change order by type, change`,
        [row.order_name],
      );
      return { cause: readRow(row), keys: keys.rows.map((one) => ({ ...one, count: Number(one.count) })) };
    });
  }

  /** How many entries of lifecycle are folded. */
  async size(): Promise<bigint> {
    return (await readPositions(this.database.pool, 'revocation')).get(LIFECYCLE) ?? 0n;
  }

  /** Causes that something should have happened to before `beforeUs`; and how many. */
  async overdue(beforeUs: bigint): Promise<{ count: number; oldestUs: bigint | null; order: string | null }> {
    const { rows } = await this.database.query<{ count: bigint; oldest: bigint | null; order_name: string | null }>(
      `select count(*), min(due_us) as oldest, (array_agg(order_name order by due_us))[1] as order_name
       from keelson.revocation_cause where state in ('pending', 'scheduled', 'held') and due_us < $1`,
      [beforeUs],
    );
    const row = rows[0]!;
    return { count: Number(row.count), oldestUs: row.oldest, order: row.order_name };
  }

  /** Those causes, `limit` at most, the longest overdue first. */
  async overdueCauses(beforeUs: bigint, limit: number): Promise<OverdueCause[]> {
    const { rows } = await this.database.query<OverdueCause>(
      `select order_name as "order", producer, kind, state, due_us as "dueUs" from keelson.revocation_cause
       where state in ('pending', 'scheduled', 'held') and due_us < $1 order by due_us, order_name limit $2`,
      [beforeUs, limit],
    );
    return rows;
  }

  #read<T>(work: (tx: PoolClient) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await tx.query('set transaction isolation level repeatable read, read only');
      return work(tx);
    });
  }
}

const readRow = ({ order_name, index, due_us, doc, ...row }: Row): Cause => ({
  ...doc,
  ...row,
  order: order_name,
  index: Number(index),
  dueUs: Number(due_us),
});
