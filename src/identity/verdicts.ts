/** Verdicts on registrations (`registration.verified`, `.failed`), by what was registered: rows that are only ever added. */
import type { ClientBase } from 'pg';

/** What Keelson found when it checked a registration, as the graph keeps it. */
export interface VerdictRow {
  readonly node: number;
  readonly log: number;
  readonly index: bigint;
  readonly atUs: number;
  /** Where in lifecycle the registration stands. */
  readonly registration: bigint;
  readonly isVerified: boolean;
  readonly method: string | undefined;
  readonly code: string | undefined;
  /** Until when the evidence holds; 0: nothing is said of that. */
  readonly expiresUs: number;
}

export interface Verdict {
  readonly log: string;
  readonly index: bigint;
  readonly atUs: bigint;
  readonly registration: bigint;
  readonly isVerified: boolean;
  readonly method: string | null;
  readonly code: string | null;
  readonly expiresUs: bigint;
  /** Whether nothing was registered under this name since. */
  readonly isCurrent: boolean;
}

/** The table's columns, for `createTables`. */
export const VERDICT_COLUMNS = `
  node uuid not null,
  log smallint not null,
  index bigint not null,
  at_us bigint not null,
  registration bigint not null,
  verified boolean not null,
  method text,
  code text,
  expires_us bigint not null`;

export async function saveVerdicts(
  tx: ClientBase,
  schema: string,
  verdicts: readonly VerdictRow[],
  keyOf: (node: number) => string | null,
): Promise<void> {
  if (verdicts.length === 0) return;
  await tx.query(
    `insert into ${schema}.verdict (node, log, index, at_us, registration, verified, method, code, expires_us)
     select * from unnest($1::uuid[], $2::smallint[], $3::int8[], $4::int8[], $5::int8[], $6::bool[], $7::text[], $8::text[], $9::int8[])`,
    [
      verdicts.map(({ node }) => keyOf(node)),
      verdicts.map(({ log }) => log),
      verdicts.map(({ index }) => index),
      verdicts.map(({ atUs }) => atUs),
      verdicts.map(({ registration }) => registration),
      verdicts.map(({ isVerified }) => isVerified),
      verdicts.map(({ method }) => method ?? null),
      verdicts.map(({ code }) => code ?? null),
      verdicts.map(({ expiresUs }) => expiresUs),
    ],
  );
}

/** The verdict on the newest registration that has one, as entries up to a time say. */
export async function readVerdict(
  tx: ClientBase,
  schema: string,
  key: string,
  atUs: bigint,
): Promise<Verdict | undefined> {
  const { rows } = await tx.query<Verdict>(
    `select l.path as log, v.index, v.at_us as "atUs", v.registration, v.verified as "isVerified", v.method, v.code,
            v.expires_us as "expiresUs",
            not exists (select from ${schema}.history h where h.node = v.node and h.log = v.log and h.index > v.registration
                        and h.at_us <= $2 and h.type like '%.registered') as "isCurrent"
     from ${schema}.verdict v join keelson.log l on l.id = v.log
     where v.node = $1 and v.at_us <= $2 order by v.registration desc, v.index desc limit 1`,
    [key, atUs],
  );
  return rows[0];
}
