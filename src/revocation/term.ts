/**
 * Who may decide: a row in Postgres, on the database's clock. A term is taken once and kept by being seen; a holder that is unseen for 5 s
 * has lost it, whether it knows or not. What it still writes carries its term, and counts for nothing once the next one is in the ledger.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from '../platform/database.js';

const UNSEEN_S = 5;
/** How long a process that knows less leaves it to those who know more. */
const RELUCTANT_S = 15;

export class Terms {
  readonly holder = randomUUID();

  constructor(private readonly database: Database) {}

  /**
   * Takes the next term, if nobody holds one; undefined where somebody does.
   * @param greatest the greatest term in the ledger: a database that was set back must not hand it out again.
   * @param reluctant whether others can decide better: they go first.
   */
  async take(greatest: bigint, reluctant: boolean): Promise<bigint | undefined> {
    const { rows } = await this.database.query<{ term: bigint }>(
      `insert into keelson.revocation_term as t (term, holder, seen_at) values ($2::bigint + 1, $1, clock_timestamp())
       on conflict (only_one) do update
         set term = greatest(t.term, $2::bigint) + 1, holder = excluded.holder, seen_at = excluded.seen_at
         where (t.holder is null and not $3) or t.seen_at < clock_timestamp() - make_interval(secs => $4)
       returning term`,
      [this.holder, greatest, reluctant, reluctant ? RELUCTANT_S : UNSEEN_S],
    );
    return rows[0]?.term;
  }

  /** Shows that this process still holds a term; false where it does not. */
  async keep(term: bigint): Promise<boolean> {
    const { rowCount } = await this.database.query(
      'update keelson.revocation_term set seen_at = clock_timestamp() where term = $1 and holder = $2',
      [term, this.holder],
    );
    return rowCount === 1;
  }

  /** Leaves it to others at once. */
  async release(term: bigint): Promise<void> {
    await this.database.query('update keelson.revocation_term set holder = null where term = $1 and holder = $2', [
      term,
      this.holder,
    ]);
  }
}
