/** Reading cases: orders, who enforces them, and how they ended. */
import type { Database } from '../../platform/database.js';
import type { Watched } from '../../protocol/certificate.js';
import type { KeyType } from '../../protocol/keys.js';
import type { Incomplete, OrderKeyType } from '../cause.js';
import { LIFECYCLE } from '../lifecycle.js';
import type { CaseInstance, Contradiction, OpenCase } from './standing.js';

export interface ClosedCase {
  readonly result: string;
  readonly log: string;
  readonly index: bigint;
  /** When the event log took its entry, microseconds since 1970. */
  readonly appendedUs: number;
  /** Its body. */
  readonly doc: unknown;
}

export interface CaseRow extends OpenCase {
  readonly complete: boolean;
  /** When the event log took its first part. */
  readonly firstPartUs: number;
  readonly parts: number;
  /** Whom it is about: pseudonyms in hex. */
  readonly subjects: readonly string[];
  readonly target: { readonly type: string; readonly issuer: string; readonly value: string } | undefined;
  readonly closed: ClosedCase | undefined;
  readonly contradictions: readonly CaseContradiction[];
  /** The entry that says that it goes on for long. */
  readonly late: { readonly log: string; readonly index: bigint; readonly appendedUs: number } | undefined;
}

export interface CaseContradiction extends Contradiction {
  /** When the event log took the entry that says so. */
  readonly appendedUs: number;
  /** Body of that entry. */
  readonly doc: unknown;
  /** That entry. */
  readonly saidIn: { readonly log: string; readonly index: bigint };
}

interface Row {
  readonly order_name: string;
  readonly doc: {
    readonly seq: number;
    readonly orderedUs?: number;
    readonly lastPartUs: number;
    readonly complete: boolean;
    readonly parts: number;
    readonly incomplete: readonly Incomplete[];
    readonly target?: CaseRow['target'];
  };
  readonly subjects: readonly string[];
  readonly index: bigint;
  readonly change_index: bigint | null;
  readonly key_types: readonly OrderKeyType[];
  readonly result: string | null;
  readonly log: string | null;
  readonly closed_index: bigint | null;
  readonly closed_us: bigint | null;
  readonly closed_doc: unknown;
  readonly reopened: readonly ReopenedRow[] | null;
  readonly signalled: readonly string[];
  readonly late_log: string | null;
  readonly late_index: bigint | null;
  readonly late_us: bigint | null;
  readonly [column: string]: unknown;
}

interface ReopenedRow {
  readonly log: string;
  readonly index: number;
  readonly at: number;
  readonly doc: {
    readonly decision?: {
      readonly log?: string;
      readonly index?: number;
      readonly point?: string;
      readonly instance?: string;
    };
  };
}

/** Contradictions that are told with a case; there may be more. */
const MAX_CONTRADICTIONS = 100;

/** Orders in force or lifted, with the case of their last part. */
const SELECT = `select c.order_name, c.doc, c.subjects, c.index, t.index as change_index, types.found as key_types,
    k.result, k.log, k.index as closed_index, k.appended_at_us as closed_us, k.doc as closed_doc, r.reopened, s.signalled,
    w.log as late_log, w.index as late_index, w.appended_at_us as late_us
  from keelson.revocation_cause c
  left join keelson.case_closed k on k.order_name = c.order_name and k.seq = (c.doc->>'seq')::bigint
  left join keelson.revocation_change t on t.seq = (c.doc->>'seq')::bigint
  left join keelson.case_late w on w.order_name = c.order_name and w.seq = (c.doc->>'seq')::bigint
  left join lateral (
    select array(select point from keelson.case_point
      where signalled_index < t.index and coalesce(signalled_until > t.index, true) order by point) as signalled
  ) s on true
  left join lateral (
    select array(select distinct type from keelson.revocation_key where order_name = c.order_name order by type) as found
  ) types on true
  left join lateral (
    select jsonb_agg(jsonb_build_object('log', log, 'index', index, 'at', appended_at_us, 'doc', doc) order by log, index) as reopened
    from (select * from keelson.case_reopened o where o.order_name = c.order_name order by log, index limit ${MAX_CONTRADICTIONS}) o
  ) r on true
  where c.doc ? 'seq'`;

const OPEN = `select from keelson.revocation_cause c
  left join keelson.case_closed k on k.order_name = c.order_name and k.seq = (c.doc->>'seq')::bigint
  where c.doc ? 'seq' and k.result is null and (c.doc->>'complete')::boolean`;

export class Cases {
  constructor(private readonly database: Database) {}

  /** Whether any case goes on, and there is anybody who could enforce it. */
  async isAnyOpen(): Promise<boolean> {
    const { rows } = await this.database.query<{ some: boolean }>(
      `select (exists (select from keelson.case_instance) or exists (select from keelson.case_point where signalled_index is not null))
         and exists (${OPEN}) as some`,
    );
    return rows[0]!.some;
  }

  /** How many entries of lifecycle are committed, and how many of them are in the tables of who joined, and how. */
  async progress(): Promise<{ readonly committed: bigint; readonly folded: bigint }> {
    const { rows } = await this.database.query<{ committed: bigint; folded: bigint }>(
      `select h.size as committed, coalesce(p.next_index, 0) as folded
       from keelson.log l join keelson.head h on h.log = l.id
       left join keelson.projection_position p on p.log = l.id and p.projection = 'cases' where l.path = $1`,
      [LIFECYCLE],
    );
    return rows[0] ?? { committed: 0n, folded: 0n };
  }

