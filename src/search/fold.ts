/** Folding entries into rows of the open part. */
import type { PoolClient } from 'pg';
import { splitPage } from '../ledger/page.js';
import type { Fold, FoldBatch } from '../ledger/projection.js';
import { addAliases } from './aliases.js';
import { copyIn } from './copy.js';
import { readEntry } from './entry-facts.js';
import type { FactsReader } from './facts-reader.js';
import type { Row } from './facts.js';
import type { Housekeeper } from './housekeeping.js';
import type { Dictionary } from './names.js';
import { encodeRows } from './rows.js';
import { openPart, PART_COLUMNS, partTable } from './tables.js';

/** The part that rows go into, and what its summary will say. */
export interface OpenPart {
  id: number;
  rows: number;
  /** Name → rows that hold it. Counted here, because counting them later costs Postgres as much as indexing them. */
  holdings: Map<number, number>;
}

/** The open part as the database holds it. */
export async function readOpenPart(tx: PoolClient, schema: string): Promise<OpenPart> {
  const { rows } = await tx.query<{ id: number }>(`select id from ${schema}.part where state = 'open'`);
  if (rows.length !== 1) throw new Error('the search projection has no open part');
  const { id } = rows[0]!;
  const part = partTable(schema, id);
  const counted = await tx.query<{ count: bigint }>(`select count(*) from ${part}`);
  const held = await tx.query<{ name: number; count: bigint }>(
    `select name, count(*) from ${part}, unnest(keys) as name group by name`,
  );
  const holdings = new Map(held.rows.map(({ name, count }) => [name, Number(count)]));
  return { id, rows: Number(counted.rows[0]!.count), holdings };
}

export interface FoldLimits {
  /** Rows at which a part is full. */
  readonly partRows: number;
  /** Rows at which it is full while only little comes in: there is time to index small parts, and a small open part is searched fast. */
  readonly smallRows: number;
}

export class SearchFold implements Fold {
  #filled = 0;

  constructor(
    private readonly schema: string,
    private readonly open: OpenPart,
    private readonly dictionary: Dictionary,
    private readonly reader: FactsReader,
    private readonly limits: FoldLimits,
    private readonly housekeeper?: Housekeeper,
  ) {}

  async fold(tx: PoolClient, batch: FoldBatch): Promise<void> {
    const rows: Row[] = [];
    let index = batch.from;
    for (const page of batch.pages) {
      for (const entry of splitPage(page)) rows.push(readEntry(batch.log.id, index++, entry, this.reader));
    }
    await this.append(tx, rows);
  }

  /** Writes rows into the open part; where one is full, opens the next. */
  async append(tx: PoolClient, rows: readonly Row[]): Promise<void> {
    await this.housekeeper?.room();
    const { bytes, ends, keys } = await encodeRows(tx, this.dictionary, rows);
    await addAliases(tx, this.schema, rows);
    const full = rows.length * 4 < this.limits.smallRows ? this.limits.smallRows : this.limits.partRows;
    for (let from = 0; from < rows.length;) {
      const count = Math.min(rows.length - from, Math.max(this.limits.partRows - this.open.rows, 1));
      const slice = bytes.subarray(from === 0 ? 0 : ends[from - 1]!, ends[from + count - 1]);
      await copyIn(tx, `${partTable(this.schema, this.open.id)} (${PART_COLUMNS})`, slice);
      this.#count(keys, from, from + count);
      from += count;
      if (this.open.rows >= full) await this.#turn(tx);
    }
  }

  committed(): void {
    if (this.#filled > 0) this.housekeeper?.filled(this.#filled);
    this.#filled = 0;
  }

  async idle(): Promise<void> {
    this.housekeeper?.quiet();
  }

  async close(): Promise<void> {
    await this.housekeeper?.close();
  }

  #count(keys: readonly (readonly number[])[], from: number, to: number): void {
    const { holdings } = this.open;
    for (let i = from; i < to; i++) for (const key of keys[i]!) holdings.set(key, (holdings.get(key) ?? 0) + 1);
    this.open.rows += to - from;
  }

  async #turn(tx: PoolClient): Promise<void> {
    const { holdings } = this.open;
    await tx.query(
      `insert into ${this.schema}.holding (name, part, rows) select name, $1, rows from unnest($2::int[], $3::int[]) as held (name, rows)`,
      [this.open.id, [...holdings.keys()], [...holdings.values()]],
    );
    await tx.query(`update ${this.schema}.part set state = 'full', rows = $2 where id = $1`, [
      this.open.id,
      this.open.rows,
    ]);
    this.open.id = await openPart(tx, this.schema);
    this.open.rows = 0;
    this.open.holdings = new Map();
    this.#filled++;
  }
}
