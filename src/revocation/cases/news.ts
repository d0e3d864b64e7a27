/** Orders, told to points that can only be signalled; and how cases end, told to whom webhooks go: at least once, whichever process wrote the entry, and never again after the tables are folded anew. */
import type { Clock } from '../../platform/clock.js';
import type { Database } from '../../platform/database.js';
import { LIFECYCLE } from '../names.js';
import type { Message, Webhooks } from '../../webhooks/webhooks.js';

export interface CaseNewsOptions {
  readonly database: Database;
  readonly webhooks: Pick<Webhooks, 'publish'>;
  readonly clock: Clock;
}

/** What is older is no news. */
const NEWS_US = 86_400_000_000n;
const AT_ONCE = 100;

interface Row {
  readonly what: string;
  readonly type: 'case.closed' | 'case.reopened' | 'revocation.ordered';
  readonly order_name: string;
  readonly log: string;
  readonly index: bigint;
  readonly appended_at_us: bigint;
  readonly doc: Readonly<Record<string, unknown>>;
  readonly [column: string]: unknown;
}

export class CaseNews {
  constructor(private readonly options: CaseNewsOptions) {}

  /** Orders that were not told yet to a point that can only be signalled. */
  async #signals(sinceUs: bigint): Promise<Row[]> {
    const { database } = this.options;
    const some = await database.query(
      'select from keelson.case_point where signalled_index is not null and signalled_until is null limit 1',
    );
    if (some.rowCount === 0) return [];
    const { rows } = await database.query<Row>(
      `select * from (
         select 'signalled/' || c.order_name || '/' || t.seq || '/' || p.point as what, 'revocation.ordered' as type, c.order_name,
           $2 as log, t.index, (c.doc->>'lastPartUs')::bigint as appended_at_us,
           jsonb_build_object('point', p.point, 'seq', t.seq, 'target', c.doc->'target') as doc
         from keelson.revocation_cause c join keelson.revocation_change t on t.seq = (c.doc->>'seq')::bigint
         join keelson.case_point p on p.signalled_index < t.index and p.signalled_until is null
         where c.state = 'ordered' and (c.doc->>'lastPartUs')::bigint > $1) news
       where not exists (select 1 from keelson.case_told told where told.what = news.what)
       order by appended_at_us limit ${AT_ONCE}`,
      [sinceUs, LIFECYCLE],
    );
    return rows;
  }

  /** Tells what was not told yet. @throws KeelsonError `database_unavailable`: the rest is told the next time */
  async tell(): Promise<void> {
    const { database, webhooks, clock } = this.options;
    const sinceUs = clock.nowUs() - NEWS_US;
    const { rows } = await database.query<Row>(
      `select * from (
         select 'closed/' || order_name || '/' || seq as what, 'case.closed' as type, order_name, log, index, appended_at_us, doc
         from keelson.case_closed where appended_at_us > $1
         union all
         select 'reopened/' || order_name || '/' || log || '/' || index, 'case.reopened', order_name, log, index, appended_at_us, doc
         from keelson.case_reopened where appended_at_us > $1) news
       where not exists (select 1 from keelson.case_told t where t.what = news.what)
       order by appended_at_us limit ${AT_ONCE}`,
      [sinceUs],
    );
    for (const row of [...(await this.#signals(sinceUs)), ...rows]) {
      await webhooks.publish(sayNews(row));
      await database.query('insert into keelson.case_told (what, told_at_us) values ($1, $2) on conflict do nothing', [
        row.what,
        clock.nowUs(),
      ]);
    }
    if (rows.length > 0)
      await database.query('delete from keelson.case_told where told_at_us < $1', [sinceUs - NEWS_US]);
  }
}

function sayNews({ what, type, order_name, log, index, appended_at_us, doc }: Row): Message {
  const { result, incomplete, points, decision, reason_code, point, seq, target } = doc as Record<
    string,
    Message['data'][string]
  >;
  const about: Record<Row['type'], Message['data']> = {
    'case.closed': { result: result ?? null, points: points ?? [], incomplete: incomplete ?? [] },
    'case.reopened': { result: 'incomplete', reason_code: reason_code ?? null, decision: decision ?? null },
    'revocation.ordered': { point: point ?? null, seq: seq ?? null, target: target ?? null },
  };
  return {
    type,
    timestampUs: appended_at_us,
    data: { order: order_name, ...about[type], entry: { log, index: Number(index) } },
    key: what,
  };
}
