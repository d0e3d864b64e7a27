/** How far registrations are judged, kept in Postgres, by one process at a time. */
import { randomUUID } from 'node:crypto';
import type { Database } from '../../platform/database.js';

const UNSEEN_S = 5;

/** How far registrations are judged. */
export interface Judged {
  /** Entries of lifecycle from here on were not looked at. */
  readonly next: bigint;
  /** Registrations before it that have no verdict yet, ascending. */
  readonly waiting: readonly bigint[];
}

/** That two hold it for a moment does no harm: they say the same under the same id. */
export class Cursor {
  readonly #holder = randomUUID();

  constructor(private readonly database: Database) {}

  /**
   * Takes it, or shows that it is still held. Answers where to go on; undefined while another process holds it.
   * @param judged how far this process has come; undefined: it has not begun.
   */
  async take(judged: Judged | undefined): Promise<Judged | undefined> {
    const { rows } = await this.database.query<{ next_index: bigint; waiting: string[] }>(
      `insert into keelson.registration_cursor as c (next_index, holder, seen_at) values (0, $1, clock_timestamp())
       on conflict (only_one) do update set
         holder = excluded.holder, seen_at = excluded.seen_at,
         next_index = case when c.holder = excluded.holder then coalesce($2, c.next_index) else c.next_index end,
         waiting = case when c.holder = excluded.holder then coalesce($3, c.waiting) else c.waiting end
         where c.holder is null or c.holder = excluded.holder
           or c.seen_at < clock_timestamp() - make_interval(secs => $4)
       returning next_index, waiting::text[]`,
      [this.#holder, judged?.next, judged?.waiting, UNSEEN_S],
    );
    return rows[0] && { next: rows[0].next_index, waiting: rows[0].waiting.map(BigInt) };
  }

  /** Leaves it to others at once. */
  async release({ next, waiting }: Judged): Promise<void> {
    await this.database.query(
      `update keelson.registration_cursor set holder = null, next_index = $2, waiting = $3 where holder = $1`,
      [this.#holder, next, waiting],
    );
  }
}
