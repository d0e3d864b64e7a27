/** The SQL of the queue. Times are microseconds since 1970 UTC; claims are on the database's clock. */
import type { Database } from '../platform/database.js';
import type { Endpoint } from './endpoints.js';

/** A message on its way to one endpoint. */
export interface Waiting {
  readonly id: string;
  readonly body: string;
  /** This one included. */
  readonly attempts: number;
  readonly madeAtUs: bigint;
}

export interface EndpointRow {
  readonly id: string;
  readonly disabledAtUs: bigint | null;
  readonly pausedUntilUs: bigint;
  readonly failures: bigint;
  readonly lastAttemptAtUs: bigint | null;
  readonly lastSuccessAtUs: bigint | null;
  readonly lastOutcome: string | null;
  readonly waiting: bigint;
  readonly oldestAtUs: bigint | null;
  readonly failed: bigint;
}

/** What an attempt did to its message and its endpoint. */
export interface Attempted {
  readonly state: 'waiting' | 'delivered' | 'failed';
  readonly outcome: string;
  readonly atUs: bigint;
  /** When the message is tried again. */
  readonly nextAtUs: bigint;
  /** When the endpoint is sent anything again. */
  readonly pausedUntilUs: bigint;
  readonly disable: boolean;
}

export class Queue {
  constructor(private readonly database: Database) {}

  /** Makes an endpoint known. One with a new address begins anew: enabled, and not paused. */
  async register({ id, address }: Endpoint): Promise<void> {
    await this.database.query(
      `insert into keelson.webhook_endpoint as e (id, address) values ($1, $2)
       on conflict (id) do update
         set address = excluded.address, disabled_at_us = null, paused_until_us = 0, failures = 0
         where e.address <> excluded.address`,
      [id, address],
    );
  }

  /**
   * Queues a message for endpoints; for those that had it already, nothing happens.
   * @returns the endpoints whose queue is full
   */
  async put(
    endpoints: readonly string[],
    message: { readonly id: string; readonly type: string; readonly body: string; readonly atUs: bigint },
    queueMax: number,
  ): Promise<string[]> {
    const { rows } = await this.database.query<{ id: string }>(
      `with known as (
         select e.id, (select count(*) from (select from keelson.webhook_message m
             where m.endpoint = e.id and m.state = 'waiting' limit $6) as w) as waiting,
           exists (select from keelson.webhook_message m where m.endpoint = e.id and m.id = $2) as had
         from unnest($1::text[]) as e (id)),
       made as (
         insert into keelson.webhook_message (endpoint, id, type, body, made_at_us, next_at_us)
         select id, $2, $3, $4, $5, $5 from known where not had and waiting < $6 on conflict do nothing)
       select id from known where not had and waiting >= $6`,
      [endpoints, message.id, message.type, message.body, message.atUs, queueMax],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Takes, or keeps, the right to send to an endpoint, and with it the message whose turn it is. Should this process die now, the message
   * is tried again at `againAtUs`, by whoever claims the endpoint then.
   */
  async claim(
    endpoint: string,
    by: string,
    claimMs: number,
    nowUs: bigint,
    againAtUs: bigint,
  ): Promise<Waiting | undefined> {
    const { rows } = await this.database.query<{ id: string; body: string; attempts: bigint; made_at_us: bigint }>(
      `with mine as (
         update keelson.webhook_endpoint set claimed_by = $2, claimed_until = clock_timestamp() + make_interval(secs => $3)
         where id = $1 and disabled_at_us is null and paused_until_us <= $4
           and (claimed_by = $2 or claimed_until < clock_timestamp())
           and exists (select from keelson.webhook_message where endpoint = $1 and state = 'waiting' and next_at_us <= $4)
         returning id)
       update keelson.webhook_message m set attempts = m.attempts + 1, next_at_us = $5
       from (select w.endpoint, w.id from keelson.webhook_message w join mine on w.endpoint = mine.id
             where w.state = 'waiting' and w.next_at_us <= $4 order by w.next_at_us, w.id limit 1) as next
       where m.endpoint = next.endpoint and m.id = next.id returning m.id, m.body, m.attempts, m.made_at_us`,
      [endpoint, by, claimMs / 1000, nowUs, againAtUs],
    );
    const row = rows[0];
    return row && { id: row.id, body: row.body, attempts: Number(row.attempts), madeAtUs: row.made_at_us };
  }

  /** Writes down what became of an attempt. One that another process has ended meanwhile stays as it is. */
  async settle(endpoint: string, id: string, done: Attempted): Promise<void> {
    await this.database.query(
      `with message as (
         update keelson.webhook_message set state = $3, next_at_us = $4, ended_at_us = case when $3 = 'waiting' then null else $5::bigint end
         where endpoint = $1 and id = $2 and state = 'waiting')
       update keelson.webhook_endpoint set
         last_attempt_at_us = greatest(last_attempt_at_us, $5), last_outcome = $6,
         last_success_at_us = case when $3 = 'delivered' then greatest(last_success_at_us, $5) else last_success_at_us end,
         failures = case when $3 = 'delivered' then 0 else failures + 1 end,
         paused_until_us = $7, disabled_at_us = case when $8 then coalesce(disabled_at_us, $5) else disabled_at_us end
       where id = $1`,
      [endpoint, id, done.state, done.nextAtUs, done.atUs, done.outcome, done.pausedUntilUs, done.disable],
    );
  }

  /** Gives the right to send back. */
  async release(by: string): Promise<void> {
    await this.database.query(`update keelson.webhook_endpoint set claimed_until = '-infinity' where claimed_by = $1`, [
      by,
    ]);
  }

  /** Lets an endpoint be sent to again, from now. False where there is none. */
  async enable(endpoint: string): Promise<boolean> {
    const { rowCount } = await this.database.query(
      'update keelson.webhook_endpoint set disabled_at_us = null, paused_until_us = 0, failures = 0 where id = $1',
      [endpoint],
    );
    return rowCount === 1;
  }

  async list(): Promise<EndpointRow[]> {
    const { rows } = await this.database.query<EndpointRow>(
      `select e.id, disabled_at_us as "disabledAtUs", paused_until_us as "pausedUntilUs", failures,
         last_attempt_at_us as "lastAttemptAtUs", last_success_at_us as "lastSuccessAtUs", last_outcome as "lastOutcome",
         m.waiting, m.oldest as "oldestAtUs", m.failed
       from keelson.webhook_endpoint e cross join lateral (
         select count(*) filter (where state = 'waiting') as waiting, count(*) filter (where state = 'failed') as failed,
           min(made_at_us) filter (where state = 'waiting') as oldest
         from keelson.webhook_message where endpoint = e.id) as m order by e.id`,
    );
    return rows;
  }

  /** Gives up what nobody delivered in time, however that came, and forgets what ended before `forgetUs`. Answers how many were given up. */
  async tidy(nowUs: bigint, tooOldUs: bigint, forgetUs: bigint): Promise<number> {
    await this.database.query(`delete from keelson.webhook_message where state <> 'waiting' and ended_at_us < $1`, [
      forgetUs,
    ]);
    const { rowCount } = await this.database.query(
      `update keelson.webhook_message set state = 'failed', ended_at_us = $1 where state = 'waiting' and made_at_us < $2`,
      [nowUs, tooOldUs],
    );
    return rowCount ?? 0;
  }
}
