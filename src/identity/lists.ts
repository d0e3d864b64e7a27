/**
 * Lists of nodes and of tokens, in the order of their keys. A page looks at a bounded number of candidates, so that it costs the same
 * whatever it is asked for: it may hold fewer than asked for, or none, and go on.
 */
import type { ClientBase } from 'pg';
import { PHASE, type NodeKind } from './kinds.js';
import {
  hexKey,
  NODE_COLUMNS,
  standingOf,
  standingOfToken,
  TOKEN_COLUMNS,
  type NodeRow,
  type Standing,
  type State,
  type TokenRow,
} from './standing.js';

/** Nodes looked at for one page. */
const CANDIDATES = 10_000;
const LEAST = '0'.repeat(32);

/** Times are microseconds since 1970. */
export interface NodeFilter {
  readonly kind: Exclude<NodeKind, 'token' | 'parent'>;
  readonly issuer?: string | undefined;
  readonly state?: State | undefined;
  readonly riskLevel?: string | undefined;
  /** Keys of persons, any one of whom owns it. */
  readonly owners?: readonly string[] | undefined;
  /** Key of an environment. */
  readonly environment?: string | undefined;
  readonly registeredFromUs?: bigint | undefined;
  readonly registeredToUs?: bigint | undefined;
  /** In force, and over by then. */
  readonly expiresByUs?: bigint | undefined;
  /** No decision since this day (days since 1970) names it. */
  readonly unusedSinceDay?: number | undefined;
}

export interface TokenFilter {
  readonly issuer?: string | undefined;
  readonly state?: 'live' | 'expired' | 'ended' | undefined;
  /** Whether a point took it for good. */
  readonly accepted?: boolean | undefined;
  /** Groups of keys, of each of which it must hang on one. */
  readonly above: readonly (readonly string[])[];
  readonly expiresByUs?: bigint | undefined;
  readonly unusedSinceDay?: number | undefined;
}

export interface ListPage {
  readonly found: readonly Standing[];
  /** After which key the next page begins; undefined at the end. */
  readonly next?: string;
}

/** Parameters of one statement. */
class Values {
  readonly values: unknown[] = [];

  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}

const ofKeys = (values: Values, keys: readonly string[], after: string, select: string): string =>
  `select distinct c.key from unnest(${values.add(keys)}::uuid[]) as k(key), lateral (${select}) c
   order by c.key limit ${CANDIDATES}`.replaceAll(':after', after);

/** The nodes of a kind that pass a filter. */
export async function listNodes(
  tx: ClientBase,
  schema: string,
  filter: NodeFilter,
  nowUs: bigint,
  limit: number,
  after = LEAST,
): Promise<ListPage> {
  const values = new Values();
  const from = values.add(after);
  const { kind, owners, environment } = filter;
  const candidates =
    owners !== undefined
      ? ofKeys(
          values,
          owners,
          from,
          `select n.key from ${schema}.node n where n.owner = k.key and n.key > :after order by n.key limit ${CANDIDATES}`,
        )
      : environment !== undefined
        ? `select child as key from ${schema}.edge where parent = ${values.add(environment)} and child > ${from} order by child limit ${CANDIDATES}`
        : `select key from ${schema}.node where kind = ${values.add(kind)} and key > ${from} order by key limit ${CANDIDATES}`;
  const where = [`n.kind = ${values.add(kind)}`, ...nodeConditions(values, schema, filter, nowUs)];
  const { rows, next } = await readPage<NodeRow>(
    tx,
    values,
    candidates,
    `select ${NODE_COLUMNS} from candidates c join ${schema}.node n on n.key = c.key where ${where.join(' and ')} order by n.key`,
    limit,
  );
  return { found: rows.map((row) => standingOf(row, nowUs)), ...(next === undefined ? {} : { next }) };
}