  /** Which entries of each log of decisions were held against the orders in force, and how far activity was committed then, by log. */
  async watched(): Promise<{
    readonly watched: readonly Watched[];
    readonly activity: ReadonlyMap<string, bigint>;
  }> {
    const { rows: watched } = await this.database.query<{ log: string; from_index: bigint; next_index: bigint }>(
      'select log, from_index, next_index from keelson.case_decision_cursor order by log collate "C"',
    );
    const { rows } = await this.database.query<{ path: string; size: bigint }>(
      `select l.path, h.size from keelson.log l join keelson.head h on h.log = l.id where l.topic = 'activity'`,
    );
    return {
      watched: watched.map(({ log, from_index, next_index }) => ({
        log,
        from: Number(from_index),
        size: Number(next_index),
      })),
      activity: new Map(rows.map(({ path, size }) => [path, size])),
    };
  }

  /** Whether so much of each of these logs is in the tables of cases. */
  async holds(sizes: ReadonlyMap<string, bigint>): Promise<boolean> {
    const { rows } = await this.database.query<{ path: string; next_index: bigint }>(
      `select l.path, p.next_index from keelson.projection_position p join keelson.log l on l.id = p.log where p.projection = 'cases'`,
    );
    const positions = new Map(rows.map(({ path, next_index }) => [path, next_index]));
    return [...sizes].every(([path, size]) => (positions.get(path) ?? 0n) >= size);
  }

  /** Cases that go on, oldest first. */
  async open(limit: number): Promise<CaseRow[]> {
    const { rows } = await this.database.query<Row>(
      `${SELECT} and k.result is null and (c.doc->>'complete')::boolean order by c.index limit $1`,
      [limit],
    );
    return rows.map(readRow);
  }

  /** Newest first, those below `beforeIndex`. */
  async list(beforeIndex: bigint | undefined, limit: number): Promise<(CaseRow & { readonly causeIndex: bigint })[]> {
    const { rows } = await this.database.query<Row>(
      `${SELECT} and ($1::bigint is null or c.index < $1) order by c.index desc limit $2`,
      [beforeIndex ?? null, limit],
    );
    return rows.map((row) => ({ ...readRow(row), causeIndex: row.index }));
  }

  async find(order: string): Promise<CaseRow | undefined> {
    const { rows } = await this.database.query<Row>(`${SELECT} and c.order_name = $1`, [order]);
    return rows[0] && readRow(rows[0]);
  }

  /** Every instance that ever joined, and what it attested last; which of them has a lease, these tables don't know. */
  async instances(): Promise<CaseInstance[]> {
    const { rows } = await this.database.query<{
      instance: string;
      point: string;
      joined_index: bigint;
      retired_as: 'asked' | 'silent' | null;
      quarantined: boolean;
      fail_open: string[];
      seq: bigint | null;
      log: string | null;
      index: bigint | null;
      appended_at_us: bigint | null;
      key_types: KeyType[] | null;
      mapping_hash: string | null;
      is_true: boolean | null;
    }>(
      `select i.instance, i.point, i.joined_index, i.retired_as, i.fail_open, coalesce(p.quarantined, false) as quarantined,
         a.seq, a.log, a.index, a.appended_at_us, a.key_types, encode(a.mapping_hash, 'hex') as mapping_hash,
         t.state_hash = a.state_hash as is_true
       from keelson.case_instance i left join keelson.case_point p using (point) left join keelson.case_ack a using (instance)
       left join keelson.revocation_change t on t.seq = a.seq order by i.instance`,
    );
    return rows.map((row) => ({
      instance: row.instance,
      point: row.point,
      joinedIndex: row.joined_index,
      retired: row.retired_as ?? undefined,
      quarantined: row.quarantined,
      failOpen: row.fail_open,
      leasesEndUs: Infinity,
      ack:
        row.seq === null
          ? undefined
          : {
              seq: Number(row.seq),
              log: row.log!,
              index: row.index!,
              appendedUs: Number(row.appended_at_us),
              isTrue: row.is_true ?? undefined,
              keyTypes: row.key_types!,
              mappingHash: row.mapping_hash!,
            },
    }));
  }
}

function readRow(row: Row): CaseRow {
  const { order_name, doc, result, log, closed_index, closed_us, closed_doc } = row;
  return {
    order: order_name,
    seq: doc.seq,
    index: row.change_index ?? -1n,
    orderedUs: doc.lastPartUs,
    firstPartUs: doc.orderedUs ?? doc.lastPartUs,
    parts: doc.parts,
    complete: doc.complete,
    incomplete: doc.incomplete,
    keyTypes: [...new Set(row.key_types.flatMap(keyTypeOf))],
    subjects: row.subjects,
    target: doc.target,
    contradictions: (row.reopened ?? []).map(readContradiction),
    signalled: row.signalled,
    late:
      row.late_log === null
        ? undefined
        : { log: row.late_log, index: row.late_index!, appendedUs: Number(row.late_us) },
    closed:
      result === null
        ? undefined
        : { result, log: log!, index: closed_index!, appendedUs: Number(closed_us), doc: closed_doc },
  };
}

function readContradiction({ log, index, at, doc }: ReopenedRow): CaseContradiction {
  const { decision = {} } = doc;
  return {
    log: decision.log ?? '',
    index: BigInt(decision.index ?? 0),
    point: decision.point,
    instance: decision.instance,
    appendedUs: at,
    doc,
    saidIn: { log, index: BigInt(index) },
  };
}

/** As an ack names them. What a key stands for that was given as such, nobody knows. */
function keyTypeOf(type: OrderKeyType): KeyType[] {
  switch (type) {
    case 'agent_held':
      return ['agent'];
    case 'client_held':
      return ['client'];
    case 'key':
      return [];
    default:
      return [type];
  }
}
