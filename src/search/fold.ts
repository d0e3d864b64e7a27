/** Folding entries into rows of the open part. */
import type { PoolClient } from 'pg';
import { walkPage } from '../ledger/page.js';
import type { Fold, FoldBatch } from '../ledger/projection.js';
import { addAliases } from './aliases.js';
import { copyIn } from '../platform/copy.js';
import { TIME_AT, type EntryReader } from './entry-reader.js';
import type { Housekeeper } from './housekeeping.js';
import type { Dictionary } from './names.js';
import { RowBatch } from './rows.js';
import { openPart, PART_COLUMNS, partTable } from './tables.js';
import { Tally } from './tally.js';
import { ThingKeys } from './thing-keys.js';

/** The part that rows go into, and what its summary will say. */
export interface OpenPart {
  id: number;
  rows: number;
  /** Rows that hold each name. Counted here, because counting them later costs Postgres as much as indexing them. */
  holdings: Tally;
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
  const holdings = new Tally();
  for (const { name, count } of held.rows) holdings.add(name, Number(count));
  return { id, rows: Number(counted.rows[0]!.count), holdings };
}

export interface FoldLimits {
  /** Rows at which a part is full. */
  readonly partRows: number;
  /** Rows at which it is full while only little comes in: there is time to index small parts, and a small open part is searched fast. */
  readonly smallRows: number;
}

export class SearchFold implements Fold {
  readonly #rows: RowBatch;
  #filled = 0;

  constructor(
    private readonly schema: string,
    private readonly open: OpenPart,
    dictionary: Dictionary,
    private readonly reader: EntryReader,
    private readonly limits: FoldLimits,
    private readonly housekeeper?: Housekeeper,
  ) {
    this.#rows = new RowBatch(dictionary, new ThingKeys());
  }

  async fold(tx: PoolClient, batch: FoldBatch): Promise<void> {
    const rows = this.begin();
    const log = batch.log.id;
    let index = Number(batch.from);
    for (const page of batch.pages) {
      const { buffer, byteOffset, length } = page.entries;
      const bytes = Buffer.from(buffer, byteOffset, length);
      walkPage(page, (start, end) => {
        const linked = this.reader.read(bytes, start, end);
        if (linked !== undefined) rows.link(linked);
        rows.add(log, index++, bytes, start + TIME_AT, this.reader.facts);
      });
    }
    await this.append(tx, rows);
  }

  /** Rows to be filled and appended; those before have been. */
  begin(): RowBatch {
    this.#rows.clear();
    return this.#rows;
  }

  /** Writes rows into the open part; where one is full, opens the next. */
  async append(tx: PoolClient, rows: RowBatch): Promise<void> {
    await this.housekeeper?.room();
    await rows.finish(tx);
    await addAliases(tx, this.schema, rows.linked);
    const full = rows.count * 4 < this.limits.smallRows ? this.limits.smallRows : this.limits.partRows;
    for (let from = 0; from < rows.count;) {
      const to = Math.min(rows.count, from + Math.max(this.limits.partRows - this.open.rows, 1));
      await copyIn(tx, `${partTable(this.schema, this.open.id)} (${PART_COLUMNS})`, rows.slice(from, to));
      rows.tally(from, to, this.open.holdings);
      this.open.rows += to - from;
      from = to;
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

  async #turn(tx: PoolClient): Promise<void> {
    const { ids, counts } = this.open.holdings.entries();
    await tx.query(
      `insert into ${this.schema}.holding (name, part, rows) select name, $1, rows from unnest($2::int[], $3::int[]) as held (name, rows)`,
      [this.open.id, ids, counts],
    );
    await tx.query(`update ${this.schema}.part set state = 'full', rows = $2 where id = $1`, [
      this.open.id,
      this.open.rows,
    ]);
    this.open.id = await openPart(tx, this.schema);
    this.open.rows = 0;
    this.open.holdings = new Tally();
    this.#filled++;
  }
}
