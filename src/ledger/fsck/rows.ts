import type { Log } from '../log.js';
import type { Snapshot } from './options.js';

const ROWS_READ = 1000;

/** The rows of one log, in order of a bigint column, read in pieces; one of them at a time stands ready. */
export class Rows<Row> {
  #rows: Row[] = [];
  #after = -1n;
  #ended = false;

  /** @param select `select … from …`, to which the condition is added. */
  constructor(
    private readonly snapshot: Snapshot,
    private readonly log: Log,
    private readonly column: keyof Row & string,
    private readonly select: string,
  ) {}

  /** The next row, which stays the next one. Undefined behind the last. */
  async peek(): Promise<Row | undefined> {
    if (this.#rows.length === 0 && !this.#ended) {
      const { rows } = await this.snapshot.query<Row & Record<string, unknown>>(
        `${this.select} where log = $1 and ${this.column} > $2 order by ${this.column} limit ${ROWS_READ}`,
        [this.log.id, this.#after],
      );
      this.#rows = rows;
      this.#ended = rows.length < ROWS_READ;
      this.#after = (rows.at(-1)?.[this.column] as bigint | undefined) ?? this.#after;
    }
    return this.#rows[0];
  }

  async next(): Promise<Row | undefined> {
    const row = await this.peek();
    this.#rows.shift();
    return row;
  }
}