function nodeConditions(values: Values, schema: string, filter: NodeFilter, nowUs: bigint): string[] {
  const { issuer, state, riskLevel, environment, registeredFromUs, registeredToUs } = filter;
  const over = (): string => `(n.expires_us <> 0 and n.expires_us <= ${values.add(nowUs)})`;
  const where: string[] = [];
  if (issuer !== undefined) where.push(`n.issuer = ${values.add(issuer)}`);
  if (riskLevel !== undefined) where.push(`n.risk_level = ${values.add(riskLevel)}`);
  if (environment !== undefined) {
    const key = values.add(environment);
    where.push(`exists (select from ${schema}.edge e where e.parent = ${key} and e.child = n.key)`);
  }
  if (registeredFromUs !== undefined) where.push(`n.registered_us >= ${values.add(registeredFromUs)}`);
  if (registeredToUs !== undefined) {
    where.push(`n.registered_us <> 0 and n.registered_us <= ${values.add(registeredToUs)}`);
  }
  if (state === 'ended') where.push(`n.phase = ${PHASE.ended}`);
  else if (state === 'expired') where.push(`n.phase <> ${PHASE.ended} and ${over()}`);
  else if (state === 'accepted') where.push('false');
  else if (state !== undefined) where.push(`n.phase = ${PHASE[state]} and not ${over()}`);
  return [...where, ...timeConditions(values, filter, `n.phase <> ${PHASE.ended}`, 'n', nowUs)];
}

/** Filters that nodes and tokens share. */
function timeConditions(
  values: Values,
  { expiresByUs, unusedSinceDay }: NodeFilter | TokenFilter,
  isOpen: string,
  row: string,
  nowUs: bigint,
): string[] {
  const where: string[] = [];
  if (expiresByUs !== undefined) {
    where.push(
      `${isOpen} and ${row}.expires_us > ${values.add(nowUs)} and ${row}.expires_us <= ${values.add(expiresByUs)}`,
    );
  }
  if (unusedSinceDay !== undefined) where.push(`${row}.used_day < ${values.add(unusedSinceDay)}`);
  return where;
}

/** The tokens that pass a filter. */
export async function listTokens(
  tx: ClientBase,
  schema: string,
  filter: TokenFilter,
  nowUs: bigint,
  limit: number,
  after = LEAST,
): Promise<ListPage> {
  const values = new Values();
  const from = values.add(after);
  const [first, ...others] = filter.above;
  const candidates =
    first !== undefined
      ? ofKeys(
          values,
          first,
          from,
          `select e.child as key from ${schema}.edge e where e.parent = k.key and e.child > :after order by e.child limit ${CANDIDATES}`,
        )
      : `select key from ${schema}.token where key > ${from} order by key limit ${CANDIDATES}`;
  const where = ['true', ...tokenConditions(values, filter, nowUs)];
  for (const keys of others) {
    const parents = values.add(keys);
    where.push(`exists (select from ${schema}.edge e where e.child = t.key and e.parent = any(${parents}::uuid[]))`);
  }
  const { rows, next } = await readPage<TokenRow>(
    tx,
    values,
    candidates,
    `select ${TOKEN_COLUMNS} from candidates c join ${schema}.token t on t.key = c.key where ${where.join(' and ')} order by t.key`,
    limit,
  );
  return { found: rows.map((row) => standingOfToken(row, nowUs)), ...(next === undefined ? {} : { next }) };
}

function tokenConditions(values: Values, filter: TokenFilter, nowUs: bigint): string[] {
  const { issuer, state, accepted } = filter;
  const over = (): string => `(t.expires_us <> 0 and t.expires_us <= ${values.add(nowUs)})`;
  const where: string[] = [];
  if (issuer !== undefined) where.push(`t.issuer = ${values.add(issuer)}`);
  if (accepted !== undefined) where.push(`t.accepted_us ${accepted ? '<>' : '='} 0`);
  if (state === 'ended') where.push('t.ended_us <> 0');
  if (state === 'expired') where.push(`t.ended_us = 0 and ${over()}`);
  if (state === 'live') where.push(`t.ended_us = 0 and not ${over()}`);
  return [...where, ...timeConditions(values, filter, 't.ended_us = 0', 't', nowUs)];
}

async function readPage<Row extends { key: string }>(
  tx: ClientBase,
  { values }: Values,
  candidates: string,
  select: string,
  limit: number,
): Promise<{ rows: Row[]; next: string | undefined }> {
  const { rows } = await tx.query<Row & { last_key: string | null; looked_at: bigint }>(
    `with candidates as materialized (${candidates})
     select l.last_key, l.looked_at, p.* from (
       select (select key from candidates order by key desc limit 1) as last_key, (select count(*) from candidates) as looked_at
     ) l left join (${select} limit ${limit + 1}) p on true order by p.key`,
    values,
  );
  const { last_key, looked_at } = rows[0]!;
  const found = rows.filter(({ key }) => key !== null);
  if (found.length > limit) return { rows: found.slice(0, limit), next: hexKey(found[limit - 1]!.key) };
  return { rows: found, next: looked_at === BigInt(CANDIDATES) ? hexKey(last_key!) : undefined };
}
