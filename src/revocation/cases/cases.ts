/** Reading cases: orders, who enforces them, and how they ended. */
import type { Database } from '../../platform/database.js';
import type { Incomplete } from '../cause.js';
import type { CaseInstance, OpenCase } from './step.js';

export interface CaseRow extends OpenCase {
  readonly complete: boolean;
  readonly closed:
    { readonly result: string; readonly log: string; readonly index: bigint; readonly doc: unknown } | undefined;
}

interface Row {
  readonly order_name: string;
  readonly doc: {
    readonly seq: number;
    readonly lastPartUs: number;
    readonly complete: boolean;
    readonly incomplete: readonly Incomplete[];
  };
  readonly index: bigint;
  readonly result: string | null;
  readonly log: string | null;
  readonly closed_index: bigint | null;
  readonly closed_doc: unknown;
  readonly [column: string]: unknown;
}

/** Orders in force or lifted, with the case of their last part. */
const SELECT = `select c.order_name, c.doc, c.index, k.result, k.log, k.index as closed_index, k.doc as closed_doc
  from keelson.revocation_cause c
  left join keelson.case_closed k on k.order_name = c.order_name and k.seq = (c.doc->>'seq')::bigint
  where c.doc ? 'seq'`;

export class Cases {
  constructor(private readonly database: Database) {}

  /** Cases that go on, oldest first. */
  async open(limit: number): Promise<CaseRow[]> {
    const { rows } = await this.database.query<Row>(
      `${SELECT} and k.result is null and (c.doc->>'complete')::boolean order by c.index limit $1`,
      [limit],
    );
    return rows.map(readRow);
  }

  /** Newest first, those below `beforeIndex`. */
  async list(beforeIndex: bigint | undefined, limit: number): Promise<(CaseRow & { readonly index: bigint })[]> {
    const { rows } = await this.database.query<Row>(
      `${SELECT} and ($1::bigint is null or c.index < $1) order by c.index desc limit $2`,
      [beforeIndex ?? null, limit],
    );
    return rows.map((row) => ({ ...readRow(row), index: row.index }));
  }

  async find(order: string): Promise<CaseRow | undefined> {
    const { rows } = await this.database.query<Row>(`${SELECT} and c.order_name = $1`, [order]);
    return rows[0] && readRow(rows[0]);
  }

  /** Every instance that ever joined, and what it attested last. */
  async instances(): Promise<CaseInstance[]> {
    const { rows } = await this.database.query<{
      instance: string;
      point: string;
      retired: boolean;
      seq: bigint | null;
      log: string | null;
      index: bigint | null;
    }>(
      `select i.instance, i.point, i.retired, a.seq, a.log, a.index
       from keelson.case_instance i left join keelson.case_ack a using (instance) order by i.instance`,
    );
    return rows.map(({ instance, point, retired, seq, log, index }) => ({
      instance,
      point,
      retired,
      ack: seq === null ? undefined : { seq: Number(seq), log: log!, index: index! },
    }));
  }
}

function readRow({ order_name, doc, result, log, closed_index, closed_doc }: Row): CaseRow {
  return {
    order: order_name,
    seq: doc.seq,
    orderedUs: doc.lastPartUs,
    complete: doc.complete,
    incomplete: doc.incomplete,
    closed: result === null ? undefined : { result, log: log!, index: closed_index!, doc: closed_doc },
  };
}
