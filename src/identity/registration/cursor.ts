/** How far registrations are judged, kept in Postgres, by one process at a time. */
import { randomUUID } from 'node:crypto';
import type { Database } from '../../platform/database.js';

const UNSEEN_S = 5;

/** That two hold it for a moment does no harm: they say the same under the same id. */
export class Cursor {
  readonly #holder = randomUUID();

  constructor(private readonly database: Database) {}

  /**
   * Takes it, or shows that it is still held. Answers where to go on; undefined while another process holds it.
   * @param next how far this process has come
   */
  async take(next: bigint): Promise<bigint | undefined> {
    const { rows } = await this.database.query<{ next_index: bigint }>(
      `insert into keelson.registration_cursor as c (next_index, holder, seen_at) values (0, $1, clock_timestamp())
       on conflict (only_one) do update set
         holder = excluded.holder, seen_at = excluded.seen_at,
         next_index = case when c.holder = excluded.holder then greatest(c.next_index, $2) else c.next_index end
         where c.holder is null or c.holder = excluded.holder
           or c.seen_at < clock_timestamp() - make_interval(secs => $3)
       returning next_index`,
      [this.#holder, next, UNSEEN_S],
    );
    return rows[0]?.next_index;
  }

  /** Leaves it to others at once. */
  async release(next: bigint): Promise<void> {
    await this.database.query(
      `update keelson.registration_cursor set holder = null, next_index = greatest(next_index, $2) where holder = $1`,
      [this.#holder, next],
    );
  }
}
